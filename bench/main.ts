import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { measureEmptyStore } from "./empty-store.ts";
import { measureLargeStore } from "./large-store.ts";
import { type Bench, wantsAny } from "./measuring.ts";
import { type Options, parseOptions } from "./options.ts";
import { machineLoad, makeReport, renderReport } from "./report.ts";
import { ROW_NAMES, type RowName } from "./targets.ts";
import { measureDisk, openLoadGenerator } from "./tools.ts";
import { measureTwoSites, TWO_SITES } from "./two-sites.ts";

const EMPTY_STORE: readonly RowName[] = ["memory-start", "put-4k-empty", "put-4k-one"];
const TMPFS = 0x01021994;
/** Room for the largest file of requests. */
const SHARED_MEMORY_BYTES_MIN = 6 * 1024 ** 3;
const SHARED_MEMORY = "/dev/shm";
const RESULTS_HEAD = `# Results

Written by \`npm run bench -- --loadgen DIR --write\`; [README.md](README.md) has the method.
`;

/** Runs what was asked for and gives the exit code. */
export async function main(typed: readonly string[], root: string): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(typed, root);
  } catch (failure) {
    process.stderr.write(`${failure instanceof Error ? failure.message : String(failure)}\n`);
    return 2;
  }
  const loadBefore = machineLoad();
  const cache = join(root, ".cache");
  rmSync(options.data, { recursive: true, force: true });
  mkdirSync(options.data, { recursive: true });
  checkDisk(options.data);
  const requestFolder = makeRequestFolder(options.data);
  process.on("exit", () => rmSync(requestFolder, { recursive: true, force: true }));
  const source = join(root, "bench", "disk-rate.c");
  const bench: Bench = {
    options,
    place: { root, folder: join(options.data, "atoll") },
    loadgen: await openLoadGenerator(options.loadgen, cache),
    disk: await measureDisk(source, cache, options.data, options.seconds),
    requestFolder,
    rows: new Map(),
    say: (text) => void process.stderr.write(`${text}\n`),
  };
  await measureAll(bench);
  const report = await makeReport({ ...bench, loadBefore });
  const text = renderReport(report);
  process.stdout.write(`${text}\n`);
  mkdirSync(join(root, "bench", "out"), { recursive: true });
  const json = `${JSON.stringify(report, undefined, 2)}\n`;
  writeFileSync(join(root, "bench", "out", "last.json"), json);
  if (options.write) {
    writeFileSync(join(root, "bench", "RESULTS.md"), `${RESULTS_HEAD}\n${text}`);
  }
  rmSync(options.data, { recursive: true, force: true });
  return 0;
}

async function measureAll(bench: Bench): Promise<void> {
  if (wantsAny(bench, EMPTY_STORE)) await measureEmptyStore(bench);
  const apart = [...EMPTY_STORE, ...TWO_SITES];
  const rest = ROW_NAMES.filter((name) => !apart.includes(name));
  if (wantsAny(bench, rest)) await measureLargeStore(bench);
  if (wantsAny(bench, TWO_SITES)) await measureTwoSites(bench);
}

function checkDisk(folder: string): void {
  if (statfsSync(folder).type !== TMPFS) return;
  throw new Error(`${folder} is in memory: name a folder on a real disk with --data.`);
}

/** In memory where there is room, so that reading requests never waits for the measured disk. */
function makeRequestFolder(data: string): string {
  if (existsSync(SHARED_MEMORY)) {
    const { bavail, bsize } = statfsSync(SHARED_MEMORY);
    if (bavail * bsize > SHARED_MEMORY_BYTES_MIN) {
      return mkdtempSync(join(SHARED_MEMORY, "atoll-bench-"));
    }
  }
  return mkdtempSync(join(data, "requests-"));
}
