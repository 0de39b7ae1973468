import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { mustRun } from "../test/support/run-program.ts";
import { openTcpProxy, type TcpProxy } from "../test/support/tcp-proxy.ts";
import {
  addRow,
  type Bench,
  BUCKET,
  createBucket,
  median,
  type Requests,
  SMALL_CLIENTS,
  signed,
  smallCount,
  smallPuts,
} from "./measuring.ts";
import { ask, playOnce } from "./player.ts";
import { bodyMaker, Signer, writeRequestFile } from "./requests.ts";
import { type Atoll, type AtollPlace, dataOf, removeAtoll, startAtoll } from "./server.ts";
import type { RowName } from "./targets.ts";
import { settleDisk } from "./tools.ts";

export const TWO_SITES: readonly RowName[] = ["replicated-put", "replicated-lag", "known-chunks"];

/** The rate at which lag is looked at: what two sites on one machine have to keep up with. */
const PACE_PER_SECOND = 8000;
const PROBE_MS = 20;
const LOOK_MS = 2;
const COUNT_MS = 50;
const PATIENCE_MS = 60_000;
const LARGE_BYTES = 8 * 1024 ** 2;
const QUIET_LOOKS = 20;
const QUIET_MS = 50;

type Pair = {
  readonly places: readonly [AtollPlace, AtollPlace];
  readonly sites: readonly [Atoll, Atoll];
};

/** Proxies in front of the sites that count bytes. They take time of the same two cores. */
type Wires = readonly [TcpProxy, TcpProxy];

/** Two sites on this machine, of which the second takes what is written at the first. */
export async function measureTwoSites(bench: Bench): Promise<void> {
  if (bench.options.wants("replicated-put")) await measureRate(bench);
  if (bench.options.wants("replicated-lag")) {
    await withPair(bench, (pair) => measureLag(bench, pair));
  }
  if (!bench.options.wants("known-chunks")) return;
  const wires = [await openTcpProxy(0), await openTcpProxy(0)] as const;
  try {
    await withPair(bench, (pair) => measureKnownChunks(bench, pair, wires), wires);
  } finally {
    for (const wire of wires) await wire.close();
  }
}

/** As many as clients can write, until the second site has the last of them too. */
async function measureRate(bench: Bench): Promise<void> {
  const { runs, seconds } = bench.options;
  const rates: number[] = [];
  for (let run = 0; run < runs; run++) {
    await withPair(bench, async ({ sites }) => {
      const file = join(bench.requestFolder, "requests");
      const { port } = sites[0];
      writeRequestFile(file, signed(port, smallPuts(BUCKET, `pair-${run}`, smallCount(bench))));
      await settleDisk();
      const startedMs = performance.now();
      await bench.loadgen.run({ port, file, clients: SMALL_CLIENTS, seconds });
      const objects = await untilEqual(sites);
      rates.push((objects / (performance.now() - startedMs)) * 1000);
    });
  }
  addRow(bench, "replicated-put", rates, { notes: ["until the second site has applied the last"] });
}

/** Waits until the second site has as many objects as the first; gives how many. */
async function untilEqual([here, there]: Pair["sites"]): Promise<number> {
  const written = await countObjects(here.port);
  for (const startedMs = performance.now(); ; await sleep(COUNT_MS)) {
    if ((await countObjects(there.port)) === written) return written;
    if (performance.now() - startedMs > PATIENCE_MS) throw new Error("the sites never agree");
  }
}

async function countObjects(port: number): Promise<number> {
  const answer = await ask(port, new Signer(port).sign({ method: "GET", path: "/v1/meta/stats" }));
  return JSON.parse(answer?.body ?? "{}").objects.count;
}

/** From the answer to a PUT at one site to the object at the other, while others are written. */
async function measureLag(bench: Bench, { sites }: Pair): Promise<void> {
  const { seconds, runs } = bench.options;
  const [here, there] = sites;
  const results: Array<{ p50: number; p99: number; pace: number }> = [];
  for (let run = 0; run < runs; run++) {
    await settleDisk();
    const requests = smallPuts(BUCKET, `lag-${run}`, PACE_PER_SECOND * seconds);
    const startedMs = performance.now();
    const load = playPaced(here.port, requests);
    const lags: number[] = [];
    let isOver = false;
    const probing = (async () => {
      for (let probe = 0; !isOver; probe++) {
        lags.push(await lagOfOne(here.port, there.port, `/${BUCKET}/probe-${run}-${probe}`));
        await sleep(PROBE_MS);
      }
    })();
    await load;
    const pace = (requests.count / (performance.now() - startedMs)) * 1000;
    isOver = true;
    await probing;
    lags.sort((left, right) => left - right);
    const at = (share: number): number => lags[Math.floor((lags.length - 1) * share)] ?? 0;
    results.push({ p50: at(0.5), p99: at(0.99), pace });
  }
  const p50 = median(results.map((result) => result.p50));
  const pace = median(results.map((result) => result.pace));
  const reached = `${pace.toFixed(0)} of ${PACE_PER_SECOND} PUTs a second were reached`;
  const notes = [`${reached}; p50 ${p50.toFixed(1)} ms`];
  addRow(
    bench,
    "replicated-lag",
    results.map((result) => result.p99),
    { notes },
  );
}

/** Plays requests at an even pace; who falls behind goes on at once. */
function playPaced(port: number, requests: Requests): Promise<void> {
  const startedMs = performance.now();
  let sent = 0;
  const waitMs = (): number => {
    const dueMs = (sent++ / PACE_PER_SECOND) * 1000;
    return dueMs - (performance.now() - startedMs);
  };
  return playOnce(port, signed(port, requests), SMALL_CLIENTS, waitMs);
}

async function lagOfOne(here: number, there: number, path: string): Promise<number> {
  const body = bodyMaker(4096)(0);
  await playOnce(here, [new Signer(here).sign({ method: "PUT", path, body })], 1);
  const startedMs = performance.now();
  for (;;) {
    const answer = await ask(there, new Signer(there).sign({ method: "GET", path }));
    if (answer?.status === 200) return performance.now() - startedMs;
    if (performance.now() - startedMs > PATIENCE_MS) throw new Error(`${path} never came`);
    await sleep(LOOK_MS);
  }
}

/** What travels for an object whose bytes the other site has, both ways, headers included. */
async function measureKnownChunks(bench: Bench, { sites }: Pair, wires: Wires): Promise<void> {
  const [here, there] = sites;
  const body = bodyMaker(LARGE_BYTES)(0);
  const put = (path: string): Promise<void> =>
    playOnce(here.port, [new Signer(here.port).sign({ method: "PUT", path, body })], 1);
  const arrives = async (path: string): Promise<void> => {
    for (let status = 0; status !== 200; await sleep(LOOK_MS)) {
      const answer = await ask(there.port, new Signer(there.port).sign({ method: "GET", path }));
      status = answer?.status ?? 0;
    }
  };
  const sent = (): number => wires[0].bytes() + wires[1].bytes();
  await put(`/${BUCKET}/known`);
  await arrives(`/${BUCKET}/known`);
  const costs: number[] = [];
  for (let run = 0; run < Math.max(3, bench.options.runs); run++) {
    const before = await untilQuiet(sent);
    const path = `/${BUCKET}/known-${run}`;
    await put(path);
    await arrives(path);
    costs.push((await untilQuiet(sent)) - before);
  }
  addRow(bench, "known-chunks", costs, { notes: ["8 MiB; a question that is due costs as much"] });
}

async function untilQuiet(sent: () => number): Promise<number> {
  let [before, quiet] = [sent(), 0];
  while (quiet < QUIET_LOOKS) {
    await sleep(QUIET_MS);
    const now = sent();
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
  return before;
}

async function withPair(
  bench: Bench,
  measure: (pair: Pair) => Promise<void>,
  wires?: Wires,
): Promise<void> {
  const placeOf = (name: string): AtollPlace => {
    return { root: bench.place.root, folder: join(bench.options.data, name) };
  };
  const places = [placeOf("site-a"), placeOf("site-b")] as const;
  for (const place of places) removeAtoll(place);
  const sites = [await startAtoll(places[0]), await startAtoll(places[1])] as const;
  try {
    for (const [at, site] of sites.entries()) wires?.[at]?.aim(site.port);
    const addressOf = (at: 0 | 1): string[] => {
      const { port } = wires?.[at] ?? sites[at];
      return ["--address", `http://127.0.0.1:${port}`, "--insecure-peer"];
    };
    const { token } = await atoll(bench, places[0], "repl-invite", ...addressOf(0));
    await atoll(bench, places[1], "repl-join", String(token), ...addressOf(1));
    await createBucket(sites[0].port, BUCKET);
    await atoll(bench, places[0], "repl-push", "--wait", "60");
    await measure({ places, sites });
  } finally {
    for (const site of sites) await site.stop();
    for (const place of places) removeAtoll(place);
  }
}

async function atoll(
  bench: Bench,
  place: AtollPlace,
  ...words: readonly string[]
): Promise<Record<string, unknown>> {
  const main = join(bench.place.root, "dist", "main.cjs");
  const args = [main, ...words, "--data", dataOf(place), "--json"];
  const { stdout } = await mustRun(process.execPath, args);
  return JSON.parse(stdout);
}
