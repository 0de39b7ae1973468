import { expect, test } from "vitest";
import { fc } from "../support/properties.ts";
import { Seed } from "./seed.ts";
import { SimFile } from "./sim-file.ts";

const SPAN = 20_000;

type Act =
  | {
      readonly kind: "write";
      readonly offset: number;
      readonly length: number;
      readonly value: number;
    }
  | { readonly kind: "truncate"; readonly size: number }
  | { readonly kind: "sync" };

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    kind: fc.constant("write" as const),
    offset: fc.nat(SPAN),
    length: fc.nat(9000),
    value: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ kind: fc.constant("truncate" as const), size: fc.nat(SPAN) }),
  fc.constant({ kind: "sync" as const }),
);

/** A file as plain bytes: what programs must see, what was synced, and what has changed since. */
class Model {
  bytes = Buffer.alloc(0);
  synced = Buffer.alloc(0);
  touched = new Set<number>();
  cut = false;

  apply(step: Act): void {
    if (step.kind === "sync") {
      this.synced = Buffer.from(this.bytes);
      this.touched.clear();
      this.cut = false;
    } else if (step.kind === "truncate") {
      const size = step.size;
      for (let at = size; at < this.bytes.length; at++) this.touched.add(at);
      this.cut ||= size < this.bytes.length;
      this.bytes = Buffer.concat([this.bytes.subarray(0, size), Buffer.alloc(SPAN * 2)], size);
    } else if (step.length > 0) {
      const end = step.offset + step.length;
      const size = Math.max(this.bytes.length, end);
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(SPAN * 2)], size);
      this.bytes.fill(step.value, step.offset, end);
      for (let at = step.offset; at < end; at++) this.touched.add(at);
    }
  }
}

function contents(file: SimFile): Buffer {
  const bytes = Buffer.alloc(file.size);
  expect(file.read(bytes, 0)).toBe(file.size);
  return bytes;
}

test("a file reads as plain bytes would, and a power cut spares whatever was synced", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 12 }), fc.integer(), (acts, seed) => {
      const file = new SimFile();
      const model = new Model();
      for (const step of acts) {
        model.apply(step);
        if (step.kind === "sync") file.beginSync()();
        else if (step.kind === "truncate") file.truncate(step.size);
        else file.write(Buffer.alloc(step.length, step.value), step.offset);
        expect(Buffer.compare(contents(file), model.bytes)).toBe(0);
      }
      const left = contents(file.crash(new Seed(seed)));
      if (!model.cut) expect(left.length).toBeGreaterThanOrEqual(model.synced.length);
      for (let at = 0; at < Math.min(left.length, model.synced.length); at++) {
        if (!model.touched.has(at) && left[at] !== model.synced[at]) {
          expect.fail(`byte ${at} was synced as ${model.synced[at]} and is now ${left[at]}`);
        }
      }
    }),
    { numRuns: 400 },
  );
});

test("a sync promises nothing about what is written while it runs", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const file = new SimFile();
    file.write(Buffer.from("a"), 0);
    const finish = file.beginSync();
    file.write(Buffer.from("b"), 0);
    finish();
    seen.add(contents(file.crash(new Seed(seed))).toString());
  }
  expect(seen).toEqual(new Set(["a", "b"]));
});
