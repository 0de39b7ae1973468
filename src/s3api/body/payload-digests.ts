import { equalsInConstantTime } from "../../core/hmac.ts";
import type { ChecksumAlgorithm, StoredChecksum } from "../../core/records.ts";
import type { Hash, HashAlgorithm } from "../../ports/hash.ts";
import { S3Error } from "../errors.ts";
import { type IntegrityClaim, invalidChecksumValue, parseChecksum } from "./integrity-claim.ts";

/** What a whole and verified body hashes to. */
export type PayloadDigests = {
  readonly bytes: number;
  /** MD5 in hexadecimal: the ETag of an object stored in one piece. */
  readonly etag: string;
  /** The client's checksum, or the default one. */
  readonly checksum: StoredChecksum;
};

/** Everything a body must agree with. */
export type Expectations = {
  readonly claim: IntegrityClaim;
  /** From x-amz-content-sha256, when the whole body is signed. */
  readonly sha256: string | undefined;
  /** Of the checksum that is stored. */
  readonly algorithm: ChecksumAlgorithm;
};

/** The digests that a body of this kind needs. */
export function algorithmsFor(expected: Expectations): HashAlgorithm[] {
  const algorithms: HashAlgorithm[] = ["MD5", expected.algorithm];
  if (expected.sha256 !== undefined && expected.algorithm !== "SHA256") algorithms.push("SHA256");
  return algorithms;
}

/** Digests of a body at hand, checked. Hot path. */
export async function digestWhole(
  hash: Hash,
  bytes: Uint8Array,
  expected: Expectations,
  trailer: string | undefined,
): Promise<PayloadDigests> {
  const { sha256 } = expected;
  const [md5, checksum, other] = await hash.digests(algorithmsFor(expected), bytes);
  if (md5 === undefined || checksum === undefined) {
    throw new S3Error("InternalError", { cause: "a digest is missing" });
  }
  if (sha256 !== undefined) requireSha256(sha256, (other ?? checksum).toString("hex"));
  const value = checksum.toString("base64");
  return judge(expected, { bytes: bytes.length, md5, value, trailer });
}

/** Digests of a body that went by, checked. */
export function digestStreamed(
  digests: ReadonlyMap<HashAlgorithm, Buffer>,
  bytes: number,
  expected: Expectations,
  trailer: string | undefined,
): PayloadDigests {
  const { algorithm, sha256 } = expected;
  if (sha256 !== undefined) requireSha256(sha256, taken(digests, "SHA256").toString("hex"));
  const md5 = taken(digests, "MD5");
  const value = taken(digests, algorithm).toString("base64");
  return judge(expected, { bytes, md5, value, trailer });
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
