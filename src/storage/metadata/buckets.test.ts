import { describe, expect, test } from "vitest";
import {
  ApplySite,
  BUCKET,
  hlcAt,
  KEYS,
  meet,
  mixLogs,
  ORIGINS,
  objectOf,
  seqOf,
} from "../../../test/support/apply-sites.ts";
import { fc } from "../../../test/support/properties.ts";
import { ByteWriter } from "../../core/bytes.ts";
import { hasSeen } from "../../core/causality.ts";
import type { Operation, OperationBody } from "../../core/records.ts";
import { required } from "../../core/tagged-fields.ts";
import { findBucket } from "../store-parts.ts";
import type { BucketRow } from "./bucket-rows.ts";
import { decodeRow, encodeRow, TABLES } from "./rows.ts";
import { writeStamp } from "./stamp.ts";

const NAME = { bucket: BUCKET, key: required(KEYS[0], "key") };
const PUT = { kind: "object-put", ...NAME, nullSlot: true, object: objectOf(3) } as const;
const CREATE = { kind: "bucket-create", bucket: BUCKET, createdMs: 5, owner: "o" } as const;
const DELETE = { kind: "bucket-delete", bucket: BUCKET, deletedMs: 6 } as const;
const EMPTY = {
  kind: "object-delete",
  ...NAME,
  nullSlot: true,
  nullMarker: false,
  deletedMs: 7,
} as const;

function set(name: string, value: string | undefined): OperationBody {
  const bytes = value === undefined ? undefined : Buffer.from(value);
  return { kind: "bucket-setting", bucket: BUCKET, name, value: bytes };
}

function sites(): [ApplySite, ApplySite, ApplySite] {
  const [a, b, c] = ORIGINS.map((origin) => new ApplySite(origin));
  return [required(a, "site"), required(b, "site"), required(c, "site")];
}

/** Settings as users see them; undefined without the bucket. */
function shown(site: ApplySite): Record<string, string> | undefined {
  const bucket = findBucket(site.view, BUCKET);
  if (bucket === undefined) return undefined;
  return Object.fromEntries([...bucket.settings].map(([name, value]) => [name, `${value}`]));
}

describe("a bucket that is deleted", () => {
  test("is gone everywhere, and begins anew without its settings", () => {
    const [a, b, c] = sites();
    a.write(1, CREATE);
    a.write(2, set("tagging", "old"));
    b.hearAll(a);
    b.write(3, DELETE);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(shown(site)).toBeUndefined();
    c.write(4, CREATE);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(shown(site)).toEqual({});
  });

  test("stays when it was created elsewhere beside the deletion", () => {
    const [a, b, c] = sites();
    a.write(1, CREATE);
    b.write(2, CREATE);
    b.write(2, set("tagging", "b"));
    a.write(9, DELETE);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(shown(site)).toEqual({ tagging: "b" });
  });

  test("comes back with its last settings for a write that the deletion did not know of", () => {
    const [a, b, c] = sites();
    a.write(1, CREATE);
    a.write(2, set("versioning", "old"));
    b.hearAll(a);
    b.write(3, PUT);
    a.write(9, DELETE);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(shown(site)).toEqual({ versioning: "old" });
    c.write(10, EMPTY);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(shown(site)).toBeUndefined();
  });

  test.each([
    ["policy", {}],
    ["acl", {}],
    ["tagging", { tagging: "new" }],
  ])("is not opened by a %s that was set beside its deletion", (name, expected) => {
    const [a, b, c] = sites();
    a.write(1, CREATE);
    b.hearAll(a);
    b.write(3, PUT);
    b.write(4, set(name, "new"));
    a.write(9, DELETE);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(shown(site)).toEqual(expected);
  });

  test("loses its policy when the walls around it were changed beside its deletion", () => {
    const [a, b, c] = sites();
    a.write(1, CREATE);
    a.write(2, set("policy", "public"));
    a.write(2, set("public-access-block", "blocks"));
    b.hearAll(a);
    b.write(3, PUT);
    b.write(4, set("public-access-block", undefined));
    a.write(9, DELETE);
    meet([a, b, c]);
    for (const site of [a, b, c]) expect(shown(site)).toEqual({});
  });
});

type Step = readonly [number, "create" | "delete" | "set" | "put" | "empty" | "hear", number];
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.tuple(
    fc.nat(ORIGINS.length - 1),
    fc.constantFrom("create", "delete", "set", "put", "empty", "hear" as const),
    fc.nat(),
  ),
  { maxLength: 24 },
);

function bodyOf(site: ApplySite, [, kind, of]: Step, index: number): OperationBody | undefined {
  const exists = findBucket(site.view, BUCKET) !== undefined;
  const holds = (site.view.get(TABLES.usage, BUCKET)?.objects ?? 0) > 0;
  if (kind === "create") return exists ? undefined : { ...CREATE, createdMs: index };
  if (kind === "hear" || !exists) return undefined;
  if (kind === "delete") return holds ? undefined : DELETE;
  if (kind === "set") return set(["policy", "tagging"][of % 2] ?? "", `${index}`);
  return kind === "put" ? { ...PUT, object: objectOf(index) } : EMPTY;
}

function play(list: readonly Step[]): ApplySite[] {
  const all = ORIGINS.map((origin) => new ApplySite(origin));
  for (const [index, step] of list.entries()) {
    const site = required(all[step[0]], "site");
    if (step[1] === "hear") site.hearAll(required(all[step[2] % all.length], "site"));
    const body = bodyOf(site, step, index);
    if (body !== undefined) site.write(index + 1, body);
  }
  return all;
}

/** The bucket's creations and deletions that count, and whether it lives, from the set alone. */
function expected(operations: readonly Operation[]): { alive: boolean } {
  const of = (kind: Operation["body"]["kind"]): Operation[] =>
    operations.filter(({ body }) => body.kind === kind);
  const seenByDeletion = (one: Operation): boolean =>
    of("bucket-delete").some((deletion) =>
      hasSeen({ ...deletion.dot, vector: deletion.vector.entries }, one.dot),
    );
  return { alive: of("bucket-create").some((creation) => !seenByDeletion(creation)) };
}

test("what is said of buckets follows from the set of operations, whatever their order", () => {
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.nat()), (list, choose) => {
      const all = play(list);
      meet(all);
      const { operations, reader } = mixLogs(all, choose);
      for (const site of all) expect(facts(site)).toEqual(facts(reader));
      const row = reader.view.get(TABLES.bucket, BUCKET);
      if (row !== undefined) expect(!row.deleted).toBe(expected(operations).alive);
    }),
    { numRuns: 400 },
  );
});

/** What counts, without where it lies. */
function facts(site: ApplySite): unknown {
  const row = site.view.get(TABLES.bucket, BUCKET);
  const bare = (list: readonly object[] | undefined): unknown[] =>
    (list ?? []).map((one) => ({ ...one, home: 0 }));
  const said = [...(row?.said ?? [])].map(([name, one]) => [name, { ...one, home: 0 }]);
  return [bare(row?.creations), bare(row?.deletions), said, shown(site)];
}

test("a rebuild from what is left of the log has the same buckets", () => {
  fc.assert(
    fc.property(steps, (list) => {
      for (const site of play(list)) {
        site.dropDead();
        expect(site.rowsAfterRebuild()).toEqual(site.rows());
      }
    }),
    { numRuns: 400 },
  );
});

describe("a bucket's row", () => {
  test.each([
    [0, { deleted: false, createdMs: 77, owner: "me" }],
    [1, { deleted: true }],
  ])("of an older program is read, deleted being %s", (deleted, said) => {
    const stamp = { hlc: hlcAt(9), origin: required(ORIGINS[0], "origin"), seq: seqOf(4) };
    const writer = new ByteWriter();
    writeStamp(writer.u8(1).u32(0), stamp);
    writer.u32(3).text(BUCKET).u64(77).text("me").u8(deleted).varint(0);
    const row: BucketRow = decodeRow(TABLES.bucket, writer.finish(), () => 0);
    expect(row).toMatchObject({ name: BUCKET, ...said });
    const again = new ByteWriter();
    const { start, end } = encodeRow(again, TABLES.bucket, row, () => 0);
    expect(decodeRow(TABLES.bucket, again.finish().subarray(start, end), () => 0)).toEqual(row);
  });
});
