import { describe, expect, test } from "vitest";
import {
  type ApplySite,
  BUCKET,
  KEYS,
  meet,
  mixLogs,
  ORIGINS,
  objectOf,
  sitesWith,
} from "../../../test/support/apply-sites.ts";
import { fc } from "../../../test/support/properties.ts";
import { ByteWriter } from "../../core/bytes.ts";
import { hasSeen, NOTHING_SEEN } from "../../core/causality.ts";
import type { VersionId } from "../../core/names.ts";
import type { ObjectChange, Operation } from "../../core/records.ts";
import { required } from "../../core/tagged-fields.ts";
import { versionById, writeIdOf } from "./key-versions.ts";
import { decodeRow, TABLES } from "./rows.ts";
import { writeStamp } from "./stamp.ts";

const NAME = { bucket: BUCKET, key: required(KEYS[0], "key") };
const PUT = { kind: "object-put", ...NAME, nullSlot: false, object: objectOf(1) } as const;
const HOLD = { kind: "legal-hold", on: true } as const;
const RELEASE = { kind: "legal-hold", on: false } as const;
const TAGS = { kind: "tags", tags: [["a", "b"]] } as const;

function change(site: ApplySite, version: VersionId, what: ObjectChange): Operation {
  return site.write(2, { kind: "object-meta", ...NAME, version, nullSlot: false, change: what });
}

function remove(site: ApplySite, version: VersionId): Operation {
  return site.write(2, { kind: "version-delete", ...NAME, version });
}

function isThere(site: ApplySite, version: VersionId): boolean {
  return versionById(site.view, NAME, writeIdOf(version)) !== undefined;
}

describe("the delete of a version", () => {
  test("is void when a hold was put on it elsewhere at the same time, in either order", () => {
    const [a, b, c, version] = sitesWith(PUT);
    change(a, version, TAGS);
    remove(a, version);
    expect(isThere(a, version)).toBe(false);
    change(b, version, HOLD);
    meet([a, b, c]);
    for (const site of [a, b, c]) {
      const found = versionById(site.view, NAME, writeIdOf(version));
      if (found?.kind !== "object") throw new Error("the version is gone");
      expect(found.row.object.lock?.legalHold).toBe(true);
      expect(found.row.object.attributes.tags).toEqual(TAGS.tags);
      expect(site.view.get(TABLES.usage, BUCKET)).toMatchObject({ objects: 1, bytes: 2 });
    }
    // Also once the hold has been lifted: it takes a delete that knew of it.
    change(c, version, RELEASE);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(isThere(site, version)).toBe(true);
    remove(b, version);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(isThere(site, version)).toBe(false);
  });

  test("is none the less done when the lock had been seen, or nothing but tags was changed", () => {
    const [a, b, c, version] = sitesWith(PUT);
    change(b, version, HOLD);
    a.hearAll(b);
    remove(a, version);
    change(c, version, TAGS);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(isThere(site, version)).toBe(false);
  });

  test("keeps the bytes only so long, and then for good lets go of them", () => {
    const [a, b, c, version] = sitesWith(PUT);
    remove(a, version);
    const live = (): number =>
      a.view.rows(TABLES.segment, "", "~").reduce((sum, { row }) => sum + row.bytes, 0);
    expect(live()).toBe(2);
    a.forget(version, NAME.key);
    expect(live()).toBe(0);
    expect(a.view.rows(TABLES.kept, "", "~")).toEqual([]);
    a.dropDead();
    expect(a.rowsAfterRebuild()).toEqual(a.rows());
    meet([a, b, c]);
    expect(isThere(a, version)).toBe(false);
  });

  test("is read from a row of an older program", () => {
    const stamp = { hlc: writeIdOf(sitesWith(PUT)[3]).hlc, origin: required(ORIGINS[0], "origin") };
    const writer = new ByteWriter();
    const seq = required(remove(sitesWith(PUT)[0], sitesWith(PUT)[3]).dot.seq, "sequence");
    writeStamp(writer.u8(1).u32(0), { ...stamp, seq });
    const row = decodeRow(TABLES.voided, writer.u32(7).finish(), () => 0);
    const deletes = [{ ...stamp, seq, home: 7, vector: NOTHING_SEEN }];
    expect(row).toEqual({ deletes, voids: [] });
  });
});

type Step = readonly [number, "hold" | "release" | "retain" | "tags" | "remove" | "hear", number];
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.tuple(
    fc.nat(ORIGINS.length - 1),
    fc.constantFrom("hold", "release", "retain", "tags", "remove", "hear" as const),
    fc.nat({ max: 40 }),
  ),
  { maxLength: 16 },
);

/** Nothing is done about a version that a site does not have. */
function play(list: readonly Step[]): [ApplySite[], VersionId] {
  const [a, b, c, version] = sitesWith(PUT);
  const all = [a, b, c];
  for (const [who, kind, of] of list) {
    const site = required(all[who], "site");
    if (kind === "hear") site.hearAll(required(all[of % all.length], "site"));
    if (kind === "hear" || !isThere(site, version)) continue;
    if (kind === "remove") remove(site, version);
    else if (kind === "hold") change(site, version, HOLD);
    else if (kind === "release") change(site, version, RELEASE);
    else if (kind === "tags") change(site, version, TAGS);
    else {
      const retention = { mode: "GOVERNANCE", untilMs: of } as const;
      change(site, version, { kind: "retention", retention });
    }
  }
  return [all, version];
}

/** Whether the version is there, from the set of operations alone. */
function expected(operations: readonly Operation[]): boolean {
  const isLock = ({ body }: Operation): boolean => {
    if (body.kind !== "object-meta") return false;
    if (body.change.kind === "legal-hold") return body.change.on;
    return body.change.kind === "retention" && body.change.retention !== undefined;
  };
  const knows = (one: Operation, other: Operation): boolean =>
    hasSeen({ ...one.dot, vector: one.vector.entries }, other.dot);
  const deletes = operations.filter(({ body }) => body.kind === "version-delete");
  const valid = deletes.filter((one) =>
    operations.filter(isLock).every((lock) => knows(one, lock) || knows(lock, one)),
  );
  return valid.length === 0;
}

test("whether a deleted version is there follows from the set of operations, however logs mix", () => {
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.nat()), (list, choose) => {
      const [all, version] = play(list);
      meet(all);
      const { operations, reader } = mixLogs(all, choose);
      for (const site of [...all, reader]) {
        expect(isThere(site, version)).toBe(expected(operations));
        site.dropDead();
        expect(site.rowsAfterRebuild()).toEqual(site.rows());
      }
      const [first, ...rest] = [...all, reader].map((site) => {
        const found = versionById(site.view, NAME, writeIdOf(version));
        return found?.kind === "object" ? found.row.object : undefined;
      });
      for (const other of rest) expect(other).toEqual(first);
    }),
    { numRuns: 300 },
  );
});
