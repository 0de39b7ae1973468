import { expect, test } from "vitest";
import { MapKv } from "../../test/support/map-kv.ts";
import { fc } from "../../test/support/properties.ts";
import { LIMITS } from "../core/limits.ts";
import type { BucketName } from "../core/names.ts";
import { ReferenceCounts } from "./metadata/references.ts";
import { TABLES } from "./metadata/rows.ts";
import { addUsage } from "./metadata/usage.ts";
import { IndexView } from "./metadata/view.ts";
import { type BucketCounts, PlainCounts } from "./plain-counts.ts";
import { PlainFields } from "./plain-fields.ts";

const BUCKET = "bucket" as BucketName;
/** So many folders more and the list is full. */
const LEFT = 2;

type Step = { readonly folder: number; readonly what: "put" | "overwrite" | "delete" | "settle" };

const steps = fc.array(
  fc.record<Step>({
    folder: fc.nat(6),
    what: fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom("put", "overwrite", "delete") },
      { weight: 1, arbitrary: fc.constant("settle") },
    ),
  }),
  { maxLength: 60 },
);

/** As if a bucket had other folders, which stay. */
function fullView(): IndexView {
  const view = new IndexView(new MapKv().kv, () => 0);
  const others = LIMITS.usagePrefixesMax - LEFT;
  addUsage(view, { bucket: BUCKET, key: "other" }, { objects: others, bytes: others });
  const usage = view.get(TABLES.usage, BUCKET);
  if (usage === undefined) throw new Error("nothing was counted");
  view.put(TABLES.usage, BUCKET, { ...usage, prefixes: others });
  return view;
}

function fieldsOf(key: string): PlainFields {
  const folderEnd = key.indexOf("/") + 1;
  return Object.assign(new PlainFields(), { keyAt: 0, folderEnd, folderHash: folderEnd });
}

function rowsOf(view: IndexView): unknown {
  const listed = view.rows(TABLES.prefix, `${BUCKET}\0`, `${BUCKET}\u0001`);
  return { usage: view.get(TABLES.usage, BUCKET), listed };
}

test("sums of counts come to the same as one change after the other, whatever is listed", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const summed = fullView();
      const single = fullView();
      const references = new ReferenceCounts(summed, { keepUnnamed: true });
      const sums = new PlainCounts({ view: summed, references });
      const counts: BucketCounts = {
        ...{ name: BUCKET, folders: new Map(), tombstones: 0, noncurrent: 0, elsewhere: undefined },
      };
      const held = new Map<number, number>();
      for (const { folder, what } of all) {
        // One of the folders is none, and one has a name that is too long to be listed.
        const name = folder === 6 ? "x".repeat(LIMITS.usagePrefixBytesMax + 1) : `${folder}`;
        const key = folder === 0 ? "no folder" : `${name}/key`;
        const has = held.get(folder) ?? 0;
        const bytes = Buffer.from(key);
        if (what === "settle") sums.settle();
        else if (what === "put") {
          held.set(folder, has + 1);
          sums.add(counts, bytes, fieldsOf(key), { objects: 1, bytes: folder });
          addUsage(single, { bucket: BUCKET, key }, { objects: 1, bytes: folder });
        } else if (has === 0) {
          sums.addTombstones(counts, 1);
          addUsage(single, { bucket: BUCKET, key }, { tombstones: 1 });
        } else if (what === "overwrite") {
          sums.add(counts, bytes, fieldsOf(key), { objects: 0, bytes: 5 });
          sums.add(counts, bytes, fieldsOf(key), { objects: 0, bytes: -5 });
        } else {
          held.set(folder, has - 1);
          sums.takeOff(counts, bytes, fieldsOf(key), folder);
          addUsage(single, { bucket: BUCKET, key }, { objects: -1, bytes: -folder });
        }
      }
      sums.settle();
      expect(rowsOf(summed)).toEqual(rowsOf(single));
    }),
    { numRuns: 2000 },
  );
});

test("what rests on segments is summed up as well", () => {
  const view = new IndexView(new MapKv().kv, () => 0);
  const references = new ReferenceCounts(view, { keepUnnamed: true });
  const sums = new PlainCounts({ view, references });
  references.addLive(2, 1, 10);
  sums.addLive(1, 1, 100);
  sums.addLive(2, -1, -10);
  sums.addLive(1, 1, 50);
  sums.settle();
  sums.settle();
  expect(view.rows(TABLES.segment, "", "~")).toEqual([
    { key: "0000000001", row: { rows: 2, bytes: 150 } },
  ]);
});
