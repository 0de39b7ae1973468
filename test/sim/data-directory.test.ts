import { expect, test } from "vitest";
import type { ProcessFacts } from "../../src/ports/process-facts.ts";
import { type DataDir, openDataDir } from "../../src/storage/data-dir.ts";
import { asFields, readJsonFile, writeJsonFile } from "../../src/storage/json-file.ts";
import { createMemoryLog } from "./memory-log.ts";
import { Seed } from "./seed.ts";
import { SimDisk } from "./sim-disk.ts";
import { createSimRandom } from "./sim-random.ts";

const DIRECTORY = "/srv/atoll";
const SEEDS = 20;

/** Each boot of the simulated machine is another process on another boot. */
function processOfBoot(boot: number): ProcessFacts {
  const bootId = `boot-${boot}`;
  return {
    self: { pid: 100, startedAt: "1", bootId },
    uid: 0,
    isAlive: (other) => other.bootId === bootId,
    mountOf: () => bootId,
    rssBytes: () => 0,
    openFiles: () => 0,
    eventLoopDelayP99Ms: () => 0,
  };
}

function open(disk: SimDisk, seed: Seed, boot: number): Promise<DataDir> {
  const random = createSimRandom(seed.derive(`random-${boot}`));
  const clock = {
    nowMs: () => boot,
    monotonicMs: () => boot,
    sleep: async () => undefined,
    after: () => () => undefined,
  };
  const log = createMemoryLog();
  const processFacts = processOfBoot(boot);
  return openDataDir(
    { disk, clock, random, log, processFacts, answers: async () => false },
    { directory: DIRECTORY, siteName: undefined, socketPath: undefined },
  );
}

test("power cut at any step of the first start leaves a directory that opens again", async () => {
  let stepsOfFirstStart = 0;
  for (let number = 0; number < SEEDS; number++) {
    for (let cutAt = 1; ; cutAt++) {
      const seed = new Seed(`first-start/${number}/${cutAt}`);
      const disk = new SimDisk(seed, { directories: ["/srv"] });
      disk.steps.cutPowerAt(cutAt);
      const first = await open(disk, seed, 1).catch(() => undefined);
      const afterCut = disk.crash();
      const second = await open(afterCut, seed, 2);
      if (first !== undefined) {
        expect(second.identity, String(seed)).toEqual(first.identity);
        expect(second.keyRing, String(seed)).toEqual(first.keyRing);
        stepsOfFirstStart = cutAt;
        break;
      }
      const third = await open(afterCut.crash(), seed, 3);
      expect(third.identity, String(seed)).toEqual(second.identity);
      expect(third.keyRing, String(seed)).toEqual(second.keyRing);
    }
  }
  expect(stepsOfFirstStart).toBeGreaterThan(10);
});

test("power cut at any step of replacing a JSON file leaves the old or the new one", async () => {
  const path = "/srv/facts.json";
  const parse = (value: unknown): number | undefined => {
    const version = asFields(value)?.["version"];
    return typeof version === "number" ? version : undefined;
  };
  const seen = new Set<number>();
  for (let number = 0; number < SEEDS; number++) {
    for (let cutAt = 1; ; cutAt++) {
      const seed = new Seed(`replace/${number}/${cutAt}`);
      const disk = new SimDisk(seed, { directories: ["/srv"] });
      for (const version of [1, 2]) await writeJsonFile(disk, path, { version });
      disk.steps.cutPowerAt(disk.steps.steps + cutAt);
      const done = await writeJsonFile(disk, path, { version: 3 }).then(
        () => true,
        () => false,
      );
      const found = await readJsonFile(disk.crash(), path, parse);
      expect(done ? [3] : [2, 3], String(seed)).toContain(found);
      seen.add(found ?? 0);
      if (done) break;
    }
  }
  expect(seen).toEqual(new Set([2, 3]));
});
