import { createHash, hash } from "node:crypto";
import { Blake3Hasher, blake3 } from "@napi-rs/blake-hash";
import { crc32, crc32c } from "@node-rs/crc32";
import { createCRC64 } from "hash-wasm";
import { crc32OfSmall } from "../core/crc32.ts";
import type { Hash, HashAlgorithm, Hasher } from "./hash.ts";
import { HashBatches } from "./hash-batches.ts";
import { createHashPool } from "./hash-pool.ts";
import { SpanHasher } from "./span-hasher.ts";

/** Below this many bytes a checksum in JavaScript is faster than a call into native code. */
const SMALL_BYTES = 192;
/** CRC-64/NVME, reflected: https://reveng.sourceforge.io/crc-catalogue/all.htm */
const CRC64_NVME_POLYNOMIAL = "9a6c9329ac4bc9b5";

type Crc64 = Awaited<ReturnType<typeof createCRC64>>;

/**
 * Digests by OpenSSL, native CRCs and BLAKE3, and WebAssembly for CRC-64. Large streams go to a
 * pool of worker threads, made when the first one begins.
 */
export async function createNativeHash(settings?: { readonly workers?: number }): Promise<Hash> {
  const crc64 = await createCRC64(CRC64_NVME_POLYNOMIAL);
  const emptyCrc64 = crc64.init().save();
  const start = (algorithm: HashAlgorithm): Hasher => startHasher(algorithm, crc64, emptyCrc64);
  const pool = createHashPool({
    start,
    polynomial: CRC64_NVME_POLYNOMIAL,
    workers: settings?.workers ?? 2,
  });
  const batches = new HashBatches({
    polynomial: CRC64_NVME_POLYNOMIAL,
    digest: (algorithm, bytes) => digest(algorithm, bytes, crc64),
  });
  const spans = new SpanHasher((bytes) => hash("sha256", bytes, "buffer"));
  return {
    crc32: (bytes, seed) =>
      seed === undefined && bytes.length < SMALL_BYTES ? crc32OfSmall(bytes) : crc32(bytes, seed),
    digest: (algorithm, bytes) => digest(algorithm, bytes, crc64),
    start,
    startStream: (algorithms) => pool.startStream(algorithms),
    digests: (algorithms, bytes) => batches.digests(algorithms, bytes),
    sha256Spans: (memory, pieces) => spans.digests(memory, pieces),
    rest: () => pool.rest(),
    close: async () => {
      await Promise.all([pool.close(), batches.close(), spans.close()]);
    },
  };
}

function digest(algorithm: HashAlgorithm, bytes: Uint8Array, crc64: Crc64): Buffer {
  switch (algorithm) {
    case "MD5":
      return digestOf("md5", bytes);
    case "SHA1":
      return digestOf("sha1", bytes);
    case "SHA256":
      return digestOf("sha256", bytes);
    case "CRC32":
      return bigEndian(crc32(bytes));
    case "CRC32C":
      return bigEndian(crc32c(bytes));
    case "CRC64NVME":
      return Buffer.from(crc64.init().update(bytes).digest("binary"));
    case "BLAKE3":
      return blake3(bytes);
  }
}

/** Through text: a digest in memory that OpenSSL's binding makes for it costs a third more. */
function digestOf(algorithm: string, bytes: Uint8Array): Buffer {
  return Buffer.from(hash(algorithm, bytes, "binary"), "latin1");
}

function startHasher(algorithm: HashAlgorithm, crc64: Crc64, emptyCrc64: Uint8Array): Hasher {
  switch (algorithm) {
    case "MD5":
    case "SHA1":
    case "SHA256":
      return createHash(algorithm.toLowerCase());
    case "CRC32":
      return startCrc(crc32);
    case "CRC32C":
      return startCrc(crc32c);
    case "CRC64NVME":
      return startCrc64(crc64, emptyCrc64);
    case "BLAKE3":
      return startBlake3();
  }
}

function startCrc(update: (bytes: Uint8Array, state: number) => number): Hasher {
  let state = 0;
  return {
    update: (bytes) => {
      state = update(bytes, state);
    },
    digest: () => bigEndian(state),
  };
}

/** One WebAssembly instance serves all: making one is asynchronous, its state is small. */
function startCrc64(crc64: Crc64, emptyCrc64: Uint8Array): Hasher {
  let state = emptyCrc64;
  return {
    update: (bytes) => {
      state = crc64.load(state).update(bytes).save();
    },
    digest: () => Buffer.from(crc64.load(state).digest("binary")),
  };
}

function startBlake3(): Hasher {
  const hasher = new Blake3Hasher();
  return {
    update: (bytes) => {
      hasher.update(bytes);
    },
    digest: () => hasher.digestBuffer(),
  };
}

function bigEndian(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
