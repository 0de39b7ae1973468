import type { Hash } from "../../../src/ports/hash.ts";
import { createInlineHash } from "../sim-hash.ts";
import { BrokenPromise } from "../store-check.ts";
import { isLife, type Life } from "./cluster-plan.ts";
import { type ClusterReport, type RunSettings, runCluster } from "./cluster-run.ts";

const FAILURES_SHOWN = 5;
const MINUTE_MS = 60_000;

/** What `npm run sim` asks for; without it the seeds that belong to the suite are run. */
type ByHand = {
  readonly seed: number;
  readonly minutes: number;
  readonly sites: number;
  readonly life: Life;
};

/**
 * Runs one cluster after another, each twice: the second must go as the first went. Throws what was
 * found wrong, with the line that replays it.
 *
 * @param deadlineMs when no further seed is begun, on the clock of `performance`.
 */
async function prove(
  hash: Hash,
  seeds: Iterable<number>,
  { sites, life, deadlineMs }: Pick<ByHand, "sites" | "life"> & { readonly deadlineMs: number },
): Promise<void> {
  const failures: string[] = [];
  const sum = { seeds: 0, requests: 0, acknowledged: 0, starts: 0, simulatedMs: 0 };
  for (const seed of seeds) {
    if (performance.now() > deadlineMs || failures.length >= FAILURES_SHOWN) break;
    try {
      add(sum, await runTwice(seed, { hash, sites, life }));
    } catch (failure) {
      const which = life === "usual" ? "" : ` --life "${life}"`;
      const told = `npm run sim -- --seed ${seed} --sites ${sites}${which}\n  ${failure}`;
      process.stdout.write(`${told}\n`);
      failures.push(told);
    }
  }
  const hours = (sum.simulatedMs / 3_600_000).toFixed(1);
  const { seeds: count, requests, acknowledged, starts } = sum;
  process.stdout.write(
    `clusters of ${sites} (${life}): ${count} seeds, each twice: ${requests} requests, ` +
      `${acknowledged} acknowledged changes, ${starts} starts, ${hours} simulated hours\n`,
  );
  if (failures.length > 0) throw new BrokenPromise(failures.join("\n"));
}

async function runTwice(
  seed: number,
  own: Pick<RunSettings, "hash" | "sites" | "life">,
): Promise<ClusterReport> {
  const settings = { ...own, joins: true };
  const first = await runCluster(seed, settings);
  const second = await runCluster(seed, settings);
  if (first.events === second.events) return first;
  throw new BrokenPromise("a second run went another way");
}

type Sum = { seeds: number; requests: number; acknowledged: number; starts: number } & {
  simulatedMs: number;
};

function add(sum: Sum, report: ClusterReport): void {
  sum.seeds += 1;
  sum.requests += report.requests;
  sum.acknowledged += report.acknowledged;
  sum.starts += report.starts;
  sum.simulatedMs += report.simulatedMs;
}

/** The seeds of the suite, or what `npm run sim` wants instead. */
export async function proveClusters(suite: {
  readonly first: number;
  readonly count: number;
  readonly sites: number;
  readonly life?: Life;
}): Promise<void> {
  const { life = "usual" } = suite;
  const hash = await createInlineHash();
  const byHand = readByHand(suite.sites);
  if (byHand === undefined) {
    const seeds = countFrom(suite.first, suite.first + suite.count);
    const { sites } = suite;
    await prove(hash, seeds, { sites, life, deadlineMs: Number.POSITIVE_INFINITY });
    return;
  }
  const { seed, minutes, sites } = byHand;
  const deadlineMs =
    performance.now() + (minutes === 0 ? Number.POSITIVE_INFINITY : minutes * MINUTE_MS);
  const end = minutes === 0 ? seed + 1 : Number.POSITIVE_INFINITY;
  await prove(hash, countFrom(seed, end), { sites, life: byHand.life, deadlineMs });
}

function readByHand(sites: number): ByHand | undefined {
  const seed = process.env["SIM_SEED"];
  const life = process.env["SIM_LIFE"] ?? "usual";
  if (seed === undefined) return undefined;
  if (!isLife(life)) throw new Error(`there are no lives "${life}"`);
  return {
    seed: Number(seed),
    minutes: Number(process.env["SIM_MINUTES"] ?? 0),
    sites: Number(process.env["SIM_SITES"] ?? sites),
    life,
  };
}

function* countFrom(first: number, end: number): Generator<number> {
  for (let number = first; number < end; number++) yield number;
}
