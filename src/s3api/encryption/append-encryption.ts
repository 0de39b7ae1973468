import type { PartSealer } from "../../core/block-cipher.ts";
import type { EnvelopeSecret, SealedPiece } from "../../core/encryption-envelope.ts";
import { LIMITS } from "../../core/limits.ts";
import type { EncryptionEnvelope, ObjectRecord } from "../../core/records.ts";
import type { StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import type { HandlerDeps, ObjectCall } from "../operation.ts";
import {
  type BodyEncryption,
  encryptionOfNew,
  envelopeOfObject,
  openSealed,
  sealerOf,
} from "./body-encryption.ts";
import { asksForEncryption, ENCRYPTION_HEADER } from "./encryption-headers.ts";
import { decryptionOf } from "./object-bytes.ts";

/** How bytes are encrypted that are written behind the end of an object. */
export type AppendEncryption = {
  /** For the answer; undefined when nothing is encrypted. */
  readonly encryption: BodyEncryption | undefined;
  /** Encrypts the new bytes, which are one piece of their own. */
  readonly sealer: PartSealer | undefined;
  /**
   * Makes the envelope of the object with the new bytes, in the commit. Throws when the object is
   * no longer the one that they were encrypted for.
   */
  readonly envelopeOf: (
    current: ObjectRecord | undefined,
    after: Pick<ObjectRecord, "size" | "parts">,
  ) => EncryptionEnvelope | undefined;
};

/**
 * Decides how appended bytes are encrypted: as those in front of them, with the object's own data
 * key or not at all. Only an append that begins an object follows the request or the bucket.
 */
export function encryptionOfAppend(
  call: ObjectCall,
  deps: HandlerDeps,
  seen: StoredObject | undefined,
): AppendEncryption {
  if (seen === undefined) return beginEncrypted(call, deps);
  if (seen.record.encryption === undefined) {
    if (asksForEncryption(call.headers)) throw otherEncryption();
    return { encryption: undefined, sealer: undefined, envelopeOf: envelopeOfPlain };
  }
  const isManaged = call.headers.get(ENCRYPTION_HEADER) !== undefined;
  const encryption = decryptionOf(seen, call.headers, deps);
  if (encryption === undefined || (isManaged && encryption.secret.kind !== "managed")) {
    throw otherEncryption();
  }
  const { secret, dataKey, customerMd5, parts } = encryption;
  const highest = parts.reduce((most, part) => Math.max(most, part.partNumber), 0);
  // Above every number that a part can have, so that no piece is taken for one.
  const partNumber = Math.max(highest, LIMITS.partNumberMax) + 1;
  const before = parts.reduce((sum, part) => sum + part.size, 0);
  return {
    encryption: { secret, dataKey, customerMd5 },
    sealer: sealerOf(deps, encryption, partNumber),
    envelopeOf: (current, after) => {
      requireSame(deps, seen, current);
      const pieces: SealedPiece[] = [...parts, { partNumber, size: after.size - before }];
      return envelopeOfObject(deps, { secret: { ...secret, pieces } }, call.bucket, after);
    },
  };
}

function beginEncrypted(call: ObjectCall, deps: HandlerDeps): AppendEncryption {
  const encryption = encryptionOfNew(call, deps);
  return {
    encryption,
    sealer: encryption === undefined ? undefined : sealerOf(deps, encryption, 0),
    envelopeOf: (current, after) => {
      if (current !== undefined) throw replaced();
      if (encryption === undefined) return undefined;
      return envelopeOfObject(deps, encryption, call.bucket, after);
    },
  };
}

function envelopeOfPlain(current: ObjectRecord | undefined): undefined {
  if (current?.encryption !== undefined) throw replaced();
}

/** Bytes encrypted for another body would never be read again. */
function requireSame(
  deps: HandlerDeps,
  seen: StoredObject,
  current: ObjectRecord | undefined,
): void {
  const [before, now] = [seen.record, current].map((record) =>
    record?.encryption === undefined
      ? undefined
      : identityOf(openSealed(deps, record.encryption, seen.bucket)),
  );
  if (before === undefined || now === undefined || !now.equals(before)) throw replaced();
}

/** What differs between any two encrypted bodies: their key, or its salt, and their sizes. */
function identityOf(secret: EnvelopeSecret): Buffer {
  const own = secret.kind === "managed" ? secret.dataKey : secret.salt;
  return Buffer.concat([own, secret.layout ?? Buffer.alloc(0)]);
}

function replaced(): S3Error {
  return new S3Error("ConditionalRequestConflict");
}

function otherEncryption(): S3Error {
  return new S3Error("InvalidRequest", {
    message:
      "Bytes are appended with the encryption that the object has; no other can be asked for.",
  });
}
