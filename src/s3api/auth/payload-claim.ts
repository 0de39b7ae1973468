import type { HmacKey } from "../../core/hmac.ts";
import { S3Error } from "../errors.ts";

/**
 * How the body of an authenticated request is protected. The signature over the headers covers this
 * claim; `body/payload` checks that the body keeps it, before the body counts.
 */
export type PayloadClaim =
  /** The SHA-256 of the body, 64 lower-case hexadecimal digits. */
  | { readonly kind: "signed"; readonly sha256: string }
  | { readonly kind: "unsigned" }
  /** aws-chunked, each chunk signed in a chain that begins with the request's signature. */
  | {
      readonly kind: "streaming-signed";
      readonly seedSignature: string;
      readonly signingKey: HmacKey;
      readonly scope: string;
      /** "20251121T093000Z" */
      readonly date: string;
      readonly trailer: boolean;
    }
  /** aws-chunked without chunk signatures, a checksum in the trailer. */
  | { readonly kind: "streaming-unsigned-trailer" };

export type PayloadMode = PayloadClaim["kind"] | "streaming-signed-trailer";

const MODES: Readonly<Record<string, PayloadMode>> = {
  // Without prototype: the value comes from outside.
  __proto__: null as never,
  "UNSIGNED-PAYLOAD": "unsigned",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": "streaming-signed",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": "streaming-signed-trailer",
  "STREAMING-UNSIGNED-PAYLOAD-TRAILER": "streaming-unsigned-trailer",
};

/** Reads a value of x-amz-content-sha256. */
export function payloadMode(contentSha256: string): PayloadMode {
  if (contentSha256.length === 64 && isLowerHex(contentSha256)) return "signed";
  const mode = MODES[contentSha256];
  if (mode !== undefined) return mode;
  if (contentSha256.startsWith("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")) {
    throw new S3Error("InvalidRequest", {
      message: "AWS Signature Version 4A is not supported.",
    });
  }
  throw new S3Error("InvalidArgument", {
    message:
      "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, " +
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a " +
      "valid sha256 value.",
    fields: { ArgumentName: "x-amz-content-sha256", ArgumentValue: contentSha256 },
  });
}

function isLowerHex(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    const digit = unit >= 0x30 && unit <= 0x39;
    if (!digit && !(unit >= 0x61 && unit <= 0x66)) return false;
  }
  return true;
}
