import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { addUnseen, effectiveVector, hasSeen, type Witness } from "./causality.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "./names.ts";
import type { Vector } from "./records.ts";
import { required } from "./tagged-fields.ts";

const ORIGINS = ["aa", "bb", "cc"].map((pair) => required(parseOriginId(pair.repeat(8)), "origin"));

function seqOf(value: number): Seq {
  return required(parseSeq(value), "sequence");
}

function originOf(index: number): OriginId {
  return required(ORIGINS[index % ORIGINS.length], "origin");
}

/** What sites did: write, or hear everything of another one. Each write knows what it must. */
const histories: fc.Arbitrary<Witness[]> = fc
  .array(fc.tuple(fc.nat(2), fc.option(fc.nat(2), { nil: undefined })), { maxLength: 24 })
  .map((steps) => {
    const known = ORIGINS.map(() => new Map<OriginId, Seq>());
    const writes: Witness[] = [];
    for (const [site, heard] of steps) {
      const own = known[site] ?? new Map();
      if (heard !== undefined) {
        for (const [origin, seq] of known[heard] ?? []) {
          if (seq > (own.get(origin) ?? 0)) own.set(origin, seq);
        }
        known[site] = own;
        continue;
      }
      const origin = originOf(site);
      const seq = seqOf((own.get(origin) ?? 0) + 1);
      const vector = new Map([...own].filter(([one]) => one !== origin));
      own.set(origin, seq);
      writes.push({ origin, seq, vector });
    }
    return writes;
  });

function dots(list: readonly Witness[]): string[] {
  return list.map(({ origin, seq }) => `${origin}:${seq}`);
}

describe("what an operation had seen", () => {
  test("is its own vector when it is full, else the running one with its entries laid over", () => {
    const running: Vector = new Map([
      [originOf(0), seqOf(3)],
      [originOf(1), seqOf(4)],
    ]);
    const entries: Vector = new Map([[originOf(1), seqOf(7)]]);
    expect([...effectiveVector(running, { full: true, entries })]).toEqual([...entries]);
    const laidOver = effectiveVector(running, { full: false, entries });
    expect(laidOver.get(originOf(0))).toBe(3);
    expect(laidOver.get(originOf(1))).toBe(7);
    expect(effectiveVector(running, { full: false, entries: new Map() })).toBe(running);
  });

  test("is what its origin wrote before, and what its vector reaches of others", () => {
    const witness = {
      origin: originOf(0),
      seq: seqOf(5),
      vector: new Map([[originOf(1), seqOf(2)]]),
    };
    expect(hasSeen(witness, { origin: originOf(0), seq: seqOf(4) })).toBe(true);
    expect(hasSeen(witness, { origin: originOf(0), seq: seqOf(5) })).toBe(false);
    expect(hasSeen(witness, { origin: originOf(1), seq: seqOf(2) })).toBe(true);
    expect(hasSeen(witness, { origin: originOf(1), seq: seqOf(3) })).toBe(false);
    expect(hasSeen(witness, { origin: originOf(2), seq: seqOf(1) })).toBe(false);
  });

  test("passes on: who has seen a change has seen what that one saw", () => {
    fc.assert(
      fc.property(histories, (writes) => {
        for (const one of writes) {
          for (const seen of writes.filter((other) => hasSeen(one, other))) {
            for (const before of writes.filter((other) => hasSeen(seen, other))) {
              expect(hasSeen(one, before)).toBe(true);
            }
          }
        }
      }),
    );
  });
});

describe("the changes that none of the others has seen", () => {
  test("follow from the set of changes, whatever their order, and anything twice", () => {
    fc.assert(
      fc.property(histories, fc.infiniteStream(fc.nat()), (writes, shuffle) => {
        const shuffled = writes
          .map((one) => ({ one, at: shuffle.next().value ?? 0 }))
          .sort((left, right) => left.at - right.at)
          .map(({ one }) => one);
        const add = (list: readonly Witness[]): readonly Witness[] =>
          list.reduce<readonly Witness[]>(addUnseen, []);
        const expected = writes.filter((one) => !writes.some((other) => hasSeen(other, one)));
        expect(dots(add(shuffled))).toEqual(dots(add(writes)));
        expect(dots(add([...shuffled, ...writes]))).toEqual(dots(add(writes)));
        expect(dots(add(writes)).sort()).toEqual(dots(expected).sort());
      }),
    );
  });
});
