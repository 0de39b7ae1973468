// What `npm run bench` starts: builds the product and the bench, then runs the bench.
// The bench is TypeScript, so that it can share code with the tests; Node 20 cannot run that itself.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const bench = dirname(fileURLToPath(import.meta.url));
const root = join(bench, "..");
const cache = join(root, ".cache");
const compiled = join(cache, "bench-build");

function compilerPath() {
  const manifest = createRequire(import.meta.url).resolve("typescript/package.json");
  return join(dirname(manifest), JSON.parse(readFileSync(manifest, "utf8")).bin.tsc);
}

function mustSucceed(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}

mustSucceed(join(root, "test", "support", "build.mjs"), "--if-needed");
mkdirSync(compiled, { recursive: true });
// The shared code that fetches nginx looks for the cache beside itself: it is the same cache.
const link = join(compiled, ".cache");
if (!existsSync(link)) symlinkSync(cache, link);
mustSucceed(compilerPath(), "-p", join(bench, "tsconfig.json"), "--outDir", compiled);

const { main } = await import(pathToFileURL(join(compiled, "bench", "main.js")).href);
process.exitCode = await main(process.argv.slice(2), root);
