import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { decodeJoinToken, encodeJoinToken, type JoinToken } from "./join-token.ts";
import { parseClusterId, parseSiteId } from "./names.ts";
import { required } from "./tagged-fields.ts";

const TOKEN: JoinToken = {
  clusterId: required(parseClusterId("ab".repeat(16)), "cluster"),
  siteId: required(parseSiteId("12".repeat(8)), "site"),
  siteName: "berlin",
  publicKey: "c4".repeat(32),
  addresses: ["https://berlin.example.net:9000", "https://10.0.0.1:9000"],
  certificates: ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
  insecure: false,
  expiresMs: 1_795_224_000_000,
  secret: "5e".repeat(32),
};

describe("a join token", () => {
  test("is one word, and is read as it was written", () => {
    const text = encodeJoinToken(TOKEN);
    expect(text).toMatch(/^[A-Za-z0-9._-]+$/);
    expect(decodeJoinToken(text)).toEqual(TOKEN);
    const bare = { ...TOKEN, addresses: [], certificates: [], insecure: true, siteName: "käse" };
    expect(decodeJoinToken(encodeJoinToken(bare))).toEqual(bare);
  });

  test("is refused when a letter of it was lost, changed or added", () => {
    const text = encodeJoinToken(TOKEN);
    const letters = fc.constantFrom(..."aZ09-_. =");
    fc.assert(
      fc.property(fc.nat(text.length), letters, fc.boolean(), (at, letter, isAdded) => {
        const rest = text.slice(at + (isAdded ? 0 : 1));
        const changed = text.slice(0, at) + letter + rest;
        if (changed !== text) expect(decodeJoinToken(changed)).toBeUndefined();
        expect(decodeJoinToken(text.slice(0, at) + text.slice(at + 1))).toSatisfy(
          (token) => token === undefined || at === text.length,
        );
      }),
      { numRuns: 500 },
    );
  });

  test.each(["", "atoll-join-1.", "atoll-join-2.AAAA", "AAAA", "atoll-join-1.AAAAAAAA"])(
    "%j is none",
    (text) => expect(decodeJoinToken(text)).toBeUndefined(),
  );
});
