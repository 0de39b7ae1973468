import { beforeAll, expect, test } from "vitest";
import { StorageFault } from "../../src/core/faults.ts";
import type { Hash } from "../../src/ports/hash.ts";
import type { Kv, KvRow } from "../../src/ports/kv.ts";
import { Seed } from "./seed.ts";
import { createInlineHash } from "./sim-hash.ts";
import { type Running, type Sabotage, SIM_DIRECTORY, SimMachine } from "./sim-machine.ts";
import { BrokenPromise, checkContents, showModel, showStore } from "./store-check.ts";
import { Journal, type UploadIds } from "./store-journal.ts";
import {
  applyToModel,
  type Content,
  EMPTY_STATE,
  type ModelOperation,
  type ModelState,
} from "./store-model.ts";

const SEGMENTS = `${SIM_DIRECTORY}/segments`;
const RANDOM_FLIPS = 20_000;
const REOPENED_RANDOM_FLIPS = 400;
const FLIPS_PER_ROW = 24;
const IDLE_MS = 11 * 60_000;
const HEADER_BYTES = 96;
const BATCH_HEADER_BYTES = 64;
const PAGE_BYTES = 4096;

const CONTENTS: readonly Content[] = [
  { id: 1, size: 300, chunked: false },
  { id: 2, size: 20_000, chunked: false },
  { id: 3, size: 150_000, chunked: true },
  { id: 4, size: 1, chunked: false },
];

let hash: Hash;
beforeAll(async () => {
  hash = await createInlineHash();
});

function machineOf(name: string, sabotage: Sabotage = {}): SimMachine {
  const seed = new Seed(`flipped-bits/${name}`);
  return new SimMachine(seed, { hash, directIo: "off", segmentBytes: 16 * 1024, sabotage });
}

type Filled = Running & { readonly state: ModelState; readonly uploadIds: UploadIds };

/** A small store with sealed and open segments of both lanes, and what it holds. */
async function fill(machine: SimMachine): Promise<Filled> {
  const running = await machine.open();
  const uploadIds: UploadIds = new Map();
  const journal = new Journal(running.site.store, uploadIds);
  let state = EMPTY_STATE;
  const perform = async (operation: ModelOperation): Promise<void> => {
    await journal.perform({ operation });
    state = applyToModel(state, operation).state;
  };
  await perform({ kind: "create-bucket", bucket: "alpha" });
  for (const [number, content] of CONTENTS.entries()) {
    const etag = number.toString(16).padStart(32, "0");
    const object = { writer: `w${number}`, etag, contents: [content] };
    const key = number % 2 === 0 ? `dir/${number}` : String(number);
    await perform({ kind: "put", bucket: "alpha", key, object, shared: false, ifNoneMatch: false });
  }
  await perform({ kind: "delete", targets: [{ bucket: "alpha", key: "3" }] });
  await perform({ kind: "create-upload", bucket: "alpha", key: "up", tag: "u1" });
  for (let times = 0; times < 3; times++) {
    await running.site.store.keepHouse();
    machine.clock.leap(IDLE_MS);
  }
  // The end of a log that was damaged looks like one that was torn, so it holds nothing we need.
  await perform({ kind: "create-bucket", bucket: "last" });
  return { ...running, state, uploadIds };
}

/** Everything is as it was, or the damage is named; false when it was named. */
async function isRightOrRefused({ site, state, uploadIds }: Filled): Promise<boolean> {
  try {
    const shown = showStore(site.store, uploadIds);
    const withoutLast = { ...state, buckets: new Map([...state.buckets].slice(0, 1)) };
    if (shown !== showModel(state) && shown !== showModel(withoutLast)) {
      throw new BrokenPromise(`shown: ${shown}`);
    }
    await checkContents(site, shown === showModel(state) ? state : withoutLast, []);
    return true;
  } catch (failure) {
    if (failure instanceof StorageFault && failure.kind === "corrupt") return false;
    throw failure;
  }
}

async function filesOf(machine: SimMachine): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const directory of [SIM_DIRECTORY, SEGMENTS]) {
    for (const name of await machine.disk.list(directory)) {
      const path = `${directory}/${name}`;
      const facts = await machine.disk.stat(path);
      if (facts?.kind === "file") files.set(path, await machine.disk.readFile(path));
    }
  }
  return files;
}

async function machineWith(files: ReadonlyMap<string, Uint8Array>): Promise<SimMachine> {
  const machine = machineOf("copy");
  machine.disk.makeDirectories(SIM_DIRECTORY);
  machine.disk.makeDirectories(SEGMENTS);
  for (const [path, bytes] of files) {
    const file = await machine.disk.create(path, "buffered");
    await file.write(bytes, 0);
    await file.close();
  }
  return machine;
}

test("a flipped bit anywhere in the segments of a running site is never served", async () => {
  const machine = machineOf("running");
  const filled = await fill(machine);
  const seed = new Seed("flipped-bits/places");
  const files = [...(await filesOf(machine))].filter(([path]) => path.startsWith(SEGMENTS));
  let detected = 0;
  for (let flip = 0; flip < RANDOM_FLIPS; flip++) {
    const [path, bytes] = seed.pick(files);
    const bit = seed.int(bytes.length * 8);
    machine.disk.flipBit(path, bit);
    if (!(await isRightOrRefused(filled))) detected += 1;
    machine.disk.flipBit(path, bit);
  }
  expect(await isRightOrRefused(filled)).toBe(true);
  expect(detected).toBeGreaterThan(RANDOM_FLIPS / 10);
  await filled.site.close();
});

test("a flipped bit found at the start is refused or healed, in every byte of structure", async () => {
  const original = machineOf("reopened");
  const filled = await fill(original);
  await filled.site.close();
  const files = await filesOf(original);
  const seed = new Seed("flipped-bits/structure");
  const whole = await (await machineWith(files)).open({ rebuildIndex: true });
  expect(await isRightOrRefused({ ...filled, ...whole })).toBe(true);
  let refused = 0;
  let healed = 0;
  for (const [path, bit] of structureBits(files, seed)) {
    const bytes = Buffer.from(files.get(path) ?? []);
    const at = Math.floor(bit / 8);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % 8));
    const machine = await machineWith(new Map(files).set(path, bytes));
    try {
      const running = await machine.open({ rebuildIndex: true });
      if (await isRightOrRefused({ ...filled, ...running })) healed += 1;
      else refused += 1;
    } catch (failure) {
      const where = `${path}, bit ${bit}: ${failure}`;
      expect(failure, where).toBeInstanceOf(StorageFault);
      refused += 1;
    }
  }
  process.stdout.write(`structure: ${refused} refused, ${healed} healed or without meaning\n`);
  expect(refused).toBeGreaterThan(500);
  expect(healed).toBeGreaterThan(500);
});

/** One bit of every byte of headers, batch headers and footers, and some anywhere. */
function* structureBits(
  files: ReadonlyMap<string, Uint8Array>,
  seed: Seed,
): Generator<readonly [string, number]> {
  const segments = [...files].filter(([path]) => path.startsWith(SEGMENTS));
  for (const [path, bytes] of segments) {
    const memory = Buffer.from(bytes);
    const footerAt = Math.max(0, memory.indexOf("ATOLFOOT"));
    for (let at = 0; at < bytes.length; at++) {
      const inHeader = at < HEADER_BYTES;
      const inBatchHeader = at >= PAGE_BYTES && at % PAGE_BYTES < BATCH_HEADER_BYTES;
      const inFooter = footerAt > 0 && at >= footerAt && memory[at] !== 0;
      if (inHeader || inBatchHeader || inFooter) yield [path, at * 8 + seed.int(8)];
    }
  }
  for (let flip = 0; flip < REOPENED_RANDOM_FLIPS; flip++) {
    const [path, bytes] = seed.pick(segments);
    yield [path, seed.int(bytes.length * 8)];
  }
}

test("a flipped bit in any row of the index is never served, and a rebuild heals it", async () => {
  let damaged: { readonly key: string; readonly value: Uint8Array } | undefined;
  const swap = (row: KvRow): KvRow =>
    Buffer.from(row.key).toString("latin1") === damaged?.key
      ? { ...row, value: damaged.value }
      : row;
  const damage = (kv: Kv): Kv => ({
    get(key) {
      const value = kv.get(key);
      return value === undefined ? undefined : swap({ key, value }).value;
    },
    *range(query) {
      for (const row of kv.range(query)) yield swap(row);
    },
    write: (mutations) => kv.write(mutations),
    sync: () => kv.sync(),
    backup: (directory) => kv.backup(directory),
    sizeBytes: () => kv.sizeBytes(),
    count: () => kv.count(),
    close: () => kv.close(),
  });
  const machine = machineOf("index", { kv: damage });
  const filled = await fill(machine);
  const seed = new Seed("flipped-bits/index");
  let detected = 0;
  for (const { key, value } of [...filled.kv.range({})]) {
    for (let flip = 0; flip < FLIPS_PER_ROW; flip++) {
      const bytes = Buffer.from(value);
      const at = seed.int(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << seed.int(8));
      damaged = { key: Buffer.from(key).toString("latin1"), value: bytes };
      if (!(await isRightOrRefused(filled))) detected += 1;
    }
  }
  expect(detected).toBeGreaterThan(100);
  damaged = undefined;
  machine.kill();
  const rebuilt = await machine.open({ rebuildIndex: true });
  expect(await isRightOrRefused({ ...filled, ...rebuilt })).toBe(true);
  await rebuilt.site.close();
});
