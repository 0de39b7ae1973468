import type { ChecksumAlgorithm } from "../../core/records.ts";
import type { Hash, HashAlgorithm } from "../../ports/hash.ts";
import type { BodyReader, BodyWriter, Store, StoredObject } from "../../storage/store.ts";

/** Reads a body to its end for a checksum of it, in base64; closes the reader. */
export async function checksumOfBody(
  hash: Hash,
  reader: BodyReader,
  algorithm: ChecksumAlgorithm,
): Promise<string> {
  const digests = await digestBody(hash, reader, [algorithm], undefined);
  return digests.get(algorithm)?.toString("base64") ?? "";
}

/** Reads a body to its end, computes its digests, and copies it when there is a writer. */
export async function digestBody(
  hash: Hash,
  reader: BodyReader,
  algorithms: readonly HashAlgorithm[],
  writer: BodyWriter | undefined,
): Promise<ReadonlyMap<HashAlgorithm, Buffer>> {
  const hasher = hash.startStream(algorithms);
  try {
    for (let slice = await reader.next(); slice !== undefined; slice = await reader.next()) {
      // The reader uses the slice's memory again, so both must be done with it.
      await Promise.all([hasher.update(slice), writer?.write(slice)]);
    }
    return await hasher.digest();
  } catch (failure) {
    hasher.abort();
    throw failure;
  } finally {
    reader.close();
  }
}

/** The whole of a small body as it is stored, in memory of its own. */
export async function readWholeBody(store: Store, object: StoredObject): Promise<Uint8Array> {
  const { body, size } = object.record;
  const range = { start: 0, end: body.kind === "inline" ? body.bytes : size };
  if (range.end === 0) return new Uint8Array(0);
  const warm = store.readSmallBody(object, range);
  // What the store gives is shared; what is to be stored belongs to who stores it.
  if (warm !== undefined) return Buffer.from(warm);
  return readBody(store.openBody(object, range));
}

/** Everything a reader gives, in memory of its own; closes it. For small bodies. */
export async function readBody(reader: BodyReader): Promise<Uint8Array> {
  const slices: Buffer[] = [];
  try {
    for (let slice = await reader.next(); slice !== undefined; slice = await reader.next()) {
      slices.push(Buffer.from(slice));
    }
  } finally {
    reader.close();
  }
  return Buffer.concat(slices);
}
