import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { HotMap } from "./hot-map.ts";

describe("a hot map", () => {
  test("gives back what was kept, until it is deleted", () => {
    const map = new HotMap<string>(100);
    map.set("a", "one", 10);
    expect(map.get("a")).toBe("one");
    map.delete("a");
    expect(map.get("a")).toBeUndefined();
  });

  test("keeps what is asked for while others come and go", () => {
    const map = new HotMap<number>(100);
    map.set("wanted", 1, 10);
    for (let round = 0; round < 1000; round++) {
      map.set(`other ${round}`, round, 10);
      expect(map.get("wanted")).toBe(1);
    }
    expect(map.get("other 0")).toBeUndefined();
  });

  test("keeps all of what fits, in whatever order it is asked for", () => {
    const map = new HotMap<number>(100);
    for (let at = 0; at < 1000; at++) map.set(`before ${at}`, at, 1);
    const asked = Array.from({ length: 100 }, (_none, at) => `now ${at}`);
    for (const key of asked) map.set(key, 1, 1);
    for (let round = 0; round < 10; round++) {
      expect(asked.filter((key) => map.get(key) === undefined)).toEqual([]);
    }
  });

  test("stays of use to who walks over more than fits, again and again", () => {
    const map = new HotMap<number>(100, 8);
    let found = 0;
    for (let at = 0; at < 10_000; at++) {
      const key = `key ${at % 300}`;
      if (map.get(key) === undefined) map.set(key, at, 1);
      else found += 1;
    }
    // Not more than a third fits.
    expect(found).toBeGreaterThan(2000);
  });

  test("takes up what is asked for from now on, though it was full of what was before", () => {
    const map = new HotMap<number>(100, 8);
    for (let at = 0; at < 1000; at++) map.set(`before ${at}`, at, 1);
    const asked = Array.from({ length: 50 }, (_none, at) => `now ${at}`);
    for (let round = 0; round < 60; round++) {
      for (const key of asked) if (map.get(key) === undefined) map.set(key, 1, 1);
    }
    expect(asked.filter((key) => map.get(key) === undefined)).toEqual([]);
  });

  test("keeps nothing that would fill half of it", () => {
    const map = new HotMap<number>(100);
    map.set("large", 1, 51);
    expect(map.get("large")).toBeUndefined();
  });

  test("deletes from both generations", () => {
    const map = new HotMap<number>(4);
    map.set("a", 1, 1);
    map.set("b", 2, 1);
    map.set("c", 3, 1);
    map.delete("a");
    expect(map.get("a")).toBeUndefined();
    expect(map.get("b")).toBe(2);
  });

  test("never answers with a value that was replaced or deleted, nor beyond its weight", () => {
    const key = fc.constantFrom("a", "b", "c", "d", "e", "f");
    const step = fc.record({
      what: fc.constantFrom("set", "get", "delete"),
      key,
      weight: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const map = new HotMap<{ key: string; weight: number; step: number }>(10);
        const latest = new Map<string, number>();
        steps.forEach((now, at) => {
          if (now.what === "set") {
            map.set(now.key, { key: now.key, weight: now.weight, step: at }, now.weight);
            latest.set(now.key, at);
          } else if (now.what === "delete") {
            map.delete(now.key);
            latest.delete(now.key);
          }
          const found = map.get(now.key);
          if (found !== undefined) expect(found.step).toBe(latest.get(found.key));
        });
        const kept = ["a", "b", "c", "d", "e", "f"].map((name) => map.get(name));
        const weight = kept.reduce((sum, value) => sum + (value?.weight ?? 0), 0);
        expect(weight).toBeLessThanOrEqual(10);
      }),
    );
  });
});
