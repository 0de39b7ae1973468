// Everything that must be true before a release, one suite after the other: what `npm test` runs.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const require = createRequire(import.meta.url);
const vitest = join(dirname(require.resolve("vitest/package.json")), "vitest.mjs");

const suite = (projects, ...options) => ({
  name: projects.join(" and "),
  command: [
    ...[process.execPath, vitest, "run"],
    ...projects.flatMap((project) => ["--project", project]),
    ...options,
  ],
});

// The cheap ones first.
const steps = [
  { name: "check", command: ["npm", "run", "--silent", "check"] },
  { name: "build", command: [process.execPath, join(root, "test", "support", "build.mjs")] },
  // Most of these wait for processes that start, stop or talk to each other.
  suite(["e2e"], "--maxWorkers=3"),
  suite(["security"]),
  suite(["sim"]),
  // Clients are fetched, the first time, and wait for much: what kills servers fills their pauses.
  suite(["crash", "clients"], "--maxWorkers=2"),
];

function say(text) {
  process.stdout.write(`${text}\n`);
}

const finished = [];
for (const { name, command } of steps) {
  // Times are printed before a step, so that the last lines of a run are those of Vitest.
  if (finished.length > 0) say(`\nso far: ${finished.join(", ")}`);
  say(`\n== ${name} ==`);
  const startedMs = Date.now();
  const [program, ...args] = command;
  const { status, signal, error } = spawnSync(program, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, CI: "true" },
  });
  const seconds = Math.round((Date.now() - startedMs) / 1000);
  finished.push(`${name} ${Math.floor(seconds / 60)} min ${seconds % 60} s`);
  if (status !== 0) {
    say(`\n${finished.join(", ")}`);
    say(`${name} failed (${error?.message ?? signal ?? `exit code ${status}`}); see above.`);
    process.exitCode = 1;
    break;
  }
}
