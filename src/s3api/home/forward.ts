import type {
  ForwardedAnswer,
  ForwardedHead,
  ForwardedRequest,
  Principal,
} from "../../core/forwarded-request.ts";
import { LIMITS } from "../../core/limits.ts";
import { payloadOf } from "../handlers/request-body.ts";
import { encodeName } from "../list/wish.ts";
import type { BucketCall, HandlerDeps, HomeVisit, Reply } from "../operation.ts";
import { decodePercent } from "../target.ts";

/**
 * Headers that are not forwarded: they are about how the body came, who signed, or this connection.
 */
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
/** Headers of the answer that this site writes itself. */
const OWN_LINES: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "server",
  "x-amz-id-2",
  "x-amz-request-id",
]);

type Lines = ForwardedHead["headers"];
type ForwardedCall = HomeVisit["call"];

/** The length of the body as it will be counted, as far as the client has announced it. */
export function announcedBytes({ headers }: Pick<BucketCall, "headers">): number {
  const text = headers.get("x-amz-decoded-content-length") ?? headers.get("content-length");
  return Number(text ?? 0);
}

/**
 * Reads a whole request and verifies everything the client claimed about its body, so that another
 * site can answer it. `headers` are those about the body, where others are about an object that is
 * made of something else.
 */
export async function takeRequest(
  call: ForwardedCall,
  deps: HandlerDeps,
  headers = call.headers,
): Promise<ForwardedRequest> {
  const bytesMax = LIMITS.forwardedBodyBytesMax;
  const payload = payloadOf({ ...call, headers }, deps, { bytesMax, lengthOptional: true });
  const { bytes, digests } = await payload.readAll(bytesMax);
  const trailer = headers === call.headers ? headers.get("x-amz-trailer") : undefined;
  const lines: Lines = [
    ...keptLines(call),
    ...(trailer === undefined
      ? []
      : [[trailer.trim().toLowerCase(), digests.checksum.value] as const]),
    ["content-length", String(bytes.length)],
  ];
  return { ...headOf(call, lines), body: bytes };
}

/** A request without its body, with headers that say how the body will follow. */
export function headOf(call: ForwardedCall, headers: Lines): ForwardedHead {
  const { exchange, auth } = call;
  return {
    ...{ method: exchange.method, ...inPathStyle(call, headers) },
    ...{ remoteAddress: exchange.remoteAddress, secure: exchange.secure },
    principal: principalOf(auth.credential),
  };
}

/**
 * The address of a request without a bucket in its host: a site knows its own domains, and would
 * take the beginning of the key for the bucket below those of another.
 */
function inPathStyle(
  { exchange, bucket, key }: ForwardedCall,
  headers: Lines,
): Pick<ForwardedHead, "target" | "headers"> {
  const { target } = exchange;
  const path = target.replace(/\?.*$/s, "");
  if (decodePercent(path) !== `/${key ?? ""}`) return { target, headers };
  const query = target.slice(path.length);
  const withBucket = key === undefined ? `/${bucket}` : `/${bucket}/${encodeName(key)}`;
  const lines = headers.map(([name, value]) => {
    return [name, name === "host" ? value.slice(bucket.length + 1) : value] as const;
  });
  return { target: `${withBucket}${query}`, headers: lines };
}

/** The headers that mean the same at another site. */
export function keptLines({ headers }: Pick<BucketCall, "headers">): Lines {
  const lines = headers.entries.filter(([name]) => !LEFT_BEHIND.has(name));
  return lines.flatMap(([name, value]) => {
    if (name !== "content-encoding") return [[name, value] as const];
    const encodings = value.split(",").map((coding) => coding.trim());
    const own = encodings.filter((coding) => coding.toLowerCase() !== "aws-chunked");
    return own.length === 0 ? [] : [[name, own.join(",")] as const];
  });
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
