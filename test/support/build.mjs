// Builds dist/ from src/: all our modules in one file, for Node takes longer to find 500 small files
// than to run them (docs/decisions/0029 has the figures). The packages stay packages. With
// --if-needed it does nothing, silently, when dist/ is up to date.
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const dist = join(root, "dist");
const stampFile = join(dist, ".stamp");

function sourceFiles() {
  const sources = readdirSync(join(root, "src"), { recursive: true })
    .map((name) => join("src", String(name)))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  return [...sources, "tsconfig.json", "package.json"].sort();
}

// Names and sizes count too, so that a removed or restored older file is noticed.
function currentStamp() {
  const digest = createHash("sha256");
  for (const name of sourceFiles()) {
    const facts = statSync(join(root, name));
    digest.update(`${name}:${facts.mtimeMs}:${facts.size}\n`);
  }
  return digest.digest("hex");
}

function isUpToDate(stamp) {
  return existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp;
}

// Loaded only when it is needed: most starts find dist/ up to date.
async function bundle(directory) {
  const { rolldown } = await import("rolldown");
  const bundled = await rolldown({
    input: join(root, "src", "main.ts"),
    platform: "node",
    external: (name) => !/^[./]/.test(name),
  });
  // Node loads CommonJS, also that of the packages, in half the time of modules.
  await bundled.write({
    dir: directory,
    entryFileNames: "main.cjs",
    format: "cjs",
    codeSplitting: false,
    sourcemap: true,
  });
}

// The new tree is built beside the old one and swapped in, so that nobody runs half of each.
async function build(stamp) {
  const fresh = `${dist}.new-${process.pid}`;
  const old = `${dist}.old-${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh);
  try {
    await bundle(fresh);
  } catch (failure) {
    rmSync(fresh, { recursive: true, force: true });
    process.stderr.write(`The build failed: ${failure.message}\n`);
    return 1;
  }
  chmodSync(join(fresh, "main.cjs"), 0o755);
  writeFileSync(join(fresh, ".stamp"), stamp);
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(fresh, dist);
  rmSync(old, { recursive: true, force: true });
  return 0;
}

const stamp = currentStamp();
const upToDate = process.argv.includes("--if-needed") && isUpToDate(stamp);
process.exitCode = upToDate ? 0 : await build(stamp);
