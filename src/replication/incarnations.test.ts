import { expect, test } from "vitest";
import { parseOriginId, parseSiteId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import { Incarnations } from "./incarnations.ts";

const SITE = required(parseSiteId("5".repeat(16)), "site");
const OTHER = required(parseSiteId("6".repeat(16)), "site");
const origins = ["a", "b", "c"].map((digit) => required(parseOriginId(digit.repeat(16)), "origin"));
const [first, second, third] = origins as [
  (typeof origins)[number],
  (typeof origins)[number],
  (typeof origins)[number],
];

test("a site that goes on as a new incarnation is heard, again and again", () => {
  const incarnations = new Incarnations(() => 0);
  for (const origin of [first, first, second, second, third]) {
    expect(incarnations.isAlone(SITE, origin)).toBe(true);
  }
});

test("two incarnations that speak in turns are both refused until one is silent for a minute", () => {
  let nowMs = 0;
  const incarnations = new Incarnations(() => nowMs);
  expect(incarnations.isAlone(SITE, first)).toBe(true);
  expect(incarnations.isAlone(SITE, second)).toBe(true);
  expect(incarnations.isAlone(SITE, first)).toBe(false);
  expect(incarnations.isAlone(SITE, second)).toBe(false);
  expect(incarnations.isAlone(OTHER, first)).toBe(true);
  nowMs = 59_999;
  expect(incarnations.isAlone(SITE, second)).toBe(false);
  nowMs = 60_000;
  expect(incarnations.isAlone(SITE, second)).toBe(true);
  expect(incarnations.isAlone(SITE, first)).toBe(false);
});
