import { expect, test } from "vitest";
import type { Hash } from "../../src/ports/hash.ts";
import { Seed } from "./seed.ts";
import { createInlineHash } from "./sim-hash.ts";
import { type Running, SimMachine } from "./sim-machine.ts";
import type { InjectedFault } from "./sim-steps.ts";
import { BrokenPromise, checkContents, checkHistory, showStore } from "./store-check.ts";
import { type Entry, Journal, type Planned, type UploadIds } from "./store-journal.ts";
import { type Content, EMPTY_STATE, type ModelOperation } from "./store-model.ts";

/** Turns of the event loop after which work that waits for nothing real is stuck. */
const TURNS_MAX = 3_000;
const IDLE_MS = 11 * 60_000;
const SMALL: Content = { id: 1, size: 900, chunked: false };
const LARGE: Content = { id: 2, size: 150_000, chunked: true };
const OTHER: Content = { id: 3, size: 200_000, chunked: true };

function etagOf(number: number): string {
  return number.toString(16).padStart(32, "0");
}

function put(key: string, number: number, content: Content): ModelOperation {
  const object = { writer: `w${number}`, etag: etagOf(number), contents: [content] };
  return { kind: "put", bucket: "alpha", key, object, shared: false, ifNoneMatch: false };
}

const UPLOAD = { bucket: "alpha", key: "dir/b", tag: "u1" };
const SCRIPT: readonly ModelOperation[] = [
  { kind: "create-bucket", bucket: "alpha" },
  put("a", 1, SMALL),
  put("dir/a", 2, LARGE),
  put("a", 3, LARGE),
  { kind: "create-upload", ...UPLOAD },
  { kind: "put-part", ...UPLOAD, partNumber: 1, etag: etagOf(4), content: OTHER },
  { kind: "put-part", ...UPLOAD, partNumber: 1, etag: etagOf(5), content: LARGE },
  { kind: "complete", ...UPLOAD, writer: "w6", parts: [{ partNumber: 1, etag: etagOf(5) }] },
  { kind: "delete", targets: [{ bucket: "alpha", key: "dir/a" }] },
  put("z", 7, OTHER),
  { kind: "delete", targets: [{ bucket: "alpha", key: "z" }] },
  put("b", 8, SMALL),
];

type Attempt = {
  readonly machine: SimMachine;
  readonly entries: readonly Entry[];
  readonly uploadIds: UploadIds;
  readonly reached: boolean;
};

/** The script on a machine whose n-th call fails, up to where the program would stop itself. */
async function attempt(hash: Hash, call: number, fault: InjectedFault): Promise<Attempt> {
  const machine = new SimMachine(new Seed(`single-faults/${fault}/${call}`), {
    hash,
    directIo: call % 2 === 0 ? "on" : "off",
    segmentBytes: 16 * 1024,
  });
  const { steps } = machine.disk;
  steps.failCall(call, fault);
  const uploadIds: UploadIds = new Map();
  const entries: Entry[] = [];
  const ended = script(machine, uploadIds, entries).catch((failure: unknown) => {
    if (!isSaidInOrder(failure)) throw failure;
  });
  await inTurns(ended);
  return { machine, entries, uploadIds, reached: steps.calls >= call };
}

/** Failures of the machine may come as they are; broken assertions and promises may not. */
function isSaidInOrder(failure: unknown): boolean {
  return failure instanceof Error && !/AssertionFault|TypeError|BrokenPromise/.test(failure.name);
}

async function script(machine: SimMachine, uploadIds: UploadIds, seen: Entry[]): Promise<void> {
  const running = await machine.open();
  const journal = new Journal(running.site.store, uploadIds);
  for (const operation of SCRIPT) {
    await perform(journal, { operation });
    seen.splice(0, seen.length, ...journal.entries);
    if (running.faults.length > 0) break;
  }
  for (let times = 0; times < 3 && running.faults.length === 0; times++) {
    await running.site.store.keepHouse().catch(() => undefined);
    machine.clock.leap(IDLE_MS);
  }
  await running.site.close();
}

/** An operation that fails is like one that was never answered, except that one may go on. */
async function perform(journal: Journal, planned: Planned): Promise<void> {
  try {
    await journal.perform(planned);
  } catch (failure) {
    if (!isSaidInOrder(failure)) throw failure;
    const unanswered = journal.entries.at(-1);
    if (unanswered?.operation === planned.operation) return;
  }
}

async function inTurns(work: Promise<void>): Promise<void> {
  let done = false;
  const ended = work.finally(() => {
    done = true;
  });
  ended.catch(() => undefined);
  for (let turns = 0; !done; turns++) {
    if (turns > TURNS_MAX) throw new BrokenPromise("the program hangs");
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
}

/** Operations that were refused by a failure left nothing; where the program stopped, either. */
async function check({ machine, entries, uploadIds }: Attempt): Promise<void> {
  const running: Running = await machine.open();
  const { store } = running.site;
  const bucket = [...store.buckets()][0];
  if (bucket !== undefined) {
    const cursor = store.uploads(bucket.name);
    for (let upload = cursor.next(); upload !== undefined; upload = cursor.next()) {
      uploadIds.set(upload.initiator, upload.uploadId);
    }
  }
  const last = entries.findLastIndex(({ outcome }) => outcome !== undefined);
  const counted = entries.filter(({ outcome }, index) => outcome !== undefined || index > last);
  const state = checkHistory(EMPTY_STATE, counted, showStore(store, uploadIds));
  await checkContents(running.site, state, counted);
  await running.site.close();
}

test.each(["EIO", "ENOSPC", "EMFILE", "short-write"] as const)(
  "any one call that fails with %s neither corrupts nor hangs, and loses nothing acknowledged",
  async (fault) => {
    const hash = await createInlineHash();
    const problems: string[] = [];
    let call = 0;
    for (let reached = true; reached; ) {
      call += 1;
      try {
        const tried = await attempt(hash, call, fault);
        reached = tried.reached;
        if (call % 3 === 0) tried.machine.cutPower();
        else tried.machine.kill();
        await check(tried);
      } catch (failure) {
        problems.push(`call ${call}: ${failure}`);
      }
    }
    process.stdout.write(`${fault}: ${call - 1} calls\n`);
    expect(problems).toEqual([]);
    expect(call).toBeGreaterThan(150);
  },
);
