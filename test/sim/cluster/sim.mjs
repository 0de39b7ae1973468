// What `npm run sim -- --seed N [--minutes M] [--sites K] [--life L] [--events]` starts: the simulation of CI
// from another seed on and for longer, or one seed again.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1000000" },
    minutes: { type: "string" },
    sites: { type: "string" },
    life: { type: "string" },
    events: { type: "boolean" },
  },
});
const require = createRequire(import.meta.url);
const vitest = join(dirname(require.resolve("vitest/package.json")), "vitest.mjs");
const minutes = values.minutes ?? (process.argv.includes("--seed") ? "0" : "10");

const { status } = spawnSync(
  process.execPath,
  [
    ...[vitest, "run", "--project", "sim", "test/sim/cluster/clusters-1.test.ts"],
    ...["--testTimeout", "0", "--disableConsoleIntercept"],
  ],
  {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      SIM_SEED: values.seed,
      SIM_MINUTES: minutes,
      // The last life that is begun may take a while.
      HANGING_MINUTES: String(Number(minutes) + 25),
      ...(values.sites === undefined ? {} : { SIM_SITES: values.sites }),
      ...(values.life === undefined ? {} : { SIM_LIFE: values.life }),
      ...(values.events === true ? { SIM_EVENTS: "1" } : {}),
    },
  },
);
process.exit(status ?? 1);
