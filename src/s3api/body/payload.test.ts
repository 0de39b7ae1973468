import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BodyExchange } from "../../../test/support/body-exchange.ts";
import { chunkedParts, signingKeyOf } from "../../../test/support/chunked-body.ts";
import { headersOf } from "../../../test/support/headers.ts";
import { fc } from "../../../test/support/properties.ts";
import { HmacKey } from "../../core/hmac.ts";
import { LIMITS } from "../../core/limits.ts";
import type { BodySink, Exchange } from "../../http/exchange.ts";
import type { Hash } from "../../ports/hash.ts";
import { createHeap } from "../../ports/heap.ts";
import { createNativeHash } from "../../ports/native-hash.ts";
import type { PayloadClaim } from "../auth/payload-claim.ts";
import { S3Error } from "../errors.ts";
import { openPayload, type PayloadSettings } from "./payload.ts";

let hash: Hash;
beforeAll(async () => {
  hash = await createNativeHash({ workers: 1 });
});
afterAll(() => hash.close());

const SCOPE = "20261121/us-east-1/s3/aws4_request";
const DATE = "20261121T093000Z";
const KEY = signingKeyOf("secret", SCOPE);
const SEED = "5".repeat(64);
const UNSIGNED: PayloadClaim = { kind: "unsigned" };

type Case = {
  readonly pieces: readonly Uint8Array[];
  readonly headers: Readonly<Record<string, string>>;
  readonly claim: PayloadClaim;
  readonly settings?: Partial<PayloadSettings>;
  readonly received?: (bytes: number) => void;
  readonly ending?: "abort" | "silence";
};

function open(given: Case) {
  const body = new BodyExchange(given.pieces, given.ending);
  const source = {
    exchange: body.asExchange(),
    headers: headersOf(Object.entries(given.headers)),
    claim: given.claim,
    ...(given.received === undefined ? {} : { received: given.received }),
  };
  const payload = openPayload(source, hash, { bytesMax: LIMITS.putBytesMax, ...given.settings });
  return { body, payload };
}

/** Reads in one of the two ways, keeping what came out. */
async function read(way: "readAll" | "pipe", given: Case) {
  const { body, payload } = open(given);
  if (way === "readAll") {
    const { bytes, digests } = await payload.readAll(LIMITS.putBytesMax);
    return { body, bytes, digests };
  }
  const kept: Buffer[] = [];
  const digests = await payload.pipe({
    write: (bytes) => {
      kept.push(Buffer.from(bytes));
      return undefined;
    },
  });
  return { body, bytes: Buffer.concat(kept), digests };
}

async function codeOf(way: "readAll" | "pipe", given: Case): Promise<string> {
  try {
    await read(way, given);
    return "accepted";
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

function digest(algorithm: string, bytes: Uint8Array, encoding: "hex" | "base64"): string {
  return createHash(algorithm).update(bytes).digest(encoding);
}

function plain(bytes: Uint8Array, headers: Readonly<Record<string, string>> = {}): Case {
  return {
    pieces: [bytes],
    headers: { "content-length": String(bytes.length), ...headers },
    claim: UNSIGNED,
  };
}

function chunked(kind: "signed" | "signed-trailer" | "unsigned-trailer", bytes: Buffer): Case {
  const trailer = {
    name: "x-amz-checksum-crc32",
    value: hash.digest("CRC32", bytes).toString("base64"),
  };
  const signed = kind !== "unsigned-trailer";
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 65536) pieces.push(bytes.subarray(at, at + 65536));
  const parts = chunkedParts({
    pieces,
    ...(signed ? { chain: { seed: SEED, key: KEY, scope: SCOPE, date: DATE } } : {}),
    ...(kind === "signed" ? {} : { trailer }),
  });
  return {
    pieces: parts,
    headers: {
      "x-amz-decoded-content-length": String(bytes.length),
      ...(kind === "signed" ? {} : { "x-amz-trailer": trailer.name }),
    },
    claim: signed
      ? {
          kind: "streaming-signed",
          seedSignature: SEED,
          signingKey: new HmacKey(KEY),
          scope: SCOPE,
          date: DATE,
          trailer: kind === "signed-trailer",
        }
      : { kind: "streaming-unsigned-trailer" },
  };
}

const HELLO = Buffer.from("hello, world");
const LARGE = Buffer.alloc(1_500_000, "a long story ");
const WAYS = ["readAll", "pipe"] as const;
const KINDS = ["signed", "signed-trailer", "unsigned-trailer"] as const;

test.each(WAYS)("%s gives the bytes, the ETag and the default checksum", async (way) => {
  for (const bytes of [Buffer.alloc(0), HELLO, LARGE]) {
    const result = await read(way, plain(bytes));
    expect(result.bytes.equals(bytes)).toBe(true);
    expect(result.digests).toEqual({
      bytes: bytes.length,
      etag: digest("md5", bytes, "hex"),
      checksum: {
        algorithm: "CRC64NVME",
        type: "FULL_OBJECT",
        value: hash.digest("CRC64NVME", bytes).toString("base64"),
      },
    });
  }
});

test.each(WAYS)("%s gives the same whatever pieces the body comes in", async (way) => {
  const piece = fc.uint8Array({ maxLength: 5000 });
  const bodies = fc.array(piece, { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(bodies, async (pieces) => {
      const whole = Buffer.concat(pieces);
      const result = await read(way, { ...plain(whole), pieces });
      expect(result.bytes.equals(whole)).toBe(true);
      expect(result.digests.etag).toBe(digest("md5", whole, "hex"));
    }),
    { numRuns: 30 },
  );
});

test.each(WAYS)("%s stores the algorithm that the client or the upload has chosen", async (way) => {
  const value = digest("sha256", HELLO, "base64");
  const chosen = await read(way, plain(HELLO, { "x-amz-checksum-sha256": value }));
  const checksum = { algorithm: "SHA256", type: "FULL_OBJECT", value };
  expect(chosen.digests.checksum).toEqual(checksum);
  const asked = await read(way, { ...plain(HELLO), settings: { algorithm: "SHA256" } });
  expect(asked.digests.checksum).toEqual(checksum);
});

test.each(WAYS)("%s holds the client to its digests", async (way) => {
  const wrong = Buffer.from("hello, World");
  const md5 = digest("md5", HELLO, "base64");
  const crc = hash.digest("CRC32", HELLO).toString("base64");
  const sha1 = digest("sha1", HELLO, "base64");
  const signed: PayloadClaim = { kind: "signed", sha256: digest("sha256", HELLO, "hex") };
  const claims: ReadonlyArray<readonly [Partial<Case>, string]> = [
    [{ claim: signed }, "XAmzContentSHA256Mismatch"],
    [plain(HELLO, { "content-md5": md5 }), "BadDigest"],
    [plain(HELLO, { "x-amz-checksum-crc32": crc }), "BadDigest"],
    [plain(HELLO, { "x-amz-checksum-sha1": sha1 }), "BadDigest"],
  ];
  for (const [claim, code] of claims) {
    expect(await codeOf(way, { ...plain(HELLO), ...claim, pieces: [HELLO] })).toBe("accepted");
    expect(await codeOf(way, { ...plain(HELLO), ...claim, pieces: [wrong] })).toBe(code);
  }
});

test.each(WAYS)("%s refuses bodies longer or shorter than announced", async (way) => {
  const headers = { "content-length": "12" };
  const short = { pieces: [HELLO.subarray(1)], headers, claim: UNSIGNED };
  expect(await codeOf(way, short)).toBe("IncompleteBody");
  const long = { pieces: [HELLO, HELLO], headers, claim: UNSIGNED };
  expect(await codeOf(way, long)).toBe("IncompleteBody");
  expect(await codeOf(way, { ...plain(HELLO), ending: "abort" })).toBe("IncompleteBody");
});

test.each(KINDS)("an aws-chunked body (%s) is decoded and verified both ways", async (kind) => {
  for (const way of WAYS) {
    for (const bytes of [Buffer.alloc(0), HELLO, LARGE]) {
      const result = await read(way, chunked(kind, bytes));
      expect(result.bytes.equals(bytes)).toBe(true);
      expect(result.digests.etag).toBe(digest("md5", bytes, "hex"));
      expect(result.digests.checksum.algorithm).toBe(kind === "signed" ? "CRC64NVME" : "CRC32");
    }
  }
});

test.each([
  ["signed", "SignatureDoesNotMatch"],
  ["signed-trailer", "SignatureDoesNotMatch"],
  ["unsigned-trailer", "BadDigest"],
] as const)(
  "a changed byte in an aws-chunked body (%s) is refused both ways",
  async (kind, code) => {
    const good = chunked(kind, LARGE);
    const pieces = good.pieces.map((piece) => Buffer.from(piece));
    const [first] = pieces;
    if (first !== undefined) first[1000] = (first[1000] ?? 0) ^ 1;
    for (const way of WAYS) {
      expect(await codeOf(way, good)).toBe("accepted");
      expect(await codeOf(way, { ...good, pieces })).toBe(code);
    }
  },
);

test.each([
  ["a wrong", "AAAAAA==", "BadDigest"],
  ["a malformed", "AAAA", "InvalidRequest"],
])("%s trailer is refused both ways", async (_name, value, code) => {
  const good = chunked("unsigned-trailer", HELLO);
  const trailer = { name: "x-amz-checksum-crc32", value };
  for (const way of WAYS) {
    expect(await codeOf(way, { ...good, pieces: chunkedParts({ pieces: [HELLO], trailer }) })).toBe(
      code,
    );
  }
});

/** What becomes of each kind when its trailer is announced, or no longer is. */
const FLIPPED = {
  signed: "InvalidRequest",
  "signed-trailer": "MalformedTrailerError",
  "unsigned-trailer": "opened",
};

test("what cannot become good is refused before a byte is read", () => {
  const refused = (given: Case): string => {
    try {
      open(given);
      return "opened";
    } catch (failure) {
      if (failure instanceof S3Error) return failure.code;
      throw failure;
    }
  };
  const sized = (length: string): Case => ({
    ...plain(HELLO),
    headers: { "content-length": length },
  });
  expect(refused(sized("12"))).toBe("opened");
  expect(refused(sized("5368709121"))).toBe("EntityTooLarge");
  for (const length of ["-1", "+1", "0x1", "1e3", "12 ", "12,12", "9".repeat(19)]) {
    expect(refused(sized(length)), length).toBe(length === "12 " ? "opened" : "InvalidArgument");
  }
  expect(refused({ ...plain(HELLO), headers: {} })).toBe("MissingContentLength");
  const chunkedTransfer = { "transfer-encoding": "chunked" };
  expect(refused({ ...plain(HELLO), headers: chunkedTransfer })).toBe("MissingContentLength");
  expect(refused(plain(HELLO, { "x-amz-trailer": "x-amz-checksum-crc32" }))).toBe("InvalidRequest");
  for (const kind of KINDS) {
    const good = chunked(kind, HELLO);
    expect(refused(good)).toBe("opened");
    const { "x-amz-decoded-content-length": _length, ...unsized } = good.headers;
    expect(refused({ ...good, headers: unsized })).toBe("MissingContentLength");
    const many = { ...unsized, "x-amz-decoded-content-length": "many" };
    expect(refused({ ...good, headers: many })).toBe("MissingContentLength");
    const { "x-amz-trailer": announced, ...bare } = good.headers;
    const flipped =
      announced === undefined ? { ...bare, "x-amz-trailer": "x-amz-checksum-crc32" } : bare;
    expect(refused({ ...good, headers: flipped })).toBe(FLIPPED[kind]);
  }
});

test("a form named after its trailer does without one, and takes none unannounced", async () => {
  const { headers, ...good } = chunked("unsigned-trailer", HELLO);
  const { "x-amz-trailer": _announced, ...bare } = headers;
  const given = { ...good, headers: bare };
  const pieces = chunkedParts({ pieces: [HELLO] });
  for (const way of WAYS) {
    expect(await codeOf(way, { ...given, pieces })).toBe("accepted");
    expect(await codeOf(way, given)).toBe("MalformedTrailerError");
  }
});

test("a document may come without length, as nothing or in chunks up to the limit", async () => {
  const settings = { lengthOptional: true, bytesMax: 20 };
  const none = await read("readAll", { pieces: [], headers: {}, claim: UNSIGNED, settings });
  expect(none.bytes).toHaveLength(0);
  const headers = { "transfer-encoding": "chunked" };
  const some = { pieces: [HELLO], headers, claim: UNSIGNED, settings };
  expect((await read("readAll", some)).bytes.equals(HELLO)).toBe(true);
  expect(await codeOf("readAll", { ...some, pieces: [HELLO, HELLO] })).toBe("EntityTooLarge");
});

test("a body too large for memory is refused before a byte is read", async () => {
  const { body, payload } = open(plain(LARGE));
  await expect(payload.readAll(1_000_000)).rejects.toThrow("exceeds the maximum allowed size");
  expect(body.received).toBe(0);
});

test("the client waits while the target is busy, and memory stays within four blocks", async () => {
  const pieces = Array.from({ length: 400 }, (_, at) => Buffer.alloc(16384, at));
  const whole = Buffer.concat(pieces);
  const given = { ...plain(whole), pieces };
  const { body, payload } = open(given);
  const kept: Buffer[] = [];
  let heldMax = 0;
  const digests = await payload.pipe({
    write: async (bytes) => {
      // The target takes its time: the engine gets many turns meanwhile.
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      kept.push(Buffer.from(bytes));
      const delivered = kept.reduce((sum, block) => sum + block.length, 0);
      heldMax = Math.max(heldMax, body.received - delivered + bytes.length);
    },
  });
  expect(Buffer.concat(kept).equals(whole)).toBe(true);
  expect(digests.etag).toBe(digest("md5", whole, "hex"));
  expect(body.pauses).toBeGreaterThan(5);
  expect(heldMax).toBeLessThanOrEqual(4 * 262144);
});

test.each([
  ["at once", 0],
  ["later", 3],
])("a target that fails %s ends the pipe with its failure", async (_name, after) => {
  const pieces = Array.from({ length: 200 }, () => Buffer.alloc(16384));
  const { payload } = open({ ...plain(Buffer.concat(pieces)), pieces, ending: "silence" });
  let writes = 0;
  const piped = payload.pipe({
    write: async () => {
      writes += 1;
      if (writes > after) throw new Error("no space left");
    },
  });
  await expect(piped).rejects.toThrow("no space left");
});

test("every byte that arrives is reported as it came", async () => {
  let received = 0;
  const given = chunked("unsigned-trailer", HELLO);
  const wireBytes = given.pieces.reduce((sum, piece) => sum + piece.length, 0);
  const count = (bytes: number): void => {
    received += bytes;
  };
  await read("readAll", { ...given, received: count });
  expect(received).toBe(wireBytes);
});

test("a small body that is cut up finely takes no more memory than its bytes", async () => {
  const heap = createHeap();
  const count = 250_000;
  let sink: BodySink | undefined;
  const exchange: Exchange = {
    ...new BodyExchange([]).asExchange(),
    receive: (receiver) => {
      sink = receiver;
    },
  };
  const headers = headersOf([["transfer-encoding", "chunked"]]);
  const settings = { bytesMax: LIMITS.putBytesMax, lengthOptional: true };
  const payload = openPayload({ exchange, headers, claim: UNSIGNED }, hash, settings);
  const read = payload.readAll(count);
  heap.giveBack();
  const before = process.memoryUsage().heapUsed;
  for (let at = 0; at < count; at++) sink?.data(Uint8Array.of(at & 0xff));
  heap.giveBack();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(4 * count);
  sink?.end();
  const { bytes } = await read;
  const expected = Buffer.alloc(count);
  for (let at = 0; at < count; at++) expected[at] = at & 0xff;
  expect(bytes.equals(expected)).toBe(true);
});
