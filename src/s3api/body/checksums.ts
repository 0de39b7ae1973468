import type { ChecksumAlgorithm, PartSummary, StoredChecksum } from "../../core/records.ts";
import type { Hash } from "../../ports/hash.ts";
import { type CombinableAlgorithm, combineCrcs } from "./crc-combine.ts";

/** What S3 computes when the client sends no checksum of its own. */
export const DEFAULT_CHECKSUM = "CRC64NVME" satisfies ChecksumAlgorithm;

/** How the checksum of a multipart object comes from those of its parts. */
export type ChecksumPlan = {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: StoredChecksum["type"];
};

/**
 * The checksum type of an upload whose client did not name one. CRC64NVME always covers the whole
 * object; the others are composite unless asked otherwise.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 */
export function defaultChecksumType(algorithm: ChecksumAlgorithm): StoredChecksum["type"] {
  return algorithm === "CRC64NVME" ? "FULL_OBJECT" : "COMPOSITE";
}

/** Whether S3 offers this combination: SHA only composite, CRC64NVME only over the whole. */
export function isChecksumPlan(plan: ChecksumPlan): boolean {
  const { algorithm, type } = plan;
  return type === "FULL_OBJECT" ? isCombinable(algorithm) : algorithm !== "CRC64NVME";
}

function isCombinable(algorithm: ChecksumAlgorithm): algorithm is CombinableAlgorithm {
  return algorithm !== "SHA1" && algorithm !== "SHA256";
}

/**
 * The checksum of an object from the checksums of its parts, in order; undefined when a part has
 * none of that algorithm.
 */
export function combineChecksums(
  hash: Hash,
  plan: ChecksumPlan,
  parts: ReadonlyArray<Pick<PartSummary, "size" | "checksums">>,
): StoredChecksum | undefined {
  const { algorithm, type } = plan;
  if (parts.length === 0) return undefined;
  const digests: Array<{ crc: Buffer; bytes: number }> = [];
  for (const part of parts) {
    const own = part.checksums.find((checksum) => checksum.algorithm === algorithm);
    if (own === undefined) return undefined;
    digests.push({ crc: Buffer.from(own.value, "base64"), bytes: part.size });
  }
  if (type === "FULL_OBJECT") {
    if (!isCombinable(algorithm)) return undefined;
    return { algorithm, type, value: combineCrcs(algorithm, digests).toString("base64") };
  }
  const all = hash.digest(algorithm, Buffer.concat(digests.map(({ crc }) => crc)));
  return { algorithm, type, value: `${all.toString("base64")}-${parts.length}` };
}

/** The checksum alone, without the number of parts that a composite one ends with. */
export function withoutPartCount(value: string): string {
  return value.replace(/-\d+$/, "");
}
