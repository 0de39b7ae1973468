import { sign, verify } from "node:crypto";
import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { ACCESS_KEY_RANDOM_BYTES, makeAccessKeyPair, secretKeyProblem } from "./access-key.ts";
import { makeSiteKeyPair } from "./identity.ts";

test("every run of random bytes makes a usable key, and different bytes a different one", () => {
  const bytes = fc.uint8Array({
    minLength: ACCESS_KEY_RANDOM_BYTES,
    maxLength: ACCESS_KEY_RANDOM_BYTES,
  });
  fc.assert(
    fc.property(bytes, (random) => {
      const pair = makeAccessKeyPair(random);
      expect(pair.id).toMatch(/^ATOL[A-Z2-7]{16}$/);
      expect(secretKeyProblem(pair.secret)).toBeUndefined();
      const last = random.length - 1;
      const other = random.with(last, (random[last] ?? 0) ^ 1);
      expect(makeAccessKeyPair(other).secret).not.toBe(pair.secret);
    }),
  );
});

test.each([
  ["short", "at least 8"],
  ["x".repeat(129), "at most 128"],
  ["with a space", "no spaces"],
  ["schlüsselchen", "printable ASCII"],
])("the secret %j is refused", (secret, why) => {
  expect(secretKeyProblem(secret)).toContain(why);
});

test("a seed gives the key pair of RFC 8032's first test vector, and it signs", () => {
  const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
  const pair = makeSiteKeyPair(Buffer.from(seed, "hex"));
  expect(pair.seed).toBe(seed);
  expect(pair.publicKey).toBe("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  const signature = sign(null, Buffer.from("hello"), pair.privateKey);
  expect(verify(null, Buffer.from("hello"), pair.privateKey, signature)).toBe(true);
});
