import { setTimeout as sleep } from "node:timers/promises";
import {
  addRow,
  addSeries,
  type Bench,
  BUCKET,
  createBucket,
  measureNginx,
  runSeries,
  SMALL_CLIENTS,
  smallCount,
  smallPuts,
  type Workload,
  wantsAny,
} from "./measuring.ts";
import { readMemory } from "./process-facts.ts";
import { type Atoll, removeAtoll, startAtoll } from "./server.ts";
import type { RowName } from "./targets.ts";
import { requestsFor } from "./tools.ts";

const SETTLE_MS = 2000;
/** A single client waits for the disk each time; this is beyond what any disk answers. */
const ONE_CLIENT_PER_SECOND_MAX = 10_000;

const everySecond = (result: { perSecond: number }): number => result.perSecond;

/** The PUT of 4 KiB with many clients, on new keys that are the same for every server. */
export function manyPuts(bench: Bench, name: string): Workload {
  return {
    clients: SMALL_CLIENTS,
    requests: (run) => smallPuts(BUCKET, `${name}-${run}`, smallCount(bench)),
    valueOf: everySecond,
  };
}

/** What is measured on a store that has just been made, anew for each run. */
export async function measureEmptyStore(bench: Bench): Promise<void> {
  if (bench.options.wants("memory-start")) await measureStart(bench);
  await measureFresh(bench, "put-4k-empty", manyPuts(bench, "empty"));
  await measureFresh(bench, "put-4k-one", {
    clients: 1,
    requests: (run) => {
      const count = requestsFor(ONE_CLIENT_PER_SECOND_MAX, bench.options.seconds);
      return smallPuts(BUCKET, `one-${run}`, count);
    },
    valueOf: (result) => result.p50Ms,
  });
}

/** How fast nginx stores the same; measured once, for the two workloads that stand beside it. */
let nginxPuts: Promise<number> | undefined;

export function nginxManyPuts(bench: Bench): Promise<number> {
  nginxPuts ??= measureNginx(bench, manyPuts(bench, "nginx"));
  return nginxPuts;
}

async function measureStart(bench: Bench): Promise<void> {
  removeAtoll(bench.place);
  const atoll = await startAtoll(bench.place);
  await sleep(SETTLE_MS);
  const { residentMb, ownMb } = readMemory(atoll.pid);
  await atoll.stop();
  const notes = [`${ownMb.toFixed(0)} MB without pages of files`];
  addRow(bench, "memory-start", [residentMb], { notes });
}

async function measureFresh(bench: Bench, name: RowName, workload: Workload): Promise<void> {
  if (!wantsAny(bench, [name])) return;
  let atoll: Atoll | undefined;
  const series = await runSeries(bench, workload, async () => {
    await atoll?.stop();
    removeAtoll(bench.place);
    atoll = await startAtoll(bench.place);
    await createBucket(atoll.port, BUCKET);
    return atoll.port;
  });
  await atoll?.stop();
  removeAtoll(bench.place);
  const { fdatasync, direct } = bench.disk;
  const yardsticks =
    name === "put-4k-one"
      ? { sync: Math.min(fdatasync.p50Ms, direct.p50Ms) }
      : { nginx: await nginxManyPuts(bench) };
  addSeries(bench, name, workload, { ...series, yardsticks });
}
