import type { RequestHeaders } from "../../http/exchange.ts";
import type { Hash } from "../../ports/hash.ts";
import { S3Error } from "../errors.ts";

/** A key that a client brings along with each request; never stored, never logged. */
export type CustomerKey = {
  readonly key: Uint8Array;
  /** Base64, as S3 shows it. */
  readonly md5: string;
};

/** Whose key is meant: that of the object of a request, or of the source of a copy. */
export type KeyOwner = "object" | "source";

export const ENCRYPTION_HEADER = "x-amz-server-side-encryption";
const KEY_PREFIXES = {
  object: "x-amz-server-side-encryption-customer-",
  source: "x-amz-copy-source-server-side-encryption-customer-",
} as const satisfies Record<KeyOwner, string>;
const ALGORITHM_HEADERS = {
  object: `${KEY_PREFIXES.object}algorithm`,
  source: `${KEY_PREFIXES.source}algorithm`,
} as const satisfies Record<KeyOwner, string>;
const KMS_HEADERS = [
  "x-amz-server-side-encryption-aws-kms-key-id",
  "x-amz-server-side-encryption-context",
] as const;
const BUCKET_KEY_HEADER = "x-amz-server-side-encryption-bucket-key-enabled";
const KMS_ALGORITHMS: readonly string[] = ["aws:kms", "aws:kms:dsse", "aws:fsx"];
const KEY_BYTES = 32;
const KEY_BASE64 = /^[A-Za-z0-9+/]{43}=$/;

/** Whether a header has to do with encryption; those that do are screened together. */
export function isEncryptionHeader(name: string): boolean {
  return name.startsWith(ENCRYPTION_HEADER) || name.startsWith(KEY_PREFIXES.source);
}

/**
 * Refuses what contradicts itself or is not offered, whatever the operation: an algorithm that is
 * not AES256, keys of KMS, a customer's key of which a part is missing, two kinds at once.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
 */
export function screenEncryption(headers: RequestHeaders): void {
  const algorithm = headers.get(ENCRYPTION_HEADER);
  const hasKey = requireWholeKey(headers, "object");
  requireWholeKey(headers, "source");
  if (algorithm !== undefined && hasKey) {
    throw invalid(
      ENCRYPTION_HEADER,
      "Server Side Encryption with Customer provided key is incompatible with the encryption " +
        "method specified",
      algorithm,
    );
  }
  if (algorithm !== undefined && KMS_ALGORITHMS.includes(algorithm)) {
    throw new S3Error("NotImplemented", {
      message:
        "Encryption with keys of a key management service is not implemented; use AES256, or a " +
        "key of your own.",
      fields: { Header: ENCRYPTION_HEADER },
    });
  }
  if (algorithm !== undefined && algorithm !== "AES256") {
    throw invalid(
      ENCRYPTION_HEADER,
      "The encryption method specified is not supported",
      algorithm.slice(0, 64),
    );
  }
  const kms = KMS_HEADERS.find((name) => headers.get(name) !== undefined);
  const wantsBucketKey = headers.get(BUCKET_KEY_HEADER)?.toLowerCase() === "true";
  if (kms !== undefined || wantsBucketKey) {
    throw invalid(
      ENCRYPTION_HEADER,
      "Server Side Encryption with KMS managed key requires HTTP header " +
        "x-amz-server-side-encryption : aws:kms",
      algorithm ?? "null",
    );
  }
}

/** True when there is a customer's key, of which nothing is missing. */
function requireWholeKey(headers: RequestHeaders, owner: KeyOwner): boolean {
  const names = ["algorithm", "key", "key-md5"].map((part) => KEY_PREFIXES[owner] + part);
  const missing = names.findIndex((name) => headers.get(name) === undefined);
  if (missing < 0) return true;
  if (names.every((name) => headers.get(name) === undefined)) return false;
  throw invalid(
    names[missing] ?? "",
    `Requests specifying Server Side Encryption with Customer provided keys must provide ${
      MISSING[missing]
    }`,
    "null",
  );
}

const MISSING = [
  "a valid encryption algorithm.",
  "an appropriate secret key.",
  "the client calculated MD5 of the secret key.",
];

/** The customer's key of a request that has passed `screenEncryption`; undefined without one. */
export function readCustomerKey(
  headers: RequestHeaders,
  hash: Hash,
  owner: KeyOwner = "object",
): CustomerKey | undefined {
  const algorithm = headers.get(ALGORITHM_HEADERS[owner]);
  if (algorithm === undefined) return undefined;
  if (algorithm !== "AES256") throw new S3Error("InvalidEncryptionAlgorithmError");
  const keyHeader = `${KEY_PREFIXES[owner]}key`;
  const base64 = headers.get(keyHeader) ?? "";
  const key = Buffer.from(base64, "base64");
  if (!KEY_BASE64.test(base64) || key.length !== KEY_BYTES) {
    // The key itself must not be in an answer that others may see.
    throw invalid(keyHeader, "The secret key was invalid for the specified algorithm.", "null");
  }
  const md5 = hash.digest("MD5", key).toString("base64");
  if (headers.get(`${keyHeader}-md5`) !== md5) {
    throw invalid(
      `${keyHeader}-MD5`,
      "The calculated MD5 hash of the key did not match the hash that was provided.",
      "null",
    );
  }
  return { key, md5 };
}

/** Whether a request says itself how a new object is to be encrypted. */
export function asksForEncryption(headers: RequestHeaders): boolean {
  return headers.get(ENCRYPTION_HEADER) !== undefined || bringsKey(headers, "object");
}

/** Whether a request has a customer's key, whatever it is worth. */
export function bringsKey(headers: RequestHeaders, owner: KeyOwner): boolean {
  return headers.get(ALGORITHM_HEADERS[owner]) !== undefined;
}

/** For operations whose object has its encryption already, or tells it by itself. */
export function refuseEncryptionHeader(headers: RequestHeaders): void {
  const algorithm = headers.get(ENCRYPTION_HEADER);
  if (algorithm === undefined) return;
  throw invalid(
    ENCRYPTION_HEADER,
    "x-amz-server-side-encryption header is not supported for this operation.",
    algorithm,
  );
}

function invalid(name: string, message: string, value: string): S3Error {
  return new S3Error("InvalidArgument", {
    message,
    fields: { ArgumentName: name, ArgumentValue: value },
  });
}
