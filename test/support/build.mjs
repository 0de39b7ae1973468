// Builds dist/ from src/. With --if-needed it does nothing, silently, when dist/ is up to date.
import { spawnSync } from "node:child_process";
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
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const dist = join(root, "dist");
const stampFile = join(dist, ".stamp");

function sourceFiles() {
  const sources = readdirSync(join(root, "src"), { recursive: true })
    .map((name) => join("src", String(name)))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  return [...sources, "tsconfig.json", "tsconfig.build.json", "package.json"].sort();
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

function compilerPath() {
  const manifest = createRequire(import.meta.url).resolve("typescript/package.json");
  const { bin } = JSON.parse(readFileSync(manifest, "utf8"));
  return join(dirname(manifest), bin.tsc);
}

// The new tree is built beside the old one and swapped in, so that nobody runs half of each.
function build(stamp) {
  const fresh = `${dist}.new-${process.pid}`;
  const old = `${dist}.old-${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh);
  const compiled = spawnSync(
    process.execPath,
    [compilerPath(), "-p", join(root, "tsconfig.build.json"), "--outDir", fresh],
    { cwd: root, stdio: ["ignore", 2, 2] },
  );
  const main = join(fresh, "main.js");
  if (compiled.status !== 0 || !existsSync(main)) {
    rmSync(fresh, { recursive: true, force: true });
    process.stderr.write("The build failed: see the compiler's messages above.\n");
    return 1;
  }
  if (!readFileSync(main, "utf8").startsWith("#!")) {
    writeFileSync(main, `#!/usr/bin/env node\n${readFileSync(main, "utf8")}`);
  }
  chmodSync(main, 0o755);
  writeFileSync(join(fresh, ".stamp"), stamp);
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(fresh, dist);
  rmSync(old, { recursive: true, force: true });
  return 0;
}

const stamp = currentStamp();
const upToDate = process.argv.includes("--if-needed") && isUpToDate(stamp);
process.exitCode = upToDate ? 0 : build(stamp);
