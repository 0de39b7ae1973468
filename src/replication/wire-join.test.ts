import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { siteRecords } from "../../test/support/record-arbitraries.ts";
import type { SiteRecord } from "../core/site-record.ts";
import {
  bareRecord,
  decodeRing,
  encodeRing,
  type JoinRequest,
  parseJoinRequest,
  parseOffer,
  parseRingAnswer,
  parseRingRequest,
  toJson,
} from "./wire-join.ts";

const KEY = "5e".repeat(32);

function requestOf(site: SiteRecord): JoinRequest {
  return { phase: "offer", site: bareRecord(site), sealTo: KEY, proof: "ab".repeat(64) };
}

/** Records as a joiner sends them: names and addresses that operators type. */
const joiners = siteRecords.map((site): SiteRecord => {
  const addresses = [site.insecure ? "http://10.0.0.7:9000" : "https://paris:9000"];
  const state = "active" as const;
  return { ...site, name: "paris", addresses, origins: site.origins.slice(0, 1), state };
});
const usable = joiners.filter(({ featureLevel }) => featureLevel >= 1 && featureLevel <= 1e6);

describe("what a joiner says", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(usable, (site) => {
        const request = requestOf(site);
        expect(parseJoinRequest(toJson(request))).toEqual(request);
      }),
    );
  });

  const good = { ...fc.sample(usable, { numRuns: 1, seed: 1 })[0] } as SiteRecord;
  test.each<[string, Partial<Record<string, unknown>>]>([
    ["names no site", { id: "zz" }],
    ["has a name with a slash", { name: "a/b" }],
    ["has no name", { name: "" }],
    ["has a short key", { publicKey: "00" }],
    ["has an address with a path", { addresses: ["https://paris:9000/x"] }],
    ["has an address that is not canonical", { addresses: ["https://paris"] }],
    ["would speak plain http unasked", { addresses: ["http://paris:9000"], insecure: false }],
    ["has addresses without end", { addresses: Array(9).fill("https://paris:9000") }],
    ["has no origin", { origins: [] }],
    ["has two origins", { origins: ["1".repeat(16), "2".repeat(16)] }],
    ["was removed", { state: "removed" }],
    ["has a field that nobody knows", { surprise: 1 }],
    ["has a level that is no number", { featureLevel: "1" }],
  ])("is refused when the site %s", (_why, change) => {
    const request = { ...requestOf({ ...good, insecure: true }) };
    const spoilt = { ...request, site: { ...request.site, ...change } };
    expect(parseJoinRequest(Buffer.from(JSON.stringify(request)))).toBeDefined();
    expect(parseJoinRequest(Buffer.from(JSON.stringify(spoilt)))).toBeUndefined();
  });

  test("is refused, and nothing worse, when it is noise or JSON of another kind", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(noise, (bytes) => {
        for (const parse of [parseJoinRequest, parseOffer, parseRingRequest, parseRingAnswer]) {
          expect(parse(bytes)).toBeUndefined();
        }
        expect(decodeRing(bytes)).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
    const proto = Buffer.from('{"__proto__":{"sealTo":"x"},"sealTo":"y"}');
    expect(parseRingRequest(proto)).toBeUndefined();
  });
});

describe("a ring in its box", () => {
  test("is read as it was written", () => {
    const keys = fc.dictionary(
      fc.stringMatching(/^[0-9a-z-]{1,20}$/),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      { minKeys: 1, maxKeys: 5 },
    );
    fc.assert(
      fc.property(keys, (named) => {
        const ring = {
          current: Object.keys(named)[0] ?? "",
          keys: new Map(Object.entries(named).map(([id, key]) => [id, Buffer.from(key)])),
        };
        expect(decodeRing(encodeRing(ring))).toEqual(ring);
      }),
    );
  });

  test.each(['{"current":"2","keys":{"1":"KEY"}}', '{"current":"1","keys":{"1":"00"}}', "{}"])(
    "%s is none",
    (text) => expect(decodeRing(Buffer.from(text.replace("KEY", KEY)))).toBeUndefined(),
  );
});
