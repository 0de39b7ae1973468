import { layoutDigest, type SealedPiece } from "../../core/encryption-envelope.ts";
import { StorageFault } from "../../core/faults.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import type { BodyReader, ByteRange, Store, StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import type { Call, HandlerDeps } from "../operation.ts";
import { blocksInRange, sealedParts, storedRange } from "./block-plan.ts";
import { type BodyEncryption, openSealed, unlock } from "./body-encryption.ts";
import { BlockOpener, DecryptingReader } from "./decrypting-reader.ts";
import { type KeyOwner, readCustomerKey, refuseEncryptionHeader } from "./encryption-headers.ts";

/** What reading an encrypted object takes. */
export type Decryption = BodyEncryption & { readonly parts: readonly SealedPiece[] };

/**
 * What a request needs to read an object, by its headers; undefined for one in the clear. Throws
 * AWS's errors for a key that is missing, wrong, or given for nothing. Hot path: an object in the
 * clear costs one look at the headers.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
 */
export function decryptionOf(
  object: StoredObject,
  headers: RequestHeaders,
  deps: Pick<HandlerDeps, "hash" | "keyRing">,
  owner: KeyOwner = "object",
): Decryption | undefined {
  const { record, bucket } = object;
  const customer = readCustomerKey(headers, deps.hash, owner);
  if (record.encryption === undefined) {
    if (customer === undefined) return undefined;
    throw new S3Error("InvalidRequest", { message: NEEDLESS });
  }
  const unlocked = unlock(openSealed(deps, record.encryption, bucket), customer);
  switch (unlocked) {
    case "key-needless":
      throw new S3Error("InvalidRequest", { message: NEEDLESS });
    case "key-missing":
      throw new S3Error("InvalidRequest", {
        message:
          "The object was stored using a form of Server Side Encryption. The correct parameters " +
          "must be provided to retrieve the object.",
      });
    case "key-wrong":
      throw new S3Error("AccessDenied");
  }
  requireLayout(unlocked, object);
  return { ...unlocked, parts: sealedParts(record, unlocked.secret.pieces) };
}

/** As `decryptionOf`, for GET and HEAD, which cannot choose how an object is encrypted. */
export function decryptionOfRead(
  call: Pick<Call, "headers">,
  deps: Pick<HandlerDeps, "hash" | "keyRing">,
  object: StoredObject,
): Decryption | undefined {
  refuseEncryptionHeader(call.headers);
  return decryptionOf(object, call.headers, deps);
}

const NEEDLESS = "The encryption parameters are not applicable to this object.";

function requireLayout({ secret }: BodyEncryption, { record }: StoredObject): void {
  const { layout } = secret;
  const digest = Buffer.from(layoutDigest(record.size, record.parts));
  if (layout !== undefined && digest.equals(layout)) return;
  throw new StorageFault("corrupt", "an encrypted object has other sizes than it was stored with", {
    hint: "The object cannot be read here; restore it from a backup or another site.",
  });
}

/** As Store.readSmallBody, of the plaintext; the memory is the caller's own when decrypted. */
export function readSmallPlain(
  store: Store,
  object: StoredObject,
  range: ByteRange,
  decryption: Decryption | undefined,
): Uint8Array | undefined {
  if (decryption === undefined) return store.readSmallBody(object, range);
  const { parts, dataKey } = decryption;
  const stored = store.readSmallBody(object, storedRange(parts, range));
  if (stored === undefined) return undefined;
  const opener = new BlockOpener(dataKey);
  const pieces: Buffer[] = [];
  let at = 0;
  for (const wanted of blocksInRange(parts, range)) {
    pieces.push(opener.open(wanted, stored.subarray(at, at + wanted.storedBytes)));
    at += wanted.storedBytes;
  }
  const [first] = pieces;
  return pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces);
}

/** As Store.openBody, of the plaintext. */
export function openPlain(
  store: Store,
  object: StoredObject,
  range: ByteRange,
  decryption: Decryption | undefined,
): BodyReader {
  if (decryption === undefined) return store.openBody(object, range);
  const { parts, dataKey } = decryption;
  const stored = store.openBody(object, storedRange(parts, range));
  return new DecryptingReader(stored, dataKey, blocksInRange(parts, range));
}
