import { expect, test } from "vitest";
import { fuzz } from "./fuzz/run.ts";
import { ENGINES } from "./served-site.ts";

/** `npm run fuzz -- --minutes N --seed S --case C` sets these; CI takes half a minute each. */
const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 60) / ENGINES.length;
const SEED = process.env["FUZZ_SEED"] ?? "1";
const ONLY = process.env["FUZZ_CASE"];

const MIB = 1024 * 1024;
/** The heap of a young process grows to its working size first. */
const GROWTH_BYTES_MAX = 128 * MIB;

test.each(ENGINES)(
  "[S55] [S52] [N7] [N8] [N13] [N15] [N25] [N29] fuzzed requests on %s: no crash, no hang, no 5xx, flat memory",
  async (engine) => {
    const only = ONLY === undefined ? undefined : Number(ONLY);
    const report = await fuzz({ engine, seed: SEED, seconds: SECONDS, only });
    const { earlyBytes, endBytes } = report.memory;
    process.stdout.write(
      `fuzz on ${engine}, seed ${SEED}: ${report.cases} cases ${JSON.stringify(report.byTarget)}, ` +
        `of which taken ${JSON.stringify(report.accepted)}, ` +
        `memory ${Math.round(earlyBytes / MIB)} to ${Math.round(endBytes / MIB)} MiB\n`,
    );
    expect(report.problems).toEqual([]);
    if (only !== undefined) return;
    expect(endBytes - earlyBytes).toBeLessThan(GROWTH_BYTES_MAX);
    expect(Math.min(...Object.values(report.byTarget))).toBeGreaterThan(10);
    expect(Object.keys(report.accepted).sort()).toEqual(Object.keys(report.byTarget).sort());
  },
  3_600_000,
);
