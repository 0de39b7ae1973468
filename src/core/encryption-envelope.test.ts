import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import {
  customerCheck,
  customerDataKey,
  type EnvelopeSecret,
  envelopeKeyId,
  layoutDigest,
  openEnvelope,
  rewrapEnvelope,
  sealEnvelope,
} from "./encryption-envelope.ts";
import type { KeyRing } from "./seal.ts";

const RING: KeyRing = {
  current: "2",
  keys: new Map([
    ["1", new Uint8Array(32).fill(1)],
    ["2", new Uint8Array(32).fill(2)],
  ]),
};
const NONCE = new Uint8Array(12).fill(9);

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
const layouts = fc.option(bytes32, { nil: undefined });
const pieces = fc.array(
  fc.record({ partNumber: fc.nat(30_000), size: fc.nat({ max: Number.MAX_SAFE_INTEGER }) }),
  { minLength: 1, maxLength: 5 },
);
const secrets: fc.Arbitrary<EnvelopeSecret> = fc.oneof(
  fc.record({
    kind: fc.constant("managed" as const),
    dataKey: bytes32,
    layout: bytes32,
    pieces,
  }),
  fc.record({ kind: fc.constant("managed" as const), dataKey: bytes32, layout: layouts }),
  fc.record({
    kind: fc.constant("customer" as const),
    salt: bytes32,
    check: bytes32,
    layout: layouts,
  }),
);

test("any envelope gives back what was sealed in it, and tells the id of its key unopened", () => {
  fc.assert(
    fc.property(secrets, fc.string(), (secret, bucket) => {
      const envelope = sealEnvelope(RING, secret, bucket, NONCE);
      expect(openEnvelope(RING, envelope, bucket)).toEqual(secret);
      expect(envelopeKeyId(envelope)).toBe("2");
    }),
  );
});

test("a bit that is changed anywhere in an envelope leaves nothing of it", () => {
  fc.assert(
    fc.property(secrets, fc.nat(), (secret, at) => {
      const envelope = Buffer.from(sealEnvelope(RING, secret, "photos", NONCE));
      const bit = at % (envelope.length * 8);
      envelope[bit >> 3] = (envelope[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(openEnvelope(RING, envelope, "photos")).toBeUndefined();
    }),
  );
});

test("bytes of any kind are an outcome, never a failure", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      expect(openEnvelope(RING, bytes, "photos")).toBeUndefined();
    }),
  );
});

test("an envelope does not open in another bucket or under another ring", () => {
  const secret = { kind: "managed", dataKey: Buffer.alloc(32, 4), layout: undefined } as const;
  const envelope = sealEnvelope(RING, secret, "photos", NONCE);
  expect(openEnvelope(RING, envelope, "films")).toBeUndefined();
  const other: KeyRing = { current: "2", keys: new Map([["2", new Uint8Array(32).fill(3)]]) };
  expect(openEnvelope(other, envelope, "photos")).toBeUndefined();
});

test("rewrapping moves the same secret to the current key and another bucket", () => {
  const secret = { kind: "managed", dataKey: Buffer.alloc(32, 4), layout: undefined } as const;
  const old = sealEnvelope({ ...RING, current: "1" }, secret, "photos", NONCE);
  expect(envelopeKeyId(old)).toBe("1");
  const moved = rewrapEnvelope(RING, old, { from: "photos", to: "films" }, NONCE);
  if (moved === undefined) throw new Error("an envelope of this ring is rewrapped");
  expect(envelopeKeyId(moved)).toBe("2");
  expect(openEnvelope(RING, moved, "films")).toEqual(secret);
  expect(rewrapEnvelope(RING, old, { from: "films", to: "films" }, NONCE)).toBeUndefined();
});

test("layouts that differ anywhere have other digests", () => {
  const parts = [
    { partNumber: 1, size: 5 },
    { partNumber: 2, size: 3 },
  ];
  const digests = [
    layoutDigest(8, parts),
    layoutDigest(7, parts),
    layoutDigest(8, parts.slice(0, 1)),
    layoutDigest(8, [...parts].reverse()),
    layoutDigest(8, []),
  ].map((digest) => Buffer.from(digest).toString("hex"));
  expect(new Set(digests).size).toBe(digests.length);
});

test("what is kept of a customer's key is neither the key nor what decrypts", () => {
  const key = Buffer.alloc(32, 6);
  const salt = Buffer.alloc(32, 7);
  const check = Buffer.from(customerCheck(key, salt));
  expect(check.equals(key)).toBe(false);
  expect(check.equals(Buffer.from(customerDataKey(key, salt)))).toBe(false);
  expect(check.equals(customerCheck(key, Buffer.alloc(32, 8)))).toBe(false);
});
