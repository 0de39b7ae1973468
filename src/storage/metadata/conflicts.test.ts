import { expect, test } from "vitest";
import { ApplySite, BUCKET, KEYS, ORIGINS, objectOf } from "../../../test/support/apply-sites.ts";
import { fc } from "../../../test/support/properties.ts";
import { hasSeen } from "../../core/causality.ts";
import { laterStamp } from "../../core/lww.ts";
import { makeVersionId, type ObjectKey } from "../../core/names.ts";
import type { Operation, OperationBody, WriteStamp } from "../../core/records.ts";
import { required } from "../../core/tagged-fields.ts";
import { nullVersion } from "./key-versions.ts";
import { bucketEnd, bucketStart } from "./keys.ts";
import { TABLES } from "./rows.ts";

type Step =
  | { readonly kind: "put" | "marker" | "empty" | "tags" | "hear" | "half"; readonly of: number }
  | { readonly kind: "resolve"; readonly of: number };

const steps = (kinds: ReadonlyArray<Step["kind"]>): fc.Arbitrary<Array<[number, Step, number]>> =>
  fc.array(
    fc.tuple(
      fc.nat(ORIGINS.length - 1),
      fc.record({ kind: fc.constantFrom(...kinds), of: fc.nat() }) as fc.Arbitrary<Step>,
      fc.integer({ min: 0, max: 2 }),
    ),
    { maxLength: 30, size: "max" },
  );

function keyOf(index: number): ObjectKey {
  return required(KEYS[index % KEYS.length], "key");
}

function conflictsAt(site: ApplySite): string[] {
  const rows = site.view.rows(TABLES.history, bucketStart(BUCKET), bucketEnd(BUCKET));
  return rows
    .flatMap(({ row }) => (row.kind === "conflict" ? [row.row] : []))
    .map(({ stamp, object }) => `${stamp.origin}:${stamp.seq} ${JSON.stringify(object.attributes)}`)
    .sort();
}

function bodyOf(site: ApplySite, step: Step, index: number): OperationBody | undefined {
  const name = { bucket: BUCKET, key: keyOf(step.of) };
  switch (step.kind) {
    case "put":
      return { kind: "object-put", ...name, nullSlot: true, object: objectOf(index) };
    case "marker":
    case "empty": {
      const nullMarker = step.kind === "marker";
      return { kind: "object-delete", ...name, nullSlot: true, nullMarker, deletedMs: index };
    }
    case "tags": {
      const current = nullVersion(site.view, name);
      if (current?.kind !== "object") return undefined;
      const version = makeVersionId(current.row.stamp.hlc, current.row.stamp.origin);
      const change = { kind: "tags", tags: [["changed", `${index}`]] } as const;
      return { kind: "object-meta", ...name, version, nullSlot: true, change };
    }
    case "resolve": {
      const rows = site.view.rows(TABLES.history, bucketStart(BUCKET), bucketEnd(BUCKET));
      const known = rows.filter(({ row }) => row.kind === "conflict");
      const chosen = known[step.of % Math.max(1, known.length)];
      if (chosen?.row.kind !== "conflict") return undefined;
      const key = required(
        KEYS.find((one) => chosen.key.startsWith(`${BUCKET}\0${one}\0`)),
        "key",
      );
      return { kind: "conflict-resolve", bucket: BUCKET, key, write: chosen.row.row.stamp };
    }
    case "hear":
    case "half":
      return undefined;
  }
}

/** All that another site knows, in its order; or only what it wrote, without what that rests on. */
function listen(site: ApplySite, step: Step, other: ApplySite): void {
  if (step.kind === "hear") site.hearAll(other);
  if (step.kind !== "half") return;
  for (const one of other.operations) if (one.dot.origin === other.origin) site.hear(one);
}

/** Lets sites write, hear of each other and resolve; clocks may lag behind each other. */
function play(list: Array<[number, Step, number]>): ApplySite[] {
  const sites = ORIGINS.map((origin) => new ApplySite(origin));
  for (const [index, [who, step, lag]] of list.entries()) {
    const site = required(sites[who], "site");
    listen(site, step, required(sites[step.of % sites.length], "site"));
    const body = bodyOf(site, step, index);
    if (body !== undefined) site.write(Math.max(1, index - lag * 4), body);
  }
  return sites;
}

function everything(sites: readonly ApplySite[]): Operation[] {
  return sites.flatMap((site) => site.operations.filter(({ dot }) => dot.origin === site.origin));
}

function stampOf({ hlc, dot }: Operation): WriteStamp {
  return { hlc, ...dot };
}

/** The conflicts, from the set of operations alone. */
function expected(operations: readonly Operation[]): string[] {
  const found: string[] = [];
  for (const put of operations) {
    if (put.body.kind !== "object-put") continue;
    const { key } = put.body;
    const writes = operations.filter(
      ({ body }) =>
        (body.kind === "object-put" || body.kind === "object-delete") && body.key === key,
    );
    const isLater = (other: Operation): boolean => laterStamp(stampOf(other), stampOf(put));
    const overwrites = ({ body, dot, vector }: Operation): boolean => {
      const prior = "prior" in body ? body.prior : undefined;
      if (prior !== undefined) return prior.origin === put.dot.origin && prior.seq === put.dot.seq;
      return vector.entries.size === 0 && hasSeen({ ...dot, vector: new Map() }, put.dot);
    };
    const resolved = operations.some(
      ({ body }) =>
        body.kind === "conflict-resolve" &&
        body.write.origin === put.dot.origin &&
        body.write.seq === put.dot.seq,
    );
    if (!writes.some(isLater) || writes.some(overwrites) || resolved) continue;
    // What the name promises: it lost to a greater write that did not know of it.
    const unaware = writes.some(
      (other) =>
        isLater(other) && !hasSeen({ ...other.dot, vector: other.vector.entries }, put.dot),
    );
    expect(unaware).toBe(true);
    found.push(`${put.dot.origin}:${put.dot.seq}`);
  }
  return found.sort();
}

const bare = (list: readonly string[]): string[] => list.map((text) => text.split(" ")[0] ?? "");

test("conflicts are the puts that lost to writes that did not know of them, at every site", () => {
  fc.assert(
    fc.property(
      steps(["put", "put", "marker", "empty", "tags", "hear", "half", "resolve"]),
      (list) => {
        const sites = play(list);
        const operations = everything(sites);
        for (const site of sites) for (const other of sites) site.hearAll(other);
        const [first, ...rest] = sites.map(conflictsAt);
        expect(bare(first ?? [])).toEqual(expected(operations));
        for (const other of rest) expect(other).toEqual(first);
        for (const site of sites) {
          const usage = site.view.get(TABLES.usage, BUCKET);
          expect(usage?.conflicts ?? 0).toBe(first?.length);
          expect(usage?.marked ?? 0).toBe(0);
        }
      },
    ),
    { numRuns: 400 },
  );
});

test("conflicts do not depend on the order in which the logs of origins come together", () => {
  fc.assert(
    fc.property(
      steps(["put", "put", "marker", "empty", "tags", "hear", "half", "resolve"]),
      fc.infiniteStream(fc.nat()),
      (list, choose) => {
        const sites = play(list);
        const operations = everything(sites);
        const logs = ORIGINS.map((origin) => operations.filter(({ dot }) => dot.origin === origin));
        const reader = new ApplySite(required(ORIGINS[0], "origin"));
        for (let left = operations.length; left > 0; left--) {
          const open = logs.filter((log) => log.length > 0);
          const log = required(open[(choose.next().value ?? 0) % open.length], "log");
          reader.hear(required(log.shift(), "operation"));
        }
        expect(bare(conflictsAt(reader))).toEqual(expected(operations));
        for (const site of sites) for (const other of sites) site.hearAll(other);
        expect(conflictsAt(reader)).toEqual(conflictsAt(required(sites[0], "site")));
        reader.dropDead();
        expect(reader.rowsAfterRebuild()).toEqual(reader.rows());
      },
    ),
    { numRuns: 400 },
  );
});

test("a rebuild from what is left of the log has the same rows, conflicts included", () => {
  fc.assert(
    fc.property(
      steps(["put", "put", "put", "marker", "empty", "tags", "hear", "half", "resolve"]),
      fc.boolean(),
      (list, dropTwice) => {
        for (const site of play(list)) {
          site.dropDead();
          if (dropTwice) site.dropDead();
          expect(site.rowsAfterRebuild()).toEqual(site.rows());
        }
      },
    ),
    { numRuns: 400 },
  );
});

test("a write at a site that knows changes of a write, and not the write, makes that a conflict with them", () => {
  const [a, b, c] = ORIGINS.map((origin) => new ApplySite(origin));
  if (a === undefined || b === undefined || c === undefined) throw new Error("no sites");
  const put = { kind: "put", of: 0 } as const;
  a.write(1, required(bodyOf(a, put, 1), "put"));
  b.hearAll(a);
  b.write(2, required(bodyOf(b, { kind: "tags", of: 0 }, 2), "tags"));
  listen(c, { kind: "half", of: 0 }, b);
  c.write(3, required(bodyOf(c, put, 3), "put"));
  for (const site of [a, b, c]) for (const other of [a, b, c]) site.hearAll(other);
  expect(conflictsAt(a)).toEqual([expect.stringContaining('"changed","2"')]);
  expect(conflictsAt(c)).toEqual(conflictsAt(a));
});
