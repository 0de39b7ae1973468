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
import { hasSeen } from "../../core/causality.ts";
import type { VersionId } from "../../core/names.ts";
import type { ObjectLock, Retention } from "../../core/object-lock-state.ts";
import type { ObjectChange, Operation } from "../../core/records.ts";
import { required } from "../../core/tagged-fields.ts";
import { objectKeyOf } from "./keys.ts";
import { TABLES } from "./rows.ts";

const NAME = { bucket: BUCKET, key: required(KEYS[0], "key") };
const PUT = { kind: "object-put", ...NAME, nullSlot: false, object: objectOf(1) } as const;

function change(site: ApplySite, tick: number, version: VersionId, what: ObjectChange): void {
  site.write(tick, { kind: "object-meta", ...NAME, version, nullSlot: false, change: what });
}

function lockOf(site: ApplySite): ObjectLock | undefined {
  return site.view.get(TABLES.object, objectKeyOf(NAME.bucket, NAME.key))?.object.lock;
}

const HOLD = { kind: "legal-hold", on: true } as const;
const RELEASE = { kind: "legal-hold", on: false } as const;

function retain(mode: Retention["mode"], untilMs: number): ObjectChange {
  return { kind: "retention", retention: { mode, untilMs } };
}

describe("what is said of a version's lock at two sites at once", () => {
  test("is a hold that is on, though the release beside it came later", () => {
    const [a, b, c, version] = sitesWith(PUT);
    change(a, 2, version, HOLD);
    change(b, 9, version, RELEASE);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(lockOf(site)?.legalHold).toBe(true);
    change(c, 10, version, RELEASE);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(lockOf(site)?.legalHold).toBe(false);
  });

  test.each([
    [retain("GOVERNANCE", 500), retain("GOVERNANCE", 300), 500],
    [retain("COMPLIANCE", 300), retain("GOVERNANCE", 500), 300],
    [retain("GOVERNANCE", 300), { kind: "retention", retention: undefined } as const, 300],
  ])("is the stricter retention, though the other came later: %j, %j", (strict, weak, untilMs) => {
    const [a, b, c, version] = sitesWith(PUT);
    change(a, 2, version, strict);
    change(b, 9, version, weak);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(lockOf(site)?.retention?.untilMs).toBe(untilMs);
  });

  test("is what came last when that knew of the other", () => {
    const [a, b, c, version] = sitesWith(PUT);
    change(a, 2, version, retain("GOVERNANCE", 500));
    b.hearAll(a);
    change(b, 3, version, retain("GOVERNANCE", 300));
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(lockOf(site)?.retention?.untilMs).toBe(300);
  });
});

type Step = readonly [number, "hold" | "release" | "retain" | "free" | "hear", number];
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.tuple(
    fc.nat(ORIGINS.length - 1),
    fc.constantFrom("hold", "release", "retain", "free", "hear" as const),
    fc.nat({ max: 40 }),
  ),
  { maxLength: 16 },
);

function play(list: readonly Step[]): ApplySite[] {
  const [a, b, c, version] = sitesWith(PUT);
  const all = [a, b, c];
  for (const [index, [who, kind, of]] of list.entries()) {
    const site = required(all[who], "site");
    if (kind === "hear") site.hearAll(required(all[of % all.length], "site"));
    else if (kind === "free")
      change(site, index + 2, version, { kind: "retention", retention: undefined });
    else if (kind === "retain")
      change(site, index + 2, version, retain(of % 3 === 0 ? "COMPLIANCE" : "GOVERNANCE", of));
    else change(site, index + 2, version, kind === "hold" ? HOLD : RELEASE);
  }
  return all;
}

/** Whether a hold is on, from the set of operations alone. */
function expectedHold(operations: readonly Operation[]): boolean {
  const holds = operations.flatMap((one) =>
    one.body.kind === "object-meta" && one.body.change.kind === "legal-hold"
      ? [{ ...one.dot, vector: one.vector.entries, on: one.body.change.on }]
      : [],
  );
  return holds.some(({ on, ...one }) => on && !holds.some((other) => hasSeen(other, one)));
}

test("locks follow from the set of operations, whatever their order, and after a rebuild", () => {
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.nat()), (list, choose) => {
      const all = play(list);
      meet(all);
      const { operations, reader } = mixLogs(all, choose);
      for (const site of all) expect(lockOf(site)).toEqual(lockOf(reader));
      expect(lockOf(reader)?.legalHold ?? false).toBe(expectedHold(operations));
      for (const site of [...all, reader]) {
        site.dropDead();
        expect(site.rowsAfterRebuild()).toEqual(site.rows());
      }
    }),
    { numRuns: 300 },
  );
});
