import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { type Spans, sortSpans } from "./sort-spans.ts";

function spansOf(keys: readonly Uint8Array[]): Spans {
  const starts = new Uint32Array(keys.length);
  const lengths = new Uint16Array(keys.length);
  let at = 0;
  for (const [index, key] of keys.entries()) {
    starts[index] = at;
    lengths[index] = key.length;
    at += key.length;
  }
  return { memory: Buffer.concat(keys), starts, lengths };
}

function sorted(keys: readonly Buffer[]): Buffer[] {
  return [...sortSpans(spansOf(keys), keys.length)].map((number) => keys[number] ?? Buffer.of());
}

function expectSorted(keys: readonly Buffer[]): void {
  const wanted = [...keys].sort(Buffer.compare);
  expect(sorted(keys).every((key, index) => wanted[index]?.equals(key) === true)).toBe(true);
}

test("puts byte strings in the order of their bytes", () => {
  const part = fc.constantFrom("a", "folder/", "\u00e9", "\uffff", "0", "00", "zzzzzz");
  const text = fc.array(part, { maxLength: 6 }).map((parts) => `obucket\0${parts.join("")}`);
  const keys = fc.uniqueArray(text, { maxLength: 200 });
  fc.assert(fc.property(keys, (texts) => expectSorted(texts.map((one) => Buffer.from(one)))));
});

test("puts many that agree in long parts in order", () => {
  const keys: Buffer[] = [];
  for (let index = 0; index < 3000; index++) {
    const folder = "deep/".repeat(index % 7);
    keys.push(Buffer.from(`obucket\0${folder}${(index * 7919) % 3000}`));
  }
  expectSorted(keys);
});

test("ends with strings that are the same, and with none", () => {
  const keys = Array.from({ length: 100 }, () => Buffer.from("the same"));
  expect(new Set(sortSpans(spansOf(keys), keys.length)).size).toBe(100);
  expect(sortSpans(spansOf([]), 0).length).toBe(0);
});
