// What `npm run fuzz -- --minutes N --seed S [--case C]` starts: the fuzzing of CI, for longer.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    case: { type: "string" },
  },
});
const require = createRequire(import.meta.url);
const vitest = join(dirname(require.resolve("vitest/package.json")), "vitest.mjs");

function run(...args) {
  const { status } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      FUZZ_SECONDS: String(Number(values.minutes) * 60),
      FUZZ_SEED: values.seed,
      ...(values.case === undefined ? {} : { FUZZ_CASE: values.case }),
    },
  });
  if (status !== 0) process.exit(status ?? 1);
}

run(join(root, "test", "support", "build.mjs"), "--if-needed");
run(vitest, "run", "--project", "security", "test/security/fuzz.test.ts");
