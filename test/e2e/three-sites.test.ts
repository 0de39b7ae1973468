import { CreateBucketCommand, HeadBucketCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildShim } from "../crash/shim.ts";
import {
  type Acknowledged,
  type Buckets,
  readProblem,
  versionLines,
  writeOne,
} from "../support/mixed-writes.ts";
import {
  PATIENCE_MS,
  peerStates,
  type RunningSite,
  saysInSync,
  startCluster,
  until,
} from "../support/sites.ts";
import { setVersioning } from "../support/versions.ts";

/** By hand with more: see docs/TESTING.md. A multiple of three, for every site writes as many. */
const OBJECTS = Math.ceil(Number(process.env["THREE_SITES_OBJECTS"] ?? 3000) / 3) * 3;
const CLIENTS = 8;
const READERS = 8;
const AHEAD_MS = 3000;
const NAMES = ["berlin", "paris", "oslo"] as const;
const BUCKETS: Buckets = { plain: "plain", versioned: "versioned" };
/** Generous: 100,000 objects on a small machine. */
const WRITING_MS = PATIENCE_MS + OBJECTS * 20;
const TIMEOUT_MS = WRITING_MS * 4;

/** Runs a task for each number, some at once. */
async function forEach(
  count: number,
  atOnce: number,
  task: (number: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

describe("three sites that all write", () => {
  let sites: RunningSite[] = [];
  let berlin: RunningSite;
  let paris: RunningSite;
  let oslo: RunningSite;
  /** What has been acknowledged, by all sites. */
  const acknowledged: Acknowledged[] = [];
  let failures = 0;

  beforeAll(async () => {
    const ahead = { LD_PRELOAD: await buildShim(), CRASH_CLOCK_MS: String(AHEAD_MS) };
    sites = await startCluster([
      { name: "berlin", engine: "uws" },
      { name: "paris", engine: "node" },
      { name: "oslo", engine: "uws", env: { ...ahead, UV_USE_IO_URING: "0" } },
    ]);
    [berlin, paris, oslo] = sites as [RunningSite, RunningSite, RunningSite];
    for (const Bucket of Object.values(BUCKETS)) {
      await berlin.s3().send(new CreateBucketCommand({ Bucket }));
    }
    await setVersioning(berlin.s3(), BUCKETS.versioned, "Enabled");
    for (const site of sites) await untilSettled(site);
  }, TIMEOUT_MS);

  afterAll(async () => {
    for (const site of sites) await site.close();
  });

  /** Both buckets have come, and the second with its versioning. */
  async function untilSettled(site: RunningSite): Promise<void> {
    await until(`${site.name} has the buckets`, async () => {
      try {
        await site.s3().send(new HeadBucketCommand({ Bucket: BUCKETS.versioned }));
        await site.s3().send(new HeadBucketCommand({ Bucket: BUCKETS.plain }));
      } catch {
        return undefined;
      }
      return (await saysInSync(site, sites.length)) ? true : undefined;
    });
  }

  /** Writes a site's share; a write that fails was not acknowledged, and is not tried again. */
  async function writeAll(site: RunningSite, done: (number: number) => void): Promise<void> {
    await forEach(OBJECTS / sites.length, CLIENTS, async (number) => {
      try {
        acknowledged.push(await writeOne(site.s3(), BUCKETS, site.name, number));
      } catch {
        failures += 1;
        await until(`${site.name} runs`, async () => (site.isRunning() ? true : undefined));
      }
      done(number);
    });
  }

  async function linesOf(site: RunningSite): Promise<string[]> {
    const all = await Promise.all(
      Object.values(BUCKETS).map((bucket) => versionLines(site.s3(), bucket)),
    );
    return all.flat();
  }

  /** Fails when a site says that nothing is missing while something is. */
  async function expectHonest(site: RunningSite): Promise<boolean> {
    if (!(await saysInSync(site, sites.length))) return false;
    const lines = (await linesOf(site)).map((line) => line.split(" ").slice(0, 2).join(" "));
    const listed = new Set(lines);
    const missing = acknowledged.filter(
      ({ key, version }) => !listed.has(`${key} ${version ?? "null"}`),
    );
    expect([site.name, missing.slice(0, 5)]).toEqual([site.name, []]);
    return true;
  }

  /** Cuts wires, kills a site and starts it again, each at some point of berlin's writing. */
  function weather(): { readonly at: (number: number) => void; readonly over: Promise<void> } {
    const share = OBJECTS / NAMES.length;
    const steps: ReadonlyArray<readonly [part: number, task: () => Promise<void> | void]> = [
      [0.1, () => paris.wire.set("refuses")],
      [0.2, () => oslo.wire.set("swallows")],
      [0.3, () => paris.wire.set("whole")],
      [0.35, () => berlin.wire.set("refuses")],
      [0.4, () => paris.kill()],
      [0.5, () => oslo.wire.set("whole")],
      [0.6, () => paris.start()],
      [0.8, () => oslo.wire.set("refuses")],
      [0.85, () => paris.wire.set("refuses")],
    ];
    let next = 0;
    let over: Promise<void> = Promise.resolve();
    const at = (number: number): void => {
      for (let step = steps[next]; step !== undefined; step = steps[next]) {
        const [part, task] = step;
        if (number < part * share) return;
        next += 1;
        over = over.then(task);
      }
    };
    const whole = (async () => {
      const isOver = async () => {
        await over;
        return next === steps.length ? true : undefined;
      };
      await until("all of the weather has come", isOver, WRITING_MS);
    })();
    return { at, over: whole };
  }

  test(
    `write ${OBJECTS} objects at once, through cuts, a crash and a clock that is ${AHEAD_MS} ms ahead`,
    async () => {
      const { at, over } = weather();
      const writing = [
        writeAll(berlin, at),
        writeAll(oslo, () => undefined),
        writeAll(paris, () => undefined),
      ];
      await Promise.all([...writing, over]);
      // Every wire is cut now: nobody may say that it has what the others have written meanwhile.
      for (const site of sites) expect([...(await peerStates(site)).values()]).toHaveLength(2);
      for (const site of sites) expect(await expectHonest(site)).toBe(false);
      // Writes that found a dead site failed; all others did not.
      expect(acknowledged.length + failures).toBe(OBJECTS);
      expect(acknowledged.length).toBeGreaterThan(OBJECTS / 3);
    },
    TIMEOUT_MS,
  );

  test(
    "say that they are in sync when they are, and not before",
    async () => {
      for (const site of sites) site.wire.set("whole");
      const left = new Set(sites);
      const areHonest = async () => {
        for (const site of left) if (await expectHonest(site)) left.delete(site);
        return left.size === 0 ? true : undefined;
      };
      await until("all sites are in sync", areHonest, WRITING_MS);
    },
    TIMEOUT_MS,
  );

  test(
    "list the same versions, every one that was acknowledged among them",
    async () => {
      const [first = [], ...others] = await Promise.all(sites.map(linesOf));
      for (const lines of others) {
        expect(lines.length).toBe(first.length);
        expect(lines.filter((line, at) => line !== first[at]).slice(0, 5)).toEqual([]);
      }
      const listed = new Set(first.map((line) => line.split(" ").slice(0, 2).join(" ")));
      const missing = acknowledged.filter(
        ({ key, version }) => !listed.has(`${key} ${version ?? "null"}`),
      );
      expect(missing.slice(0, 5)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "give back every acknowledged object byte for byte, everywhere",
    async () => {
      const problems: string[] = [];
      for (const site of sites) {
        await forEach(acknowledged.length, READERS, async (number) => {
          const one = acknowledged[number];
          const problem = one === undefined ? undefined : await readProblem(site.s3(), one);
          if (problem !== undefined) problems.push(`${site.name}: ${problem}`);
        });
      }
      expect([problems.length, problems.slice(0, 5)]).toEqual([0, []]);
    },
    TIMEOUT_MS,
  );

  test(
    "agree when each compares itself with each other",
    async () => {
      for (const site of sites) {
        for (const peer of sites) {
          if (peer === site) continue;
          const { status, stdout, stderr } = await site.atoll("repl-verify", "--peer", peer.name);
          expect([site.name, peer.name, status, stderr, stdout]).toEqual([
            ...[site.name, peer.name, 0, ""],
            expect.any(String),
          ]);
        }
      }
    },
    TIMEOUT_MS,
  );

  test("stop when they are asked to", async () => {
    for (const site of sites) {
      expect(await site.server().stop()).toBe(0);
    }
  });
});
