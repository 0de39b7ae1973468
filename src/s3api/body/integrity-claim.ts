import { DIGEST_BYTES } from "../../core/checksum-codec.ts";
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";

/** What a client claims its body hashes to. Nothing of it has been checked yet. */
export type IntegrityClaim = {
  readonly md5: Uint8Array | undefined;
  /** At most one: S3 stores one checksum. */
  readonly checksum:
    | {
        readonly algorithm: ChecksumAlgorithm;
        /** Base64; undefined when it comes in the trailer. */
        readonly value: string | undefined;
      }
    | undefined;
};

const MD5_BYTES = 16;
const HEADER_PREFIX = "x-amz-checksum-";
/** Headers with the checksum prefix that configure the checksum and do not carry one. */
const SETTINGS = ["algorithm", "mode", "type"];

/**
 * Reads Content-MD5, `x-amz-checksum-*`, `x-amz-sdk-checksum-algorithm` and `x-amz-trailer`, and
 * refuses what contradicts itself.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 */
export function readIntegrityClaim(headers: RequestHeaders): IntegrityClaim {
  let md5: Uint8Array | undefined;
  let checksum: IntegrityClaim["checksum"];
  let announced: string | undefined;
  for (const [name, value] of headers.entries) {
    if (name === "content-md5") md5 = parseMd5(value, headers);
    else if (name === "x-amz-sdk-checksum-algorithm") announced = value;
    else if (name === "x-amz-trailer") checksum = only(checksum, trailerChecksum(value));
    else if (name.startsWith(HEADER_PREFIX)) {
      const suffix = name.slice(HEADER_PREFIX.length);
      if (SETTINGS.includes(suffix)) continue;
      checksum = only(checksum, headerChecksum(suffix, value));
    }
  }
  if (announced !== undefined) requireAnnounced(announced, checksum?.algorithm);
  return { md5, checksum };
}

/** Reads a base64 checksum of this algorithm; undefined when it has not the shape of one. */
export function parseChecksum(algorithm: ChecksumAlgorithm, text: string): string | undefined {
  return parseBase64(text, DIGEST_BYTES[algorithm]) === undefined ? undefined : text;
}

/** The algorithm whose header or trailer has this name ("x-amz-checksum-crc32"). */
function checksumHeaderAlgorithm(name: string): ChecksumAlgorithm | undefined {
  if (!name.startsWith(HEADER_PREFIX)) return undefined;
  return algorithmOf(name.slice(HEADER_PREFIX.length).toUpperCase());
}

/** AWS's error for a checksum header whose value is not a checksum of that algorithm. */
export function invalidChecksumValue(algorithm: ChecksumAlgorithm): S3Error {
  return new S3Error("InvalidRequest", {
    message: `Value for ${HEADER_PREFIX}${algorithm.toLowerCase()} header is invalid.`,
  });
}

function parseMd5(value: string, headers: RequestHeaders): Uint8Array {
  const md5 = headers.count("content-md5") > 1 ? undefined : parseBase64(value, MD5_BYTES);
  if (md5 !== undefined) return md5;
  throw new S3Error("InvalidDigest", { fields: { "Content-MD5": value } });
}

function headerChecksum(suffix: string, value: string): IntegrityClaim["checksum"] {
  const algorithm = algorithmOf(suffix.toUpperCase());
  if (algorithm === undefined) throw unknownAlgorithm();
  if (parseChecksum(algorithm, value) === undefined) throw invalidChecksumValue(algorithm);
  return { algorithm, value };
}

function trailerChecksum(value: string): IntegrityClaim["checksum"] {
  const algorithm = checksumHeaderAlgorithm(value.toLowerCase());
  if (algorithm !== undefined) return { algorithm, value: undefined };
  throw new S3Error("InvalidRequest", {
    message: "The value specified in the x-amz-trailer header is not supported",
  });
}

function only(
  before: IntegrityClaim["checksum"],
  next: IntegrityClaim["checksum"],
): IntegrityClaim["checksum"] {
  if (before === undefined) return next;
  throw new S3Error("InvalidRequest", {
    message: "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
  });
}

function requireAnnounced(announced: string, given: ChecksumAlgorithm | undefined): void {
  const algorithm = algorithmOf(announced.toUpperCase());
  if (algorithm === undefined) throw unknownAlgorithm();
  if (given === undefined) {
    throw new S3Error("InvalidRequest", {
      message:
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or " +
        "x-amz-trailer headers were found.",
    });
  }
  if (given !== algorithm) {
    throw new S3Error("InvalidRequest", {
      message: "Value for x-amz-sdk-checksum-algorithm header is invalid.",
    });
  }
}

function unknownAlgorithm(): S3Error {
  return new S3Error("InvalidRequest", {
    message:
      "Checksum algorithm provided is unsupported. Please try again with any of the valid types: " +
      `[${CHECKSUM_ALGORITHMS.join(", ")}]`,
  });
}

function algorithmOf(name: string): ChecksumAlgorithm | undefined {
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === name);
}

/** Canonical base64 of exactly so many bytes; Node's decoder alone would take almost anything. */
function parseBase64(text: string, bytes: number): Buffer | undefined {
  if (text.length !== Math.ceil(bytes / 3) * 4) return undefined;
  const decoded = Buffer.from(text, "base64");
  return decoded.length === bytes && decoded.toString("base64") === text ? decoded : undefined;
}
