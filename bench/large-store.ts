import { manyPuts, nginxManyPuts } from "./empty-store.ts";
import {
  addSeries,
  type Bench,
  BUCKET,
  createBucket,
  LARGE_CLIENTS,
  load,
  measure,
  measureNginx,
  type Requests,
  runSeries,
  SMALL_CLIENTS,
  smallCount,
  smallPuts,
  type Workload,
  wantsAny,
} from "./measuring.ts";
import { ask } from "./player.ts";
import { bodyMaker, keyOf, type RequestPlan, Signer } from "./requests.ts";
import { type Atoll, removeAtoll, startAtoll } from "./server.ts";
import { measureAfterwards, measureUpload } from "./server-itself.ts";
import { ROW_NAMES, type RowName } from "./targets.ts";
import { measureVersionListings } from "./version-listings.ts";

const SMALL_BUCKET = "small";
const SMALL_BUCKET_KEYS = 10_000;
const PAGE_KEYS = 1000;
const LIST_REQUESTS = 400;
/** Listings begin anywhere in this first part of the keys, so that every page is full. */
const LIST_START_PART = 0.7;
/** As many objects as the peers in performance.md were asked for. */
const READ_KEYS = 4000;
/** More than a server remembers. */
const MANY_READ_KEYS = 20_000;
const LARGE_BYTES = 8 * 1024 ** 2;
const LARGE_KEYS = 16;

/** Series of the objects stored before anything is measured. */
const PRELOADED = "preloaded";
const SMALL = "small";

const WITHOUT_PRELOAD: readonly RowName[] = [
  ...(["memory-start", "put-4k-empty", "put-4k-one"] as const),
  ...(["put-8m", "get-8m", "upload-memory"] as const),
];

/** What is measured on one store after the other: many objects, then large ones, then itself. */
export async function measureLargeStore(bench: Bench): Promise<void> {
  const needsObjects = ROW_NAMES.filter((name) => !WITHOUT_PRELOAD.includes(name));
  removeAtoll(bench.place);
  let atoll = await startAtoll(bench.place);
  await createBucket(atoll.port, BUCKET);
  if (wantsAny(bench, needsObjects)) await preload(bench, atoll);
  await measureListings(bench, atoll.port);
  await measureReads(bench, atoll.port);
  await measureChanges(bench, atoll.port);
  await measureLargeObjects(bench, atoll.port);
  if (bench.options.wants("upload-memory")) await measureUpload(bench, atoll);
  atoll = await measureAfterwards(bench, atoll);
  const manyReads = smallReads("GET", MANY_READ_KEYS);
  if (bench.options.wants("get-4k-many"))
    await measure(bench, "get-4k-many", manyReads, atoll.port);
  // Last, for these are as many rows again, which the figures before are not about.
  await measureVersionListings(bench, atoll.port);
  await atoll.stop();
  removeAtoll(bench.place);
}

async function preload(bench: Bench, atoll: Atoll): Promise<void> {
  const { objects } = bench.options;
  const startedMs = performance.now();
  await load(atoll.port, smallPuts(BUCKET, PRELOADED, objects));
  const seconds = (performance.now() - startedMs) / 1000;
  bench.say(`${objects} objects stored over HTTP in ${seconds.toFixed(0)} s`);
}

function listings(bucket: string, delimiter: string | undefined): Requests {
  const query = { "list-type": "2", "max-keys": String(PAGE_KEYS) };
  const folders = 0x1000;
  return {
    count: LIST_REQUESTS,
    once: false,
    plan: () => {
      const first = Math.floor(Math.random() * LIST_START_PART * folders);
      const from = { "start-after": first.toString(16).padStart(3, "0") };
      const fold = delimiter === undefined ? {} : { delimiter };
      return { method: "GET", path: `/${bucket}`, query: { ...query, ...from, ...fold } };
    },
  };
}

const LISTING_ROWS = [
  { name: "list-10k", bucket: SMALL_BUCKET, delimiter: undefined, beside: undefined },
  { name: "list", bucket: BUCKET, delimiter: undefined, beside: "list-10k" },
  { name: "folders-10k", bucket: SMALL_BUCKET, delimiter: "/", beside: undefined },
  { name: "folders", bucket: BUCKET, delimiter: "/", beside: "folders-10k" },
] as const;

async function measureListings(bench: Bench, port: number): Promise<void> {
  if (!wantsAny(bench, ["list-10k", "list", "folders-10k", "folders"])) return;
  await createBucket(port, SMALL_BUCKET);
  await load(port, smallPuts(SMALL_BUCKET, SMALL, SMALL_BUCKET_KEYS));
  for (const { name, bucket, delimiter, beside } of LISTING_ROWS) {
    if (!bench.options.wants(name)) continue;
    const requests = listings(bucket, delimiter);
    await checkPage(port, requests.plan(0));
    const workload: Workload = {
      clients: LARGE_CLIENTS,
      requests: () => requests,
      valueOf: (result) => result.perSecond,
    };
    const series = await runSeries(bench, workload, async () => port);
    const other = beside === undefined ? undefined : bench.rows.get(beside)?.value;
    const yardsticks = other === undefined ? {} : { "10k": other };
    addSeries(bench, name, workload, { ...series, yardsticks });
  }
}

async function checkPage(port: number, plan: RequestPlan): Promise<void> {
  const answer = await ask(port, new Signer(port).sign(plan));
  if (answer?.body.includes(`<KeyCount>${PAGE_KEYS}</KeyCount>`)) return;
  throw new Error(`A page is not full: ${answer?.body.slice(0, 500)}`);
}

function smallReads(method: "GET" | "HEAD", count = READ_KEYS): Workload {
  const path = (index: number): string => `/${BUCKET}/${keyOf(PRELOADED, index)}`;
  return {
    clients: SMALL_CLIENTS,
    requests: () => ({
      count,
      once: false,
      plan: (index) => ({ method, path: path(index) }),
    }),
    valueOf: (result) => result.perSecond,
  };
}

async function measureReads(bench: Bench, port: number): Promise<void> {
  if (bench.options.wants("get-4k")) {
    const workload = smallReads("GET");
    const series = await runSeries(bench, workload, async () => port);
    const files = smallPuts(BUCKET, PRELOADED, READ_KEYS);
    const yardsticks = { nginx: await measureNginx(bench, workload, files) };
    addSeries(bench, "get-4k", workload, { ...series, yardsticks });
  }
  if (bench.options.wants("head-4k")) await measure(bench, "head-4k", smallReads("HEAD"), port);
}

/** New objects first, then their removal: what a DELETE removes must be there. */
async function measureChanges(bench: Bench, port: number): Promise<void> {
  const written: Stored[] = [];
  if (bench.options.wants("put-4k")) {
    const workload = manyPuts(bench, "put");
    const series = await runSeries(bench, workload, async () => port);
    const yardsticks = { nginx: await nginxManyPuts(bench) };
    addSeries(bench, "put-4k", workload, { ...series, yardsticks });
    const counts = series.results.map(({ requests }) => Math.min(requests, smallCount(bench)));
    written.push(...counts.map((count, run) => ({ series: `put-${run}`, count })));
  }
  if (!bench.options.wants("delete-4k")) return;
  written.push({ series: PRELOADED, count: bench.options.objects });
  const perRun = smallCount(bench);
  const missing = perRun * bench.options.runs - written.reduce((sum, { count }) => sum + count, 0);
  if (missing > 0) {
    await load(port, smallPuts(BUCKET, "more", missing));
    written.push({ series: "more", count: missing });
  }
  const paths = pathsOf(written);
  const workload: Workload = {
    clients: SMALL_CLIENTS,
    requests: () => ({
      count: perRun,
      once: true,
      plan: () => ({ method: "DELETE", path: paths.next().value ?? `/${BUCKET}/none-left` }),
    }),
    valueOf: (result) => result.perSecond,
  };
  await measure(bench, "delete-4k", workload, port);
}

type Stored = { readonly series: string; readonly count: number };

function* pathsOf(stored: readonly Stored[]): Generator<string, undefined> {
  for (const { series, count } of stored) {
    for (let index = 0; index < count; index++) yield `/${BUCKET}/${keyOf(series, index)}`;
  }
  return undefined;
}

function largeRequests(method: "GET" | "PUT"): Requests {
  const body = bodyMaker(LARGE_BYTES);
  return {
    count: LARGE_KEYS,
    once: false,
    plan: (index) => {
      const path = `/${BUCKET}/big/${String(index).padStart(8, "0")}`;
      return method === "PUT" ? { method, path, body: body(index) } : { method, path };
    },
  };
}

async function measureLargeObjects(bench: Bench, port: number): Promise<void> {
  const files = largeRequests("PUT");
  if (bench.options.wants("put-8m")) {
    const workload: Workload = {
      clients: LARGE_CLIENTS,
      requests: () => files,
      valueOf: (result) => result.outMbPerSecond,
    };
    const series = await runSeries(bench, workload, async () => port);
    const nginx = await measureNginx(bench, workload);
    const yardsticks = { nginx, disk: bench.disk.sequential.mbPerSecond };
    addSeries(bench, "put-8m", workload, { ...series, yardsticks });
  }
  if (!bench.options.wants("get-8m")) return;
  await load(port, files);
  const workload: Workload = {
    clients: LARGE_CLIENTS,
    requests: () => largeRequests("GET"),
    valueOf: (result) => result.inMbPerSecond,
  };
  const series = await runSeries(bench, workload, async () => port);
  const yardsticks = { nginx: await measureNginx(bench, workload, files) };
  addSeries(bench, "get-8m", workload, { ...series, yardsticks });
}
