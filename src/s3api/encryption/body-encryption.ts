import { DATA_KEY_BYTES, NONCE_PREFIX_BYTES, PartSealer } from "../../core/block-cipher.ts";
import {
  customerCheck,
  customerDataKey,
  type EnvelopeSecret,
  layoutDigest,
  openEnvelope,
  sealEnvelope,
} from "../../core/encryption-envelope.ts";
import { StorageFault } from "../../core/faults.ts";
import { equalsInConstantTime, HmacKey } from "../../core/hmac.ts";
import type { BucketSettings, EncryptionEnvelope, PartSummary } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { HandlerDeps } from "../operation.ts";
import { blocksCustomerKeys, encryptsByDefault } from "../settings/bucket-encryption.ts";
import { type CustomerKey, ENCRYPTION_HEADER, readCustomerKey } from "./encryption-headers.ts";

type Deps = Pick<HandlerDeps, "hash" | "keyRing" | "random">;

/** How one object is, or will be, encrypted. */
export type BodyEncryption = {
  readonly secret: EnvelopeSecret;
  readonly dataKey: Uint8Array;
  /** MD5 of the customer's key, for the answer; undefined when the key is ours. */
  readonly customerMd5: string | undefined;
};

const SEAL_NONCE_BYTES = 12;
const SALT_BYTES = 32;
const ETAG_DIGITS = 32;

/**
 * How a new object is encrypted: as the request says, or else as its bucket does. Undefined: it is
 * stored in the clear. Two looks at the headers and one at the settings. Hot path.
 */
export function encryptionOfNew(
  request: { readonly headers: RequestHeaders; readonly bucketSettings: BucketSettings },
  deps: Deps,
): BodyEncryption | undefined {
  const { headers, bucketSettings } = request;
  const customer = readCustomerKey(headers, deps.hash);
  if (customer !== undefined) {
    if (blocksCustomerKeys(bucketSettings)) throw new S3Error("AccessDenied");
    return withCustomerKey(deps, customer);
  }
  if (headers.get(ENCRYPTION_HEADER) === undefined && !encryptsByDefault(bucketSettings)) {
    return undefined;
  }
  const dataKey = deps.random.bytes(DATA_KEY_BYTES);
  const secret = { kind: "managed", dataKey, layout: undefined } as const;
  return { secret, dataKey, customerMd5: undefined };
}

function withCustomerKey(deps: Deps, { key, md5 }: CustomerKey): BodyEncryption {
  const salt = deps.random.bytes(SALT_BYTES);
  const check = customerCheck(key, salt);
  const secret = { kind: "customer", salt, check, layout: undefined } as const;
  return { secret, dataKey: customerDataKey(key, salt), customerMd5: md5 };
}

type Sized = {
  readonly size: number;
  readonly parts: ReadonlyArray<Pick<PartSummary, "partNumber" | "size">>;
};

/** The envelope of an upload: what it is encrypted with, when its sizes are not known yet. */
export function envelopeOfUpload(
  deps: Deps,
  { secret }: BodyEncryption,
  bucket: string,
): EncryptionEnvelope {
  return sealEnvelope(deps.keyRing, secret, bucket, deps.random.bytes(SEAL_NONCE_BYTES));
}

/** The envelope of an object, whose sizes it vouches for. */
export function envelopeOfObject(
  deps: Deps,
  { secret }: Pick<BodyEncryption, "secret">,
  bucket: string,
  { size, parts }: Sized,
): EncryptionEnvelope {
  const whole = { ...secret, layout: layoutDigest(size, parts) };
  return sealEnvelope(deps.keyRing, whole, bucket, deps.random.bytes(SEAL_NONCE_BYTES));
}

/** Opens an envelope; a failure is damage, or a key ring that is not the one it was sealed with. */
export function openSealed(
  deps: Pick<Deps, "keyRing">,
  envelope: EncryptionEnvelope,
  bucket: string,
): EnvelopeSecret {
  const secret = openEnvelope(deps.keyRing, envelope, bucket);
  if (secret !== undefined) return secret;
  throw new StorageFault("corrupt", "the envelope of an encrypted object cannot be opened", {
    hint: "Bring back the cluster-key.json that it was stored with.",
  });
}

/**
 * How a body is encrypted, from the secret in its envelope; undefined when that takes a customer's
 * key and none is given.
 */
export function unlock(
  secret: EnvelopeSecret,
  customer: CustomerKey | undefined,
): BodyEncryption | "key-missing" | "key-wrong" | "key-needless" {
  if (secret.kind === "managed") {
    if (customer !== undefined) return "key-needless";
    return { secret, dataKey: secret.dataKey, customerMd5: undefined };
  }
  if (customer === undefined) return "key-missing";
  const { salt, check } = secret;
  const given = Buffer.from(customerCheck(customer.key, salt)).toString("hex");
  if (!equalsInConstantTime(given, Buffer.from(check).toString("hex"))) return "key-wrong";
  return { secret, dataKey: customerDataKey(customer.key, salt), customerMd5: customer.md5 };
}

/** How an upload's parts are encrypted, checked against the headers of a request about it. */
export function encryptionOfUpload(
  deps: Deps,
  upload: { readonly bucket: string; readonly encryption: EncryptionEnvelope | undefined },
  headers: RequestHeaders,
): BodyEncryption | undefined {
  const customer = readCustomerKey(headers, deps.hash);
  const { encryption, bucket } = upload;
  if (encryption === undefined) {
    if (customer === undefined) return undefined;
    throw new S3Error("InvalidRequest", {
      message: "The multipart upload was not initiated with encryption parameters.",
    });
  }
  const unlocked = unlock(openSealed(deps, encryption, bucket), customer);
  if (typeof unlocked !== "string") return unlocked;
  throw new S3Error("InvalidRequest", {
    message:
      unlocked === "key-missing"
        ? "The multipart upload initiate requested encryption. Subsequent part requests must " +
          "include the appropriate encryption parameters."
        : "The provided encryption parameters did not match the ones used originally.",
  });
}

/** Encrypts the blocks of one part; a body that comes in one piece is part 0. */
export function sealerOf(deps: Deps, { dataKey }: BodyEncryption, partNumber: number): PartSealer {
  return new PartSealer(dataKey, partNumber, deps.random.bytes(NONCE_PREFIX_BYTES));
}

/** The ETag of a body with this MD5: with a customer's key it must not tell what the body is. */
export function etagOf({ secret, dataKey }: BodyEncryption, md5: string): string {
  if (secret.kind === "managed") return md5;
  return new HmacKey(dataKey).hex(`atoll etag ${md5}`).slice(0, ETAG_DIGITS);
}

/** What an answer says about encryption. */
export function pushEncryption(
  headers: HeaderLines,
  encryption: Pick<BodyEncryption, "customerMd5"> | undefined,
): void {
  if (encryption === undefined) return;
  const { customerMd5 } = encryption;
  if (customerMd5 === undefined) {
    headers.push([ENCRYPTION_HEADER, "AES256"]);
    return;
  }
  headers.push(["x-amz-server-side-encryption-customer-algorithm", "AES256"]);
  headers.push(["x-amz-server-side-encryption-customer-key-MD5", customerMd5]);
}
