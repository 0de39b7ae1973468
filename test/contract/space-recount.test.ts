import { expect, test } from "vitest";
import { VERSIONING_SETTING, versioningSetting } from "../../src/core/bucket-versioning.ts";
import type { UploadId } from "../../src/core/names.ts";
import type { ObjectRecord } from "../../src/core/records.ts";
import { decodeRow, TABLES, type Table } from "../../src/storage/metadata/rows.ts";
import type { PutObjectRequest, Store, StoredVersion } from "../../src/storage/store.ts";
import type { Running } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { fc } from "../support/properties.ts";
import { type SiteFixture, simulatedSite } from "../support/site-fixture.ts";

const DAY_MS = 86_400_000;
const BUCKET = bucketOf("alpha");
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };
/** Small and large: of the latter there are few, so that bodies share chunks. */
const SIZES = [0, 10, 300, 140_000, 140_001] as const;

type StepAt = {
  readonly kind: "delete-version" | "tag" | "complete" | "abort";
  readonly at: number;
};
type Step =
  | { readonly kind: "put" | "append"; readonly key: string; readonly size: number }
  | { readonly kind: "copy" | "rename"; readonly key: string; readonly from: string }
  | { readonly kind: "delete"; readonly key: string }
  | StepAt
  | { readonly kind: "part"; readonly at: number; readonly number: number; readonly size: number }
  | { readonly kind: "begin"; readonly key: string }
  | { readonly kind: "versioning"; readonly to: "enabled" | "suspended" };

const key = fc.constantFrom("a", "b/c", "b/d");
const size = fc.constantFrom(...SIZES);
const at = fc.nat(7);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("put", "append"), key, size }),
  fc.record({ kind: fc.constantFrom("copy", "rename"), key, from: key }),
  fc.record({ kind: fc.constant("delete"), key }),
  fc.record({ kind: fc.constantFrom("delete-version", "tag", "complete", "abort"), at }),
  fc.record({ kind: fc.constant("part"), at, number: fc.integer({ min: 1, max: 2 }), size }),
  fc.record({ kind: fc.constant("begin"), key }),
  fc.record({ kind: fc.constant("versioning"), to: fc.constantFrom("enabled", "suspended") }),
);

function recordOf(bytes: number): PutObjectRequest["object"] {
  const etag = bytes.toString(16).padStart(32, "0");
  const rest = { checksums: [], parts: [], encryption: undefined };
  return { size: bytes, etag, attributes: PLAIN, ...rest };
}

async function stage(store: Store, bytes: Buffer) {
  const writer = await store.stageBody();
  await writer.write(bytes);
  return { kind: "staged", staged: await writer.finish() } as const;
}

async function bodyOf(store: Store, bytes: number) {
  const body = Buffer.alloc(bytes, bytes % 251);
  return bytes > 128 * 1024 ? stage(store, body) : ({ kind: "inline", bytes: body } as const);
}

/** Plays steps against a store, several at once; what a step cannot do it leaves undone. */
class Player {
  readonly #store: Store;
  readonly uploads: Array<{ readonly key: string; readonly uploadId: UploadId }> = [];

  constructor(store: Store) {
    this.#store = store;
  }

  async play(one: Step): Promise<void> {
    const store = this.#store;
    switch (one.kind) {
      case "put":
        await this.#put(one.key, recordOf(one.size), await bodyOf(store, one.size));
        return;
      case "append":
        await this.#append(one.key, one.size);
        return;
      case "copy":
        await this.#copy(one.key, one.from);
        return;
      case "rename":
        await store.renameObject({
          ...{ bucket: BUCKET, source: keyOf(one.from), key: keyOf(one.key), token: undefined },
        });
        return;
      case "delete":
        await store.deleteObject({ bucket: BUCKET, key: keyOf(one.key) });
        return;
      case "versioning": {
        const value = versioningSetting(one.to);
        await store.putBucketSetting({ bucket: BUCKET, name: VERSIONING_SETTING, value });
        return;
      }
      case "begin":
        await this.#begin(one.key);
        return;
      case "part":
        await this.#part(one);
        return;
      case "complete":
      case "abort":
        await this.#end(one);
        return;
      default:
        await this.#change(one);
    }
  }

  async #put(
    name: string,
    object: PutObjectRequest["object"],
    body: PutObjectRequest["body"],
  ): Promise<void> {
    await this.#store.putObject({ bucket: BUCKET, key: keyOf(name), object, body });
  }

  async #append(name: string, bytes: number): Promise<void> {
    const offset = this.#store.object(BUCKET, keyOf(name))?.record.size ?? 0;
    await this.#store.appendObject({
      ...{ bucket: BUCKET, key: keyOf(name), offset, body: await bodyOf(this.#store, bytes) },
      describe: (current: ObjectRecord | undefined) => recordOf((current?.size ?? 0) + bytes),
    });
  }

  async #copy(name: string, from: string): Promise<void> {
    const source = this.#store.object(BUCKET, keyOf(from));
    if (source?.record.body.kind !== "manifests") return;
    await this.#put(name, recordOf(source.record.size), { kind: "shared", source });
  }

  async #begin(name: string): Promise<void> {
    const done = await this.#store.createUpload({
      ...{ bucket: BUCKET, key: keyOf(name), initiator: "i", attributes: PLAIN },
      ...{ encryption: undefined, checksum: undefined, lock: undefined },
    });
    if (done.outcome === "created") {
      this.uploads.push({ key: name, uploadId: done.upload.uploadId });
    }
  }

  #upload(index: number) {
    const found = this.uploads[index % Math.max(1, this.uploads.length)];
    return found && { bucket: BUCKET, key: keyOf(found.key), uploadId: found.uploadId };
  }

  async #part({ at: index, number, size: bytes }: Extract<Step, { kind: "part" }>): Promise<void> {
    const upload = this.#upload(index);
    if (upload === undefined) return;
    const body = await stage(this.#store, Buffer.alloc(bytes, bytes % 251));
    const etag = bytes.toString(16).padStart(32, "0");
    const part = { ...upload, partNumber: number, etag, checksums: [], body };
    await this.#store.putPart(part);
  }

  async #end({ kind, at: index }: StepAt): Promise<void> {
    const upload = this.#upload(index);
    if (upload === undefined) return;
    if (kind === "abort") {
      await this.#store.abortUpload(BUCKET, upload.key, upload.uploadId);
      return;
    }
    // One part is never too small.
    const parts = [...this.#store.parts(upload.uploadId, 0)].slice(-1);
    const listed = parts.map(({ partNumber, etag }) => ({ partNumber, etag, checksums: [] }));
    await this.#store.completeUpload({ ...upload, parts: listed, combine: () => [] });
  }

  async #change({ kind, at: index }: StepAt): Promise<void> {
    const all = listed(this.#store);
    const found = all[index % Math.max(1, all.length)];
    if (found === undefined) return;
    const version = found.isNull ? ("null" as const) : found.version;
    const name = { bucket: BUCKET, key: found.key, version };
    if (kind === "delete-version") await this.#store.deleteObject(name);
    else {
      const tags: Array<readonly [string, string]> = [["tag", `${index}`]];
      await this.#store.changeObject({ ...name, change: { kind: "tags", tags } });
    }
  }
}

function listed(store: Store): StoredVersion[] {
  const cursor = store.versions(BUCKET);
  const versions: StoredVersion[] = [];
  for (let next = cursor.next(); next !== undefined; next = cursor.next()) versions.push(next);
  cursor.close();
  return versions;
}

type Sums = Record<string, number>;

function add(sums: Sums, name: string | number, by: number): void {
  const next = (sums[name] ?? 0) + by;
  if (next === 0) delete sums[name];
  else sums[name] = next;
}

/** What the rows say by themselves, and what is counted of it. */
function recount({ kv }: Running, { hash }: SiteFixture) {
  const rows = <Row>(table: Table<Row>): Array<{ name: string; row: Row }> =>
    Array.from(kv.range({}), ({ key: name, value }) => ({
      name: Buffer.from(name).toString("latin1"),
      value: Buffer.from(value),
    }))
      .filter(({ name }) => name.startsWith(table.prefix))
      .map(({ name, value }) => ({
        name: name.slice(1),
        row: decodeRow(table, value, hash.crc32),
      }));
  const [manifests, chunks, bytes]: [Sums, Sums, Sums] = [{}, {}, {}];
  const objects = [
    ...rows(TABLES.object).map(({ row }) => row),
    ...rows(TABLES.version).flatMap(({ row }) => (row.kind === "object" ? [row.row] : [])),
    ...rows(TABLES.voided).flatMap(({ row: { kept } }) =>
      kept?.version?.kind === "object" ? [kept.version.row] : [],
    ),
  ];
  for (const { home, object } of objects) {
    if (object.body.kind === "inline") add(bytes, home, object.body.bytes);
    else for (const one of object.body.manifests) add(manifests, one.hash, 1);
  }
  for (const { row } of rows(TABLES.part)) add(manifests, row.part.manifest.hash, 1);
  for (const { row } of rows(TABLES.manifest))
    for (const one of row.chunks) add(chunks, one.hash, 1);
  for (const { row } of rows(TABLES.chunk)) add(bytes, row.place.segment, row.place.bytes);
  const counted = { manifests: {} as Sums, chunks: {} as Sums, bytes: {} as Sums };
  for (const { name, row } of rows(TABLES.manifest)) add(counted.manifests, name, row.refs);
  for (const { name, row } of rows(TABLES.chunk)) add(counted.chunks, name, row.refs);
  for (const { name, row } of rows(TABLES.segment)) add(counted.bytes, Number(name), row.bytes);
  const segments = rows(TABLES.segment).length;
  return { counted, found: { manifests, chunks, bytes }, segments };
}

function usageOf(versions: readonly StoredVersion[]) {
  const objects = versions.flatMap((one) => (one.kind === "object" ? [one] : []));
  const current = objects.filter(({ isLatest }) => isLatest);
  return {
    objects: current.length,
    versions: objects.length,
    deleteMarkers: versions.length - objects.length,
    bytes: objects.reduce((sum, { object }) => sum + object.record.size, 0),
  };
}

test("counts are those of the rows, and all space comes back, whatever happens at once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 4, maxLength: 16 }),
      async (turns) => {
        const fixture = await simulatedSite("off");
        let running = await fixture.open();
        const { store } = running.site;
        await store.createBucket({ name: BUCKET, owner: "owner" });
        const player = new Player(store);
        for (const turn of turns) await Promise.all(turn.map((one) => player.play(one)));
        const { counted, found } = recount(running, fixture);
        expect(counted).toEqual(found);
        expect(store.bucketUsage(BUCKET)).toMatchObject(usageOf(listed(store)));
        for (const one of listed(store)) {
          const version = one.isNull ? ("null" as const) : one.version;
          await store.deleteObject({ bucket: BUCKET, key: one.key, version });
        }
        expect((await store.deleteBucket(BUCKET)).outcome).toBe("deleted");
        fixture.clock.leap(10 * DAY_MS);
        await running.site.close();
        // What was left open is sealed after a start, and what nobody needs goes.
        running = await fixture.open();
        for (let look = 0; look < 3; look++) await running.site.store.keepHouse();
        expect(recount(running, fixture).counted).toEqual({ manifests: {}, chunks: {}, bytes: {} });
        const { liveBytes, pinnedBytes, count } = running.site.store.stats().segments;
        expect({ liveBytes, pinnedBytes }).toEqual({ liveBytes: 0, pinnedBytes: 0 });
        // What is left is what some row rests on, and what is written to now.
        expect(count).toBeLessThanOrEqual(recount(running, fixture).segments + 1);
        expect(running.faults).toEqual([]);
        await running.site.close();
        fixture.remove();
      },
    ),
    { numRuns: 15, endOnFailure: true },
  );
});
