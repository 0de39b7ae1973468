import { afterAll, beforeAll, expect, test } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { parseObjectKey } from "../../src/core/names.ts";
import type { VersionRef } from "../../src/s3api/headers/version-ref.ts";
import { objectNames } from "../../src/s3api/list/object-names.ts";
import { listPage, type PageWish, walkPage } from "../../src/s3api/list/page.ts";
import { versionSource } from "../../src/s3api/list/sources.ts";
import type { PutObjectRequest } from "../../src/storage/store.ts";
import type { Running } from "../sim/sim-machine.ts";
import { bucketOf } from "../sim/store-journal.ts";
import { realSite, type SiteFixture } from "../support/site-fixture.ts";

const VERSIONS = 6000;
const DEEP_KEYS = 10;
const PAGE = 1000;
/** The rows shown, that of the marker, and one of each table (current and older) to see more. */
const PAGE_ROWS = PAGE + 3;

const flat = bucketOf("flat");
const deep = bucketOf("deep");
const OBJECT: PutObjectRequest["object"] = {
  size: 0,
  etag: "d41d8cd98f00b204e9800998ecf8427e",
  attributes: { system: [], user: [], storageClass: undefined, tags: [] },
  checksums: [],
  parts: [],
  encryption: undefined,
};

let fixture: SiteFixture;
let running: Running;

beforeAll(async () => {
  fixture = await realSite("off");
  running = await fixture.open();
  const settings = new Map([["versioning", versioningSetting("enabled")]]);
  for (const name of [flat, deep]) {
    await running.site.store.createBucket({ name, owner: "o", settings });
  }
  const nameOf = (number: number): string => `folder/${String(number).padStart(6, "0")}`;
  for (let number = 0; number < VERSIONS; number += 500) {
    const some = Array.from({ length: 500 }, (_, at) => number + at);
    await Promise.all(some.map((one) => put(flat, nameOf(one))));
    await Promise.all(some.map((one) => put(deep, nameOf(one % DEEP_KEYS))));
  }
});

afterAll(async () => {
  await running.site.close();
  fixture.remove();
});

async function put(bucket: typeof flat, keyText: string): Promise<void> {
  const key = parseObjectKey(keyText);
  if (key === undefined) throw new Error(`${keyText} is no key`);
  const body = { kind: "inline", bytes: new Uint8Array(0) } as const;
  const { outcome } = await running.site.store.putObject({ bucket, key, object: OBJECT, body });
  if (outcome !== "stored") throw new Error(outcome);
}

/** Rows read and versions shown of each page of a bucket, from the first to the last. */
function walk(bucket: typeof flat, wish: Partial<PageWish>) {
  const pages: Array<{ rows: number; shown: number }> = [];
  let marker = "";
  let version: VersionRef | undefined;
  for (;;) {
    const cursor = running.site.store.listedVersions(bucket);
    const source = versionSource(cursor, version);
    const page = listPage(source, { prefix: "", delimiter: "", max: PAGE, ...wish, marker });
    pages.push({ rows: cursor.rowsRead, shown: page.items.length });
    const last = page.items.at(-1);
    if (!page.truncated || last === undefined) return pages;
    marker = last.name;
    version = last.kind === "entry" ? last.entry.shown.version : undefined;
  }
}

test("a page costs the same whether ten keys have all versions or every key has one", () => {
  for (const bucket of [flat, deep]) {
    const pages = walk(bucket, {});
    expect(pages).toHaveLength(VERSIONS / PAGE);
    for (const { rows, shown } of pages) {
      expect(shown).toBe(PAGE);
      expect(rows).toBeLessThanOrEqual(PAGE_ROWS);
    }
  }
});

test("a folder of thousands of versions costs as little as one of a single version", () => {
  for (const bucket of [flat, deep]) {
    const [page, ...others] = walk(bucket, { delimiter: "/" });
    expect([page?.shown, others]).toEqual([1, []]);
    expect(page?.rows).toBeLessThanOrEqual(2);
  }
});

test("a listing of what is current reads no row of what is not", () => {
  const cursor = running.site.store.objects(deep);
  const wish = { prefix: "", delimiter: "", marker: "", max: PAGE };
  let shown = 0;
  walkPage(objectNames(cursor, wish), wish, { entry: () => ++shown, prefix: () => undefined });
  expect(shown).toBe(DEEP_KEYS);
  expect(cursor.rowsRead).toBe(DEEP_KEYS);
});
