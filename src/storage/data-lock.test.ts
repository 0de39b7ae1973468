import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { cryptoRandom } from "../ports/crypto-random.ts";
import type { Log } from "../ports/log.ts";
import { createNodeDisk } from "../ports/node-disk.ts";
import type { ProcessFacts, ProcessIdentity } from "../ports/process-facts.ts";
import { acquireDataLock, type LockDeps, readLockHolder } from "./data-lock.ts";

/** A machine on which only the processes in the set live. */
function machine(living: Set<number>) {
  const warnings: string[] = [];
  const nothing = (): void => undefined;
  const log: Log = {
    debug: nothing,
    info: nothing,
    infoLine: nothing,
    warn: (_fields, message) => warnings.push(message),
    error: nothing,
    child: () => log,
    flush: async () => undefined,
  };
  const facts = (self: ProcessIdentity): ProcessFacts => ({
    self,
    uid: 0,
    isAlive: (other) => living.has(other.pid) && other.startedAt === String(other.pid),
    mountOf: () => "1",
    rssBytes: () => 1,
    openFiles: () => 1,
    eventLoopDelayP99Ms: () => 0,
  });
  const answering = new Set<string>();
  const process = (pid: number): LockDeps => ({
    disk: createNodeDisk(),
    random: cryptoRandom,
    log,
    processFacts: facts({ pid, startedAt: String(pid), bootId: "boot" }),
    answers: async (socketPath) => answering.has(socketPath),
  });
  return { process, warnings, answering };
}

const ENOSPC = Object.assign(new Error("no space"), { code: "ENOSPC" });

describe("LOCK", () => {
  let directory: string;
  let living: Set<number>;
  let host: ReturnType<typeof machine>;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "atoll-lock-"));
    living = new Set([1, 2, 3]);
    host = machine(living);
  });

  test("names its holder and goes with it", async () => {
    const lock = await acquireDataLock(host.process(1), directory, "/run/a.sock");
    expect(await readLockHolder(createNodeDisk(), directory)).toMatchObject({
      pid: 1,
      startedAt: "1",
      bootId: "boot",
      socketPath: "/run/a.sock",
    });
    expect(await readdir(directory)).toEqual(["LOCK"]);
    await lock.release();
    expect(await readdir(directory)).toEqual([]);
  });

  test("leaves nothing behind on a disk on which it cannot be written", async () => {
    const disk = createNodeDisk();
    const full: LockDeps["disk"] = {
      ...disk,
      create: async (path, mode) => {
        const file = await disk.create(path, mode);
        return { ...file, close: () => file.close(), write: () => Promise.reject(ENOSPC) };
      },
    };
    const taking = acquireDataLock({ ...host.process(1), disk: full }, directory, undefined);
    await expect(taking).rejects.toBe(ENOSPC);
    expect(await readdir(directory)).toEqual([]);
  });

  test("keeps a second process out while the first lives", async () => {
    await acquireDataLock(host.process(1), directory, undefined);
    await expect(acquireDataLock(host.process(2), directory, undefined)).rejects.toMatchObject({
      kind: "locked",
      message: expect.stringContaining("process 1"),
    });
    expect(await readdir(directory)).toEqual(["LOCK"]);
  });

  test("of a process that is gone is taken over with one log line", async () => {
    const first = await acquireDataLock(host.process(1), directory, undefined);
    living.delete(1);
    await acquireDataLock(host.process(2), directory, undefined);
    expect(host.warnings).toHaveLength(1);
    await first.release();
    expect(await readLockHolder(createNodeDisk(), directory)).toMatchObject({ pid: 2 });
    expect(await readdir(directory)).toEqual(["LOCK"]);
  });

  test("of a process whose pid cannot be seen counts while its socket answers", async () => {
    await acquireDataLock(host.process(1), directory, "/run/a.sock");
    living.delete(1);
    host.answering.add("/run/a.sock");
    await expect(acquireDataLock(host.process(2), directory, undefined)).rejects.toMatchObject({
      kind: "locked",
    });
  });

  test("is won by exactly one of many that find it abandoned", async () => {
    await acquireDataLock(host.process(9), directory, undefined);
    const pids = Array.from({ length: 12 }, (_, at) => at + 100);
    for (const pid of pids) living.add(pid);
    const results = await Promise.allSettled(
      pids.map((pid) => acquireDataLock(host.process(pid), directory, undefined)),
    );
    const winners = results.filter((result) => result.status === "fulfilled");
    expect(winners).toHaveLength(1);
    for (const result of results) {
      if (result.status === "rejected") expect(result.reason).toMatchObject({ kind: "locked" });
    }
  });

  test("is won although an earlier taker died between its claim and its takeover", async () => {
    await acquireDataLock(host.process(8), directory, undefined);
    const dead = await readLockHolder(createNodeDisk(), directory);
    const claim = { pid: 9, startedAt: "9", bootId: "boot", id: "0123456789abcdef" };
    await writeFile(join(directory, `LOCK.claim-${dead?.id}`), JSON.stringify(claim));
    await writeFile(join(directory, "LOCK.new-0123456789abcdef"), JSON.stringify(claim));
    await acquireDataLock(host.process(2), directory, undefined);
    expect(await readLockHolder(createNodeDisk(), directory)).toMatchObject({ pid: 2 });
    expect(await readdir(directory)).toEqual(["LOCK"]);
  });

  test("that cannot be read is taken over", async () => {
    await writeFile(join(directory, "LOCK"), "\0\0\0\0");
    await acquireDataLock(host.process(2), directory, undefined);
    expect(JSON.parse(await readFile(join(directory, "LOCK"), "utf8"))).toMatchObject({ pid: 2 });
  });
});
