import { rmSync } from "node:fs";
import { join } from "node:path";
import { startNginx } from "./nginx.ts";
import type { Options } from "./options.ts";
import { playOnce } from "./player.ts";
import { bodyMaker, keyOf, type RequestPlan, Signer, writeRequestFile } from "./requests.ts";
import type { AtollPlace } from "./server.ts";
import type { Row, RowName, YardstickName } from "./targets.ts";
import {
  type DiskRates,
  type LoadGenerator,
  type LoadResult,
  requestsFor,
  settleDisk,
} from "./tools.ts";

export const BUCKET = "bench";
export const SMALL_BYTES = 4096;
/** Enough for the whole of a run at the rate we aim for. */
const PER_SECOND_MAX = 45_000;
const LOADER_CLIENTS = 128;

/** What every workload needs to be measured. */
export type Bench = {
  readonly options: Options;
  readonly place: AtollPlace;
  readonly loadgen: LoadGenerator;
  readonly disk: DiskRates;
  /** Where request files go: in memory, so that they keep the disk quiet. */
  readonly requestFolder: string;
  readonly rows: Map<RowName, Row>;
  readonly say: (text: string) => void;
};

export function wantsAny(bench: Bench, names: readonly RowName[]): boolean {
  return names.some((name) => bench.options.wants(name));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

export type Requests = {
  readonly count: number;
  readonly plan: (index: number) => RequestPlan;
  /** True when playing a request twice would measure something else than playing it once. */
  readonly once: boolean;
};

export type Workload = {
  readonly clients: number;
  readonly requests: (run: number) => Requests;
  /** Result of a run in the row's unit. */
  readonly valueOf: (result: LoadResult) => number;
};

export type Series = { readonly results: readonly LoadResult[]; readonly notes: readonly string[] };

export const SMALL_CLIENTS = 64;
export const LARGE_CLIENTS = 4;

/** The requests of a description, signed at this moment for one server. */
export function* signed(port: number, { count, plan }: Requests): Generator<Buffer> {
  const signer = new Signer(port);
  for (let index = 0; index < count; index++) yield signer.sign(plan(index));
}

/** Runs a workload as often as asked for; the request file is signed anew right before each run. */
export async function runSeries(
  bench: Bench,
  workload: Workload,
  portOf: (run: number) => Promise<number>,
): Promise<Series> {
  const { seconds, runs } = bench.options;
  const file = join(bench.requestFolder, "requests");
  const results: LoadResult[] = [];
  const notes = new Set<string>();
  for (let run = 0; run < runs; run++) {
    const port = await portOf(run);
    const requests = workload.requests(run);
    writeRequestFile(file, signed(port, requests));
    await settleDisk();
    const result = await bench.loadgen.run({ port, file, clients: workload.clients, seconds });
    const used = requestsFor(result.perSecond, seconds);
    if (requests.once && used > requests.count) notes.add("requests were played more than once");
    results.push(result);
  }
  rmSync(file, { force: true });
  return { results, notes: [...notes] };
}

export type RowExtras = {
  readonly yardsticks?: { readonly [Name in YardstickName]?: number };
  readonly notes?: readonly string[];
};

export function addRow(
  bench: Bench,
  name: RowName,
  runs: readonly number[],
  extras: RowExtras = {},
): void {
  const { yardsticks = {}, notes = [] } = extras;
  bench.rows.set(name, { name, value: median(runs), runs, yardsticks, notes });
  bench.say(`${name}: ${runs.map((value) => value.toFixed(2)).join(" ")}`);
}

/** A row out of a series, with its latencies. */
export function addSeries(
  bench: Bench,
  name: RowName,
  workload: Workload,
  series: Series & RowExtras,
): void {
  const { results, notes, yardsticks } = series;
  addRow(bench, name, results.map(workload.valueOf), { notes, yardsticks: yardsticks ?? {} });
  const row = bench.rows.get(name);
  if (row === undefined) return;
  const p50Ms = median(results.map((result) => result.p50Ms));
  const p99Ms = median(results.map((result) => result.p99Ms));
  bench.rows.set(name, { ...row, p50Ms, p99Ms });
}

/** Measures a workload of a running server that no yardstick stands beside. */
export async function measure(
  bench: Bench,
  name: RowName,
  workload: Workload,
  port: number,
): Promise<void> {
  const series = await runSeries(bench, workload, async () => port);
  addSeries(bench, name, workload, series);
}

/** The rate of nginx at a workload, its files put in place before by the same requests. */
export async function measureNginx(
  bench: Bench,
  workload: Workload,
  files?: Requests,
): Promise<number> {
  const nginx = await startNginx(join(bench.options.data, "nginx"));
  try {
    if (files !== undefined) await playOnce(nginx.port, signed(nginx.port, files), 8);
    const { results } = await runSeries(bench, workload, async () => nginx.port);
    return median(results.map(workload.valueOf));
  } finally {
    await nginx.stop();
    await settleDisk();
  }
}

/** Stores what is described, each object once, through the S3 API. */
export async function load(port: number, requests: Requests): Promise<void> {
  await playOnce(port, signed(port, requests), LOADER_CLIENTS);
}

export async function createBucket(port: number, bucket: string): Promise<void> {
  await playOnce(port, [new Signer(port).sign({ method: "PUT", path: `/${bucket}` })], 1);
}

/** PUTs of 4 KiB under the keys of a series. */
export function smallPuts(bucket: string, series: string, count: number): Requests {
  const body = bodyMaker(SMALL_BYTES);
  return {
    count,
    once: true,
    plan: (index) => ({
      method: "PUT",
      path: `/${bucket}/${keyOf(series, index)}`,
      body: body(index),
    }),
  };
}

/** How many different small requests a run needs at most. */
export function smallCount(bench: Bench): number {
  return requestsFor(PER_SECOND_MAX, bench.options.seconds);
}
