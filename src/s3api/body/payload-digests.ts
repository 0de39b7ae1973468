import { equalsInConstantTime } from "../../core/hmac.ts";
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  type StoredChecksum,
} from "../../core/records.ts";
import type { HashAlgorithm } from "../../ports/hash.ts";
import { S3Error } from "../errors.ts";
import { type IntegrityClaim, invalidChecksumValue, parseChecksum } from "./integrity-claim.ts";

/** What a whole and verified body hashes to. */
export type PayloadDigests = {
  readonly bytes: number;
  /** MD5 in hexadecimal: the ETag of an object stored in one piece. */
  readonly etag: string;
  /** The client's checksum, or the default one. */
  readonly checksum: StoredChecksum;
  /** The additional checksum that was asked for. */
  readonly also?: StoredChecksum;
};

/** Everything a body must agree with. */
export type Expectations = {
  readonly claim: IntegrityClaim;
  /** From x-amz-content-sha256, when the whole body is signed. */
  readonly sha256: string | undefined;
  /** Of the checksum that is stored. */
  readonly algorithm: ChecksumAlgorithm;
};

const UNSIGNED_DIGESTS = digestsBy((algorithm) => ["MD5", algorithm]);
const SIGNED_DIGESTS = digestsBy((algorithm) =>
  algorithm === "SHA256" ? ["MD5", "SHA256"] : ["MD5", algorithm, "SHA256"],
);

function digestsBy(
  needed: (algorithm: ChecksumAlgorithm) => readonly HashAlgorithm[],
): ReadonlyMap<ChecksumAlgorithm, readonly HashAlgorithm[]> {
  return new Map(CHECKSUM_ALGORITHMS.map((algorithm) => [algorithm, needed(algorithm)]));
}

/** The digests that a body of this kind needs; the same list for the same kind. */
export function algorithmsFor({ algorithm, sha256 }: Expectations): readonly HashAlgorithm[] {
  return (sha256 === undefined ? UNSIGNED_DIGESTS : SIGNED_DIGESTS).get(algorithm) ?? ["MD5"];
}

/** The checked digests of a body in memory, computed in the order of `algorithmsFor`. Hot path. */
export function judgeWhole(
  [md5, checksum, other]: readonly Buffer[],
  bytes: number,
  expected: Expectations,
  trailer: string | undefined,
): PayloadDigests {
  const { sha256 } = expected;
  if (md5 === undefined || checksum === undefined) {
    throw new S3Error("InternalError", { cause: "a digest is missing" });
  }
  if (sha256 !== undefined) requireSha256(sha256, (other ?? checksum).toString("hex"));
  return judge(expected, { bytes, md5, value: checksum.toString("base64"), trailer });
}

/** The checked digests of a streamed body. */
export function digestStreamed(
  digests: ReadonlyMap<HashAlgorithm, Buffer>,
  bytes: number,
  expected: Expectations,
  trailer: string | undefined,
): PayloadDigests {
  const { algorithm, sha256 } = expected;
  if (sha256 !== undefined) requireSha256(sha256, taken(digests, "SHA256").toString("hex"));
  const md5 = taken(digests, "MD5");
  const { value } = checksumOf(digests, algorithm);
  return judge(expected, { bytes, md5, value, trailer });
}

/** A checksum of a whole streamed body. */
export function checksumOf(
  digests: ReadonlyMap<HashAlgorithm, Buffer>,
  algorithm: ChecksumAlgorithm,
): StoredChecksum {
  const value = taken(digests, algorithm).toString("base64");
  return { algorithm, type: "FULL_OBJECT", value };
}

function taken(digests: ReadonlyMap<HashAlgorithm, Buffer>, algorithm: HashAlgorithm): Buffer {
  const digest = digests.get(algorithm);
  if (digest === undefined) throw new S3Error("InternalError", { cause: `no ${algorithm} digest` });
  return digest;
}

type Computed = {
  readonly bytes: number;
  readonly md5: Buffer;
  /** Base64. */
  readonly value: string;
  readonly trailer: string | undefined;
};

function judge(expected: Expectations, computed: Computed): PayloadDigests {
  const { md5, checksum } = expected.claim;
  if (md5 !== undefined && !computed.md5.equals(md5)) {
    throw new S3Error("BadDigest", {
      fields: {
        ExpectedDigest: Buffer.from(md5).toString("base64"),
        CalculatedDigest: computed.md5.toString("base64"),
      },
    });
  }
  if (checksum !== undefined) {
    const claimed = checksum.value ?? trailerValue(checksum.algorithm, computed.trailer);
    if (claimed !== computed.value) throw wrongChecksum(checksum.algorithm);
  }
  return {
    bytes: computed.bytes,
    etag: computed.md5.toString("hex"),
    checksum: { algorithm: expected.algorithm, type: "FULL_OBJECT", value: computed.value },
  };
}

function trailerValue(algorithm: ChecksumAlgorithm, trailer: string | undefined): string {
  const value = trailer === undefined ? undefined : parseChecksum(algorithm, trailer);
  if (value === undefined) throw invalidChecksumValue(algorithm);
  return value;
}

function wrongChecksum(algorithm: ChecksumAlgorithm): S3Error {
  return new S3Error("BadDigest", {
    message: `The ${algorithm} you specified did not match the calculated checksum.`,
  });
}

function requireSha256(claimed: string, computed: string): void {
  if (equalsInConstantTime(claimed, computed)) return;
  throw new S3Error("XAmzContentSHA256Mismatch", {
    fields: { ClientComputedContentSHA256: claimed, S3ComputedContentSHA256: computed },
  });
}
