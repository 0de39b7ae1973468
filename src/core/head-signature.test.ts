import { expect, test } from "vitest";
import { type HeadStatement, signHead, verifyHead } from "./head-signature.ts";
import { makeSiteKeyPair } from "./identity.ts";
import {
  type ClusterId,
  type OriginId,
  parseClusterId,
  parseOriginId,
  parseSeq,
  parseSiteId,
  type Seq,
  type SiteId,
} from "./names.ts";

const keys = makeSiteKeyPair(Buffer.alloc(32, 7));
const head: HeadStatement = {
  cluster: parseClusterId("0".repeat(31).concat("1")) as ClusterId,
  site: parseSiteId("00000000000000aa") as SiteId,
  origin: parseOriginId("00000000000000bb") as OriginId,
  seq: parseSeq(42) as Seq,
  chain: Buffer.alloc(32, 3),
};

test("a head that was signed verifies with the site's public key", () => {
  expect(verifyHead(keys.publicKey, head, signHead(keys, head))).toBe(true);
});

test.each([
  ["cluster", { cluster: parseClusterId("f".repeat(32)) as ClusterId }],
  ["site", { site: parseSiteId("00000000000000ab") as SiteId }],
  ["origin", { origin: parseOriginId("00000000000000bc") as OriginId }],
  ["sequence", { seq: parseSeq(43) as Seq }],
  ["chain", { chain: Buffer.alloc(32, 4) }],
])("a head with another %s does not verify", (_what, change) => {
  const signature = signHead(keys, head);
  expect(verifyHead(keys.publicKey, { ...head, ...change }, signature)).toBe(false);
});

test("another key, a short signature and a malformed key are refused without a throw", () => {
  const signature = signHead(keys, head);
  const other = makeSiteKeyPair(Buffer.alloc(32, 8));
  expect(verifyHead(other.publicKey, head, signature)).toBe(false);
  expect(verifyHead(keys.publicKey, head, signature.subarray(1))).toBe(false);
  expect(verifyHead("not hex", head, signature)).toBe(false);
});
