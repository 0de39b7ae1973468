import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import { SIGNING_ALGORITHM, type SignatureClaim } from "./authorization-header.ts";
import type { QueryPair } from "./canonical-request.ts";
import { parseAmzDate, type RequestTime } from "./request-time.ts";

/** The claim of a presigned URL and how long it holds. */
export type PresignedClaim = SignatureClaim & {
  readonly time: RequestTime;
  readonly expiresSeconds: number;
  /** X-Amz-Content-Sha256, where the signer moved it into the query. */
  readonly contentSha256: string | undefined;
};

const REQUIRED = [
  "X-Amz-Algorithm",
  "X-Amz-Credential",
  "X-Amz-Date",
  "X-Amz-Expires",
  "X-Amz-SignedHeaders",
  "X-Amz-Signature",
] as const;
type RequiredName = (typeof REQUIRED)[number];

const SIGV2_NAMES = ["AWSAccessKeyId", "Signature"];

/** Whether a query claims to authenticate, and by which version. One parameter is enough. */
export function queryAuthentication(pairs: readonly QueryPair[]): "none" | "v2" | "v4" {
  let found: "none" | "v2" = "none";
  for (const [name] of pairs) {
    if (name.startsWith("X-Amz-") && REQUIRED.some((required) => required === name)) return "v4";
    if (SIGV2_NAMES.includes(name)) found = "v2";
  }
  return found;
}

/**
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 * Every parameter must be there exactly once.
 */
export function parsePresignedQuery(pairs: readonly QueryPair[]): PresignedClaim {
  const values = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (!name.startsWith("X-Amz-")) continue;
    if (values.has(name)) throw invalid(`${name} must not be given more than once.`);
    values.set(name, decoded(value));
  }
  const required = (name: RequiredName): string => {
    const value = values.get(name);
    if (value === undefined || value === "") {
      throw invalid(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, " +
          "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
      );
    }
    return value;
  };
  for (const name of REQUIRED) required(name);
  if (required("X-Amz-Algorithm") !== SIGNING_ALGORITHM) {
    throw invalid(`X-Amz-Algorithm only supports "${SIGNING_ALGORITHM}"`);
  }
  if (values.has("X-Amz-Security-Token")) throw new S3Error("InvalidToken");
  const time = parseAmzDate(required("X-Amz-Date"));
  if (time === undefined) {
    throw invalid("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  }
  return {
    credential: required("X-Amz-Credential"),
    signedHeaders: required("X-Amz-SignedHeaders"),
    signature: required("X-Amz-Signature"),
    time,
    expiresSeconds: parseExpires(required("X-Amz-Expires")),
    contentSha256: values.get("X-Amz-Content-Sha256"),
  };
}

/** Refuses a URL whose time has not come or has passed. */
export function requireUnexpired(
  claim: Pick<PresignedClaim, "time" | "expiresSeconds">,
  nowMs: number,
): void {
  const { time, expiresSeconds } = claim;
  const serverTime = new Date(nowMs).toISOString();
  if (time.unixMs - nowMs > LIMITS.requestSkewMsMax) {
    throw new S3Error("AccessDenied", {
      message: "Request is not yet valid",
      fields: { "X-Amz-Date": time.text, ServerTime: serverTime },
    });
  }
  const expiresMs = time.unixMs + expiresSeconds * 1000;
  if (nowMs <= expiresMs) return;
  throw new S3Error("AccessDenied", {
    message: "Request has expired",
    fields: {
      "X-Amz-Expires": String(expiresSeconds),
      Expires: new Date(expiresMs).toISOString(),
      ServerTime: serverTime,
    },
  });
}

function parseExpires(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw invalid("X-Amz-Expires should be a number");
  const seconds = Number(text);
  if (seconds < 1) throw invalid("X-Amz-Expires must be at least 1");
  if (seconds > LIMITS.presignedSecondsMax) {
    throw invalid(
      "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires " +
        `must be less than ${LIMITS.presignedSecondsMax} seconds`,
    );
  }
  return seconds;
}

/** The pairs are canonical, so only bytes that are not UTF-8 can fail here. */
function decoded(canonical: string): string {
  try {
    return decodeURIComponent(canonical);
  } catch (failure) {
    throw new S3Error("AuthorizationQueryParametersError", { cause: failure });
  }
}

function invalid(message: string): S3Error {
  return new S3Error("AuthorizationQueryParametersError", { message });
}
