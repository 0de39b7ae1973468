import type { ChecksumAlgorithm } from "../../core/records.ts";
import type { Hash, HashAlgorithm } from "../../ports/hash.ts";
import type { BodyReader, BodyWriter } from "../../storage/store.ts";

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
