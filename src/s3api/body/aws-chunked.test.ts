import { afterAll, beforeAll, expect, test } from "vitest";
import { chunkedParts, signingKeyOf } from "../../../test/support/chunked-body.ts";
import { fc } from "../../../test/support/properties.ts";
import { HmacKey } from "../../core/hmac.ts";
import type { Hash } from "../../ports/hash.ts";
import { createNativeHash } from "../../ports/native-hash.ts";
import { S3Error } from "../errors.ts";
import { AwsChunkedDecoder } from "./aws-chunked.ts";
import { ChunkVerifier } from "./chunk-signatures.ts";

let hash: Hash;
beforeAll(async () => {
  hash = await createNativeHash();
});
afterAll(() => hash.close());

const SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SCOPE = "20130524/us-east-1/s3/aws4_request";
const DATE = "20130524T000000Z";
const KEY = signingKeyOf(SECRET, SCOPE);
const CRC = { name: "x-amz-checksum-crc32c", value: "sOO8/Q==" };
const SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const CHAIN = { seed: SEED, key: KEY, scope: SCOPE, date: DATE };

type Format = { signed?: boolean; trailer?: boolean; bytes: number; seed?: string };

function decode(wire: readonly Uint8Array[], format: Format) {
  const chain = {
    seedSignature: format.seed ?? SEED,
    signingKey: new HmacKey(KEY),
    scope: SCOPE,
    date: DATE,
  };
  const data: Buffer[] = [];
  const decoder = new AwsChunkedDecoder(
    {
      decodedBytes: format.bytes,
      trailerName: format.trailer === true ? CRC.name : undefined,
      verifier: format.signed === true ? new ChunkVerifier(chain, hash) : undefined,
    },
    (piece) => data.push(Buffer.from(piece)),
  );
  for (const bytes of wire) decoder.push(bytes);
  const trailer = decoder.finish();
  return { data: Buffer.concat(data), trailer };
}

function codeOf(wire: readonly Uint8Array[], format: Format): string {
  try {
    decode(wire, format);
    return "accepted";
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

test("AWS's example of a chunked upload is accepted with its published signatures", () => {
  const signatures = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
  ];
  const wire = [
    Buffer.from(`10000;chunk-signature=${signatures[0]}\r\n`),
    Buffer.alloc(65536, "a"),
    Buffer.from(`\r\n400;chunk-signature=${signatures[1]}\r\n`),
    Buffer.alloc(1024, "a"),
    Buffer.from(`\r\n0;chunk-signature=${signatures[2]}\r\n\r\n`),
  ];
  expect(Buffer.concat(wire)).toHaveLength(66824);
  const { data } = decode(wire, { signed: true, bytes: 66560 });
  expect(data.equals(Buffer.alloc(66560, "a"))).toBe(true);
});

test("AWS's example of a signed trailer is accepted with its published signatures", () => {
  const seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
  const wire = [
    Buffer.from(
      "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n",
    ),
    Buffer.alloc(65536, "a"),
    Buffer.from(
      "\r\n400;chunk-signature=" +
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n",
    ),
    Buffer.alloc(1024, "a"),
    Buffer.from(
      "\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n" +
        "x-amz-checksum-crc32c:sOO8/Q==\n\r\n" +
        "x-amz-trailer-signature:" +
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    ),
  ];
  const { trailer } = decode(wire, { signed: true, trailer: true, bytes: 66560, seed });
  expect(trailer).toBe("sOO8/Q==");
});

const PIECES = [Buffer.alloc(9000, 1), Buffer.alloc(8192, 2), Buffer.alloc(77, 3)];
const BYTES = 9000 + 8192 + 77;
const VARIANTS: ReadonlyArray<readonly [string, Format]> = [
  ["signed", { signed: true, bytes: BYTES }],
  ["signed with a trailer", { signed: true, trailer: true, bytes: BYTES }],
  ["unsigned with a trailer", { trailer: true, bytes: BYTES }],
];
const SIGNED = VARIANTS.filter(([, format]) => format.signed === true);

function partsFor(format: Format): Buffer[] {
  return chunkedParts({
    pieces: PIECES,
    ...(format.signed === true ? { chain: CHAIN } : {}),
    ...(format.trailer === true ? { trailer: CRC } : {}),
  });
}

test.each(VARIANTS)("a %s body decodes to the same bytes however it is cut", (_name, format) => {
  const whole = Buffer.concat(partsFor(format));
  const cut = fc.array(fc.nat({ max: whole.length }), { maxLength: 20 });
  fc.assert(
    fc.property(cut, (cuts) => {
      const edges = [0, ...cuts.toSorted((left, right) => left - right), whole.length];
      const wire = edges.slice(1).map((edge, at) => whole.subarray(edges[at], edge));
      const { data, trailer } = decode(wire, format);
      expect(data.equals(Buffer.concat(PIECES))).toBe(true);
      expect(trailer).toBe(format.trailer === true ? CRC.value : undefined);
    }),
    { numRuns: 50 },
  );
});

test.each(VARIANTS)("a %s body decodes when it comes byte by byte", (_name, format) => {
  const wire = [...Buffer.concat(partsFor(format))].map((byte) => Uint8Array.of(byte));
  expect(decode(wire, format).data.equals(Buffer.concat(PIECES))).toBe(true);
});

test.each(SIGNED)("any flipped bit of a %s body is found", (_name, format) => {
  const whole = Buffer.concat(partsFor(format));
  const step = fc.nat({ max: whole.length * 8 - 1 });
  fc.assert(
    fc.property(step, (bit) => {
      const wire = Buffer.from(whole);
      wire[bit >> 3] = (wire[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // The case of a trailer's name and of a size's digits does not change what they say.
      const same = wire.toString("latin1").toLowerCase() === whole.toString("latin1").toLowerCase();
      if (same) return;
      expect(codeOf([wire], format)).not.toBe("accepted");
    }),
    { numRuns: 400 },
  );
});

test.each(VARIANTS)("no part of a %s body can be lost, doubled or moved", (_name, format) => {
  const parts = partsFor(format);
  for (let at = 0; at < parts.length; at++) {
    const without = parts.toSpliced(at, 1);
    expect(codeOf(without, format)).not.toBe("accepted");
    const doubled = parts.toSpliced(at, 0, parts[at] ?? Buffer.alloc(0));
    expect(codeOf(doubled, format)).not.toBe("accepted");
  }
});

test.each(SIGNED)("chunks of a %s body cannot change places", (_name, format) => {
  const parts = partsFor(format);
  const [first = Buffer.alloc(0), second = Buffer.alloc(0), ...rest] = parts;
  expect(codeOf([second, first, ...rest], format)).toBe("SignatureDoesNotMatch");
});

test.each(VARIANTS)("a %s body cut short anywhere is incomplete", (_name, format) => {
  const whole = Buffer.concat(partsFor(format));
  for (const end of [0, 1, 100, 9000, whole.length - 2, whole.length - 1]) {
    expect(codeOf([whole.subarray(0, end)], format)).toBe("IncompleteBody");
  }
});

test("a body must have the length that was announced", () => {
  const parts = partsFor({ trailer: true, bytes: BYTES });
  expect(codeOf(parts, { trailer: true, bytes: BYTES - 1 })).toBe("IncompleteBody");
  expect(codeOf(parts, { trailer: true, bytes: BYTES + 1 })).toBe("IncompleteBody");
});

test.each([
  ["a size that is none", "zz\r\n", "IncompleteBody"],
  ["an empty size", "\r\n", "IncompleteBody"],
  ["a negative size", "-1\r\n", "IncompleteBody"],
  ["a size with a prefix", "0x10\r\n", "IncompleteBody"],
  ["a size of 2^63", "8000000000000000\r\n", "IncompleteBody"],
  ["a size beyond the announced", "fffffffffffff\r\n", "IncompleteBody"],
  ["an endless header", "0".repeat(5000), "IncompleteBody"],
  ["a chunk extension", "5;x=y\r\nhello\r\n", "IncompleteBody"],
  ["a chunk longer than its size", "3\r\nhello\r\n", "IncompleteBody"],
  ["no trailer", "5\r\nhello\r\n0\r\n\r\n", "MalformedTrailerError"],
  ["another trailer", "5\r\nhello\r\n0\r\nx-amz-meta-a:b\r\n\r\n", "MalformedTrailerError"],
  [
    "a trailer twice",
    "5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:a\r\nx-amz-checksum-crc32c:b\r\n\r\n",
    "MalformedTrailerError",
  ],
  ["a trailer without colon", "5\r\nhello\r\n0\r\nx-amz\r\n\r\n", "MalformedTrailerError"],
  ["an endless trailer", `5\r\nhello\r\n0\r\nx:${"a".repeat(9000)}`, "MalformedTrailerError"],
  [
    "a signed trailer where none is due",
    "5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:a\r\nx-amz-trailer-signature:00\r\n\r\n",
    "MalformedTrailerError",
  ],
  [
    "garbage behind the end",
    "5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:a\r\n\r\nPUT /",
    "IncompleteBody",
  ],
  ["bare line feeds", "5\nhello\n0\n\n", "IncompleteBody"],
])("%s is refused with %s", (_name, wire, code) => {
  const format = { trailer: true, bytes: 5 };
  expect(codeOf([Buffer.from(wire)], format)).toBe(code);
  const slowly = [...Buffer.from(wire)].map((byte) => Uint8Array.of(byte));
  expect(codeOf(slowly, format)).toBe(code);
});

test("only the last chunk may be smaller than 8 KiB", () => {
  const small = chunkedParts({ pieces: [Buffer.alloc(8191), Buffer.alloc(1)], trailer: CRC });
  expect(codeOf(small, { trailer: true, bytes: 8192 })).toBe("InvalidChunkSizeError");
  const fine = chunkedParts({ pieces: [Buffer.alloc(8192), Buffer.alloc(1)], trailer: CRC });
  expect(codeOf(fine, { trailer: true, bytes: 8193 })).toBe("accepted");
});

test("a signed chunk is bounded, an unsigned one may be the whole body", () => {
  const header = Buffer.from(`1000001;chunk-signature=${"0".repeat(64)}\r\n`);
  const bytes = 0x1000001;
  expect(codeOf([header], { signed: true, bytes })).toBe("InvalidChunkSizeError");
  const whole = chunkedParts({ pieces: [Buffer.alloc(bytes)], trailer: CRC });
  expect(codeOf(whole, { trailer: true, bytes })).toBe("accepted");
});

test("a chunk without signature is refused where signatures are due", () => {
  const wire = chunkedParts({ pieces: [Buffer.from("hello")], trailer: CRC });
  expect(codeOf(wire, { signed: true, trailer: true, bytes: 5 })).toBe("SignatureDoesNotMatch");
});

test("a trailer without signature is refused where chunks are signed", () => {
  const wire = chunkedParts({ pieces: [Buffer.from("hello")], chain: CHAIN, trailer: CRC });
  const end = wire.pop()?.toString("latin1") ?? "";
  const unsigned = Buffer.from(end.replace(/x-amz-trailer-signature:.*\r\n/, ""));
  const format = { signed: true, trailer: true, bytes: 5 };
  expect(codeOf([...wire, unsigned], format)).toBe("SignatureDoesNotMatch");
  expect(codeOf([...wire, Buffer.from(end)], format)).toBe("accepted");
});

test("chunks signed for another request are refused", () => {
  const wire = chunkedParts({ pieces: PIECES, chain: { ...CHAIN, seed: "0".repeat(64) } });
  expect(codeOf(wire, { signed: true, bytes: BYTES })).toBe("SignatureDoesNotMatch");
});

test("an empty body has only its end", () => {
  const wire = chunkedParts({ pieces: [], chain: CHAIN, trailer: CRC });
  expect(codeOf(wire, { signed: true, trailer: true, bytes: 0 })).toBe("accepted");
});
