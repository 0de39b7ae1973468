import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StorageFault } from "../../src/core/faults.ts";
import { readBootMark, writeBootMark } from "../../src/storage/boot-mark.ts";
import { takeCheckpoint } from "../../src/storage/recovery.ts";
import { segmentName } from "../../src/storage/segment/segments.ts";
import { dumpRows, type Running } from "../sim/sim-machine.ts";
import { checkContents, showModel, showStore } from "../sim/store-check.ts";
import { bucketOf, Journal, keyOf, type UploadIds } from "../sim/store-journal.ts";
import {
  applyToModel,
  type Content,
  EMPTY_STATE,
  type ModelOperation,
  type ModelState,
} from "../sim/store-model.ts";
import { realSite, type SiteFixture, simulatedSite } from "../support/site-fixture.ts";

const IDLE_MS = 11 * 60_000;
const SMALL: Content = { id: 1, size: 900, chunked: false };
const LARGE: Content = { id: 2, size: 150_000, chunked: true };
const UPLOAD = { bucket: "alpha", key: "up", tag: "u1" };

function put(key: string, number: number, content: Content): ModelOperation {
  const etag = number.toString(16).padStart(32, "0");
  const object = { writer: `w${number}`, etag, contents: [content] };
  return { kind: "put", bucket: "alpha", key, object, shared: false, ifNoneMatch: false };
}

describe.each([
  ["a real directory", () => realSite("auto")],
  ["a simulated disk", () => simulatedSite("off")],
])("recovery of a store in %s", (_name, make) => {
  let fixture: SiteFixture;
  let running: Running;
  let journal: Journal;
  let state: ModelState;
  const uploadIds: UploadIds = new Map();

  beforeEach(async () => {
    fixture = await make();
    state = EMPTY_STATE;
    uploadIds.clear();
    await start();
    await perform({ kind: "create-bucket", bucket: "alpha" });
  });

  afterEach(async () => {
    await running.site.close();
    fixture.remove();
  });

  async function start(options: { rebuildIndex?: boolean } = {}): Promise<void> {
    running = await fixture.open(options);
    journal = new Journal(running.site.store, uploadIds);
  }

  async function perform(operation: ModelOperation): Promise<void> {
    await journal.perform({ operation });
    state = applyToModel(state, operation).state;
  }

  async function check(): Promise<void> {
    expect(showStore(running.site.store, uploadIds)).toBe(showModel(state));
    await checkContents(running.site, state, []);
  }

  async function keepHouse(): Promise<void> {
    for (let times = 0; times < 3; times++) {
      await running.site.store.keepHouse();
      fixture.clock.leap(IDLE_MS);
    }
  }

  async function checkpoint(): Promise<void> {
    await takeCheckpoint(fixture.disk(), running.kv, `${fixture.directory}/checkpoint`);
  }

  /** Makes the next start doubt the index, as after a power cut. */
  async function forgetBoot(): Promise<void> {
    const logEnd = (await readBootMark(fixture.disk(), fixture.directory))?.logEnd;
    const elsewhere = { bootId: "another", fileSystem: "another", logEnd };
    const mark = { ...elsewhere, clean: false, failedStarts: 0 };
    await writeBootMark(fixture.disk(), fixture.directory, mark);
  }

  test("replays what came after the checkpoint, and then holds the same rows", async () => {
    await perform(put("a", 1, SMALL));
    await perform(put("b", 2, LARGE));
    await checkpoint();
    await perform(put("a", 3, LARGE));
    await perform(put("c", 4, SMALL));
    const rows = dumpRows(running.kv, fixture.hash);
    await running.site.close();
    await forgetBoot();
    await start();
    expect(running.site.opening.replayedOperations).toBe(2);
    expect(dumpRows(running.kv, fixture.hash)).toEqual(rows);
    await check();
  });

  test("leaves nothing of a checkpoint that has failed, and keeps the one before", async () => {
    await checkpoint();
    const directory = `${fixture.directory}/checkpoint`;
    const before = await fixture.disk().list(directory);
    const backup = async (path: string): Promise<void> => {
      await running.kv.backup(path);
      throw new Error("ENOSPC");
    };
    const kv = Object.assign(Object.create(running.kv), { backup });
    await expect(takeCheckpoint(fixture.disk(), kv, directory)).rejects.toThrow("ENOSPC");
    expect(await fixture.disk().list(directory)).toEqual(before);
  });

  test("replays the whole log when it doubts the index and has no checkpoint", async () => {
    await perform(put("a", 1, SMALL));
    await perform(put("a", 2, LARGE));
    await running.site.close();
    await forgetBoot();
    await start();
    expect(running.site.opening.replayedOperations).toBe(3);
    await check();
  });

  test("does not believe a checkpoint that is older than what was dropped since", async () => {
    await keepHouse();
    await perform({ kind: "create-upload", ...UPLOAD });
    await perform(put("a", 1, SMALL));
    await keepHouse();
    await checkpoint();
    await perform({ kind: "abort", ...UPLOAD });
    // Each round drops the segment of the one before, and with it the record of an earlier drop.
    for (let number = 2; number < 7; number++) {
      await perform(put("a", number, SMALL));
      await keepHouse();
    }
    const rows = dumpRows(running.kv, fixture.hash);
    await running.site.close();
    await forgetBoot();
    await start();
    expect(dumpRows(running.kv, fixture.hash)).toEqual(rows);
    await check();
  });

  test("makes the index anew after two starts that failed", async () => {
    await perform(put("a", 1, SMALL));
    await running.site.close();
    const mark = await readBootMark(fixture.disk(), fixture.directory);
    if (mark === undefined) throw new Error("a closed site has a mark");
    await writeBootMark(fixture.disk(), fixture.directory, { ...mark, failedStarts: 2 });
    await start();
    expect(running.site.opening.replayedOperations).toBe(2);
    await check();
  });

  test("does not believe an index that the start before it did not believe", async () => {
    await perform(put("a", 1, SMALL));
    const nowhere = { bootId: undefined, fileSystem: undefined, logEnd: undefined };
    const doubted = { ...nowhere, clean: false, failedStarts: 1 };
    await running.site.close();
    await writeBootMark(fixture.disk(), fixture.directory, doubted);
    await start();
    expect(running.site.opening.replayedOperations).toBe(2);
    await check();
  });

  test("does not take a damaged last batch for a torn one when it was there at the end", async () => {
    await perform(put("a", 1, SMALL));
    await running.site.close();
    const mark = await readBootMark(fixture.disk(), fixture.directory);
    if (mark?.logEnd === undefined) throw new Error("a closed site knows where its log ended");
    const { segment, offset } = mark.logEnd;
    const path = `${fixture.directory}/segments/${segmentName(segment)}`;
    const flip = async (): Promise<void> => {
      const bytes = Buffer.from(await fixture.disk().readFile(path));
      // In the body of the last batch: its end is padding.
      const at = bytes.lastIndexOf("BEND", offset) - 20;
      const file = await fixture.disk().openWrite(path, "buffered");
      await file.write(Buffer.from([(bytes[at] ?? 0) ^ 1]), at);
      await file.sync();
      await file.close();
    };
    await flip();
    await expect(fixture.open({ rebuildIndex: true })).rejects.toThrow("where it ended");
    await flip();
    await start({ rebuildIndex: true });
    await check();
  });

  test("never takes what is left of a log for all of it when the index knows of more", async () => {
    await perform(put("a", 1, SMALL));
    await perform(put("b", 2, LARGE));
    await running.site.close();
    const mark = await readBootMark(fixture.disk(), fixture.directory);
    if (mark?.logEnd === undefined) throw new Error("a closed site knows where its log ended");
    const path = `${fixture.directory}/segments/${segmentName(mark.logEnd.segment)}`;
    const whole = await fixture.disk().readFile(path);
    // As if it had been killed, and somebody had then cut the file.
    const killed = { ...mark, clean: false, logEnd: undefined };
    await writeBootMark(fixture.disk(), fixture.directory, killed);
    const file = await fixture.disk().openWrite(path, "buffered");
    await file.truncate(mark.logEnd.offset - 4096);
    // However often it is tried, also by starts that believe no index any more.
    for (let attempt = 0; attempt < 4; attempt++) {
      await expect(fixture.open({})).rejects.toThrow("where it ended");
    }
    await expect(fixture.open({ rebuildIndex: true })).rejects.toThrow("where it ended");
    await file.write(whole, 0);
    await file.sync();
    await file.close();
    await start();
    await check();
  });

  test("names a damaged row and serves nothing from it, until the index is made anew", async () => {
    await perform(put("a", 1, SMALL));
    for (const { key, value } of [...running.kv.range({})]) {
      const damaged = Buffer.from(value);
      const last = damaged.length - 1;
      damaged[last] = (damaged[last] ?? 0) ^ 1;
      await running.kv.write([{ key: Buffer.from(key), value: damaged }]);
    }
    const { store } = running.site;
    expect(() => store.object(bucketOf("alpha"), keyOf("a"))).toThrow(StorageFault);
    await running.site.close();
    await start({ rebuildIndex: true });
    await check();
  });
});
