import type { ForwardedAnswer, ForwardedRequest, Principal } from "../../core/forwarded-request.ts";
import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import { payloadOf } from "../handlers/request-body.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";

/** What speaks of how the body came, of who signed, or of this connection alone. */
const LEFT_BEHIND: ReadonlySet<string> = new Set([
  "authorization",
  "connection",
  "content-length",
  "expect",
  "transfer-encoding",
  "x-amz-content-sha256",
  "x-amz-decoded-content-length",
  "x-amz-security-token",
  "x-amz-trailer",
  "x-atoll-after",
  "x-atoll-wait",
]);
/** What this site's own answer has. */
const OWN_LINES: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "server",
  "x-amz-id-2",
  "x-amz-request-id",
]);

/**
 * Reads a request whole, with everything the client claimed of its body found true, so that another
 * site can answer it.
 */
export async function takeRequest(call: BucketCall, deps: HandlerDeps): Promise<ForwardedRequest> {
  const { exchange, headers, auth } = call;
  const bytesMax = LIMITS.forwardedBodyBytesMax;
  const announced = Number(
    headers.get("x-amz-decoded-content-length") ?? headers.get("content-length") ?? 0,
  );
  if (announced > bytesMax) throw tooLarge();
  const payload = payloadOf(call, deps, { bytesMax, lengthOptional: true });
  const { bytes, digests } = await payload.readAll(bytesMax);
  const lines = headers.entries.filter(([name]) => !LEFT_BEHIND.has(name));
  const kept = lines.flatMap(([name, value]) => {
    if (name !== "content-encoding") return [[name, value] as const];
    const encodings = value.split(",").map((coding) => coding.trim());
    const own = encodings.filter((coding) => coding.toLowerCase() !== "aws-chunked");
    return own.length === 0 ? [] : [[name, own.join(",")] as const];
  });
  const trailer = headers.get("x-amz-trailer");
  if (trailer !== undefined) kept.push([trailer.trim().toLowerCase(), digests.checksum.value]);
  kept.push(["content-length", String(bytes.length)]);
  return {
    ...{ method: exchange.method, target: exchange.target, headers: kept, body: bytes },
    ...{ remoteAddress: exchange.remoteAddress, secure: exchange.secure },
    principal: principalOf(auth.credential),
  };
}

/** The answer of the other site, as this one's. */
export function forwardedReply({ status, headers, body }: ForwardedAnswer): Reply {
  const lines = headers.filter(([name]) => !OWN_LINES.has(name.toLowerCase()));
  return {
    ...{ kind: "whole", status, headers: lines.map(([name, value]) => [name, value]) },
    body: body.length === 0 ? undefined : body,
    forwarded: true,
  };
}

function principalOf({ kind, id }: BucketCall["auth"]["credential"]): Principal {
  return kind === "user" ? { kind, accessKey: id } : { kind };
}

function tooLarge(): S3Error {
  const mebibytes = LIMITS.forwardedBodyBytesMax / 1024 / 1024;
  return new S3Error("EntityTooLarge", {
    message: `A conditional write of more than ${mebibytes} MiB is sent to the bucket's home site.`,
  });
}
