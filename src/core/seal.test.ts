import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { type KeyRing, sealSecret, unsealSecret } from "./seal.ts";

const RING: KeyRing = {
  current: "k2",
  keys: new Map([
    ["k1", new Uint8Array(32).fill(1)],
    ["k2", new Uint8Array(32).fill(2)],
  ]),
};
const NONCE = new Uint8Array(12).fill(9);
const SECRET = Buffer.from("a secret key of forty characters, or so.");

test("any secret comes back for the ring and the context it was sealed with", () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const nonces = fc.uint8Array({ minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(bytes, fc.string(), nonces, (secret, context, nonce) => {
      const sealed = sealSecret(RING, secret, context, nonce);
      expect(unsealSecret(RING, sealed, context)).toEqual(Buffer.from(secret));
    }),
  );
});

test("a secret sealed before the ring moved on is still read", () => {
  const sealed = sealSecret({ ...RING, current: "k1" }, SECRET, "a", NONCE);
  expect(unsealSecret(RING, sealed, "a")).toEqual(SECRET);
});

test("the secret does not show", () => {
  const sealed = Buffer.from(sealSecret(RING, SECRET, "a", NONCE));
  expect(sealed.includes(SECRET.subarray(0, 8))).toBe(false);
});

test("another context, another key and an unknown key give nothing", () => {
  const sealed = sealSecret(RING, SECRET, "access-key A", NONCE);
  expect(unsealSecret(RING, sealed, "access-key B")).toBeUndefined();
  const changed = { ...RING, keys: new Map([["k2", new Uint8Array(32).fill(3)]]) };
  expect(unsealSecret(changed, sealed, "access-key A")).toBeUndefined();
  const without = { ...RING, keys: new Map() };
  expect(unsealSecret(without, sealed, "access-key A")).toBeUndefined();
});

test("the key's name cannot lend characters to the context", () => {
  const key = new Uint8Array(32).fill(2);
  const long = { current: "k2x", keys: new Map([["k2x", key]]) };
  const short = { current: "k2", keys: new Map([["k2", key]]) };
  const sealed = Buffer.from(sealSecret(long, SECRET, "a", NONCE));
  const forged = Buffer.concat([sealed.subarray(0, 1), Buffer.from("\x02k2"), sealed.subarray(5)]);
  expect(unsealSecret(long, sealed, "a")).toEqual(SECRET);
  expect(unsealSecret(short, forged, "xa")).toBeUndefined();
});

test("every flipped bit is found", () => {
  const sealed = sealSecret(RING, SECRET, "a", NONCE);
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const damaged = Buffer.from(sealed);
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(unsealSecret(RING, damaged, "a"), `bit ${bit}`).toBeUndefined();
  }
});

test("every cut and every addition is found, and no bytes make it throw", () => {
  const sealed = sealSecret(RING, SECRET, "a", NONCE);
  for (let length = 0; length < sealed.length; length++) {
    expect(unsealSecret(RING, sealed.subarray(0, length), "a")).toBeUndefined();
  }
  expect(unsealSecret(RING, Buffer.concat([sealed, Buffer.of(0)]), "a")).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      expect(unsealSecret(RING, bytes, "a")).toBeUndefined();
    }),
  );
});
