import type { ChecksumAlgorithm, StoredChecksum } from "../../core/records.ts";
import type { HashAlgorithm } from "../../ports/hash.ts";
import type { PutObjectRequest, StoredObject } from "../../storage/store.ts";
import { DEFAULT_CHECKSUM } from "../body/checksums.ts";
import {
  type BodyEncryption,
  encryptionOfNew,
  envelopeOfObject,
  etagOf,
  sealerOf,
} from "../encryption/body-encryption.ts";
import { encryptWhole } from "../encryption/encrypting-writer.ts";
import { type Decryption, decryptionOf, openPlain } from "../encryption/object-bytes.ts";
import type { HandlerDeps, ObjectCall } from "../operation.ts";
import { readChecksumAlgorithm } from "./checksum-wish.ts";
import { isInline } from "./put-object.ts";
import { stageSealed } from "./request-body.ts";
import { checksumOfBody, digestBody, readBody, readWholeBody } from "./stored-body.ts";

/** What a copy is: its bytes, and what its record says of them. */
export type CopiedBody = {
  readonly object: Omit<PutObjectRequest["object"], "attributes">;
  readonly body: PutObjectRequest["body"];
  /** How the copy is encrypted, for the answer. */
  readonly encryption: BodyEncryption | undefined;
};

/**
 * Makes the body of a copy. The bytes are shared, or copied as they stand when they are few, as
 * long as they may stay encrypted as they are; otherwise they are read and written again.
 */
export async function copyBody(
  call: ObjectCall,
  deps: HandlerDeps,
  source: StoredObject,
): Promise<CopiedBody> {
  const decryption = decryptionOf(source, call.headers, deps, "source");
  const encryption = encryptionOfNew(call, deps);
  const kept = sharedEncryption(decryption, encryption);
  const asked = readChecksumAlgorithm(call.headers);
  if (kept === "none") return writeAgain(deps, source, { call, decryption, encryption, asked });
  const { size, etag, parts } = source.record;
  // What the copy names must be here: this site answers for it.
  await deps.store.remote.bring(source);
  const checksums = await copiedChecksums(deps, source, decryption, asked);
  const envelope =
    kept === undefined ? undefined : envelopeOfObject(deps, kept, call.bucket, { size, parts });
  return {
    object: { size, etag, parts, checksums, encryption: envelope },
    body:
      source.record.body.kind === "inline"
        ? { kind: "inline", bytes: await readWholeBody(deps.store, source) }
        : { kind: "shared", source },
    encryption: kept,
  };
}

/**
 * How source and copy are both encrypted, when the stored bytes can serve both; "none" when they
 * cannot.
 */
function sharedEncryption(
  source: Decryption | undefined,
  copy: BodyEncryption | undefined,
): BodyEncryption | undefined | "none" {
  if (source === undefined && copy === undefined) return undefined;
  // With a client's key nothing is shared: one key would open two objects for ever.
  const areOurs = source?.secret.kind === "managed" && copy?.secret.kind === "managed";
  return areOurs ? source : "none";
}

/** The source's checksums, or one of the algorithm the client asks for, computed from its bytes. */
async function copiedChecksums(
  deps: HandlerDeps,
  source: StoredObject,
  decryption: Decryption | undefined,
  asked: ChecksumAlgorithm | undefined,
): Promise<readonly StoredChecksum[]> {
  const { checksums, size } = source.record;
  if (asked === undefined) return checksums;
  if (checksums.some((checksum) => checksum.algorithm === asked)) return checksums;
  const reader = openPlain(deps.store, source, { start: 0, end: size }, decryption);
  const value = await checksumOfBody(deps.hash, reader, asked);
  return [{ algorithm: asked, type: "FULL_OBJECT", value }];
}

type Rewriting = {
  readonly call: ObjectCall;
  readonly decryption: Decryption | undefined;
  readonly encryption: BodyEncryption | undefined;
  readonly asked: ChecksumAlgorithm | undefined;
};

/** Writes the bytes again: the copy becomes one piece, as every copy at AWS does. */
async function writeAgain(
  deps: HandlerDeps,
  source: StoredObject,
  { call, decryption, encryption, asked }: Rewriting,
): Promise<CopiedBody> {
  const { size, checksums } = source.record;
  const algorithm = asked ?? checksums[0]?.algorithm ?? DEFAULT_CHECKSUM;
  const sealer = encryption === undefined ? undefined : sealerOf(deps, encryption, 0);
  const open = () => openPlain(deps.store, source, { start: 0, end: size }, decryption);
  const describe = (digests: ReadonlyMap<HashAlgorithm, Buffer>): CopiedBody["object"] => {
    const md5 = digests.get("MD5")?.toString("hex") ?? "";
    const value = digests.get(algorithm)?.toString("base64") ?? "";
    return {
      size,
      etag: encryption === undefined ? md5 : etagOf(encryption, md5),
      parts: [],
      checksums: [{ algorithm, type: "FULL_OBJECT", value }],
      encryption:
        encryption === undefined
          ? undefined
          : envelopeOfObject(deps, encryption, call.bucket, { size, parts: [] }),
    };
  };
  if (isInline(size, sealer)) {
    const bytes = await readBody(open());
    const names = ["MD5", algorithm] as const;
    const digests = new Map(names.map((name) => [name, deps.hash.digest(name, bytes)]));
    const kept = sealer === undefined ? bytes : encryptWhole(sealer, bytes);
    return { object: describe(digests), body: { kind: "inline", bytes: kept }, encryption };
  }
  const writer = await stageSealed(deps, sealer);
  try {
    const digests = await digestBody(deps.hash, open(), ["MD5", algorithm], writer);
    const staged = await writer.finish();
    return { object: describe(digests), body: { kind: "staged", staged }, encryption };
  } catch (failure) {
    writer.abort();
    throw failure;
  }
}
