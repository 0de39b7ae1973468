import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { type ChecksumPlan, defaultChecksumType, isChecksumPlan } from "../body/checksums.ts";
import { S3Error } from "../errors.ts";

/** `x-amz-checksum-algorithm` of a copy or an upload. */
export function readChecksumAlgorithm(headers: RequestHeaders): ChecksumAlgorithm | undefined {
  const text = headers.get("x-amz-checksum-algorithm");
  if (text === undefined) return undefined;
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === text.toUpperCase());
  if (algorithm !== undefined) return algorithm;
  throw new S3Error("InvalidRequest", {
    message:
      "Checksum algorithm provided is unsupported. Please try again with any of the valid types: " +
      "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
  });
}

/** How an upload's object will be checksummed; undefined when the client does not say. */
export function readChecksumPlan(headers: RequestHeaders): ChecksumPlan | undefined {
  const algorithm = readChecksumAlgorithm(headers);
  const type = readChecksumType(headers);
  if (algorithm === undefined) {
    if (type === undefined) return undefined;
    throw new S3Error("InvalidRequest", {
      message:
        "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
    });
  }
  const plan = { algorithm, type: type ?? defaultChecksumType(algorithm) };
  if (isChecksumPlan(plan)) return plan;
  throw new S3Error("InvalidRequest", {
    message:
      `The ${plan.type} checksum type cannot be used with the ${algorithm.toLowerCase()} ` +
      "checksum algorithm.",
  });
}

/** `x-amz-checksum-type`, in any letters; undefined when the client does not say. */
export function readChecksumType(headers: RequestHeaders): ChecksumPlan["type"] | undefined {
  const text = headers.get("x-amz-checksum-type");
  if (text === undefined) return undefined;
  const type = text.toUpperCase();
  if (type === "COMPOSITE" || type === "FULL_OBJECT") return type;
  throw new S3Error("InvalidRequest", {
    message: "Value for x-amz-checksum-type header is invalid.",
  });
}
