import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Disk } from "../../src/ports/disk.ts";
import type { Hash } from "../../src/ports/hash.ts";
import type { Kv } from "../../src/ports/kv.ts";
import { openLmdb } from "../../src/ports/kv-lmdb.ts";
import { createNodeDisk } from "../../src/ports/node-disk.ts";
import { createProcessFacts } from "../../src/ports/process-facts.ts";
import { openSite } from "../../src/storage/site.ts";
import { LeapClock } from "../sim/leap-clock.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { createInlineHash } from "../sim/sim-hash.ts";
import { type Running, SIM_DIRECTORY, SimMachine } from "../sim/sim-machine.ts";
import { createSimRandom } from "../sim/sim-random.ts";

/** A site that is opened again and again, on a real directory or a simulated disk. */
export type SiteFixture = {
  readonly hash: Hash;
  readonly clock: LeapClock;
  readonly directory: string;
  /** The disk as it is now. */
  disk(): Disk;
  open(options?: { readonly rebuildIndex?: boolean }): Promise<Running>;
  remove(): void;
};

const SEGMENT_BYTES = 64 * 1024;

export async function simulatedSite(directIo: "on" | "off"): Promise<SiteFixture> {
  const hash = await createInlineHash();
  const machine = new SimMachine(new Seed("store-contract"), {
    hash,
    directIo,
    segmentBytes: SEGMENT_BYTES,
  });
  const { clock } = machine;
  const open: SiteFixture["open"] = (options) => machine.open(options);
  const disk = (): Disk => machine.disk;
  return { hash, clock, directory: SIM_DIRECTORY, disk, open, remove: () => undefined };
}

export async function realSite(directIo: "auto" | "off"): Promise<SiteFixture> {
  const hash = await createInlineHash();
  const parent = mkdtempSync(`${tmpdir()}/atoll-store-`);
  const directory = `${parent}/data`;
  const clock = new LeapClock();
  const random = createSimRandom(new Seed(parent));
  const open: SiteFixture["open"] = async (options = {}) => {
    const opened: Kv[] = [];
    const faults: Running["faults"] = [];
    const site = await openSite(
      {
        ...{ hash, clock, random, log: createMemoryLog(), disk: createNodeDisk() },
        processFacts: createProcessFacts(),
        answers: async () => false,
        openKv: async (path) => {
          const kv = await openLmdb(path);
          opened.push(kv);
          return kv;
        },
        defer: (callback) => void setImmediate(callback),
      },
      {
        ...{ directory, directIo, siteName: undefined, socketPath: undefined },
        segmentBytes: SEGMENT_BYTES,
        freeReserveBytes: 0,
        rebuildIndex: options.rebuildIndex ?? false,
        failStop: (fault) => faults.push(fault),
      },
    );
    const kv = opened.at(-1);
    if (kv === undefined) throw new Error("a site has opened no index");
    return { site, kv, faults };
  };
  const remove = (): void => rmSync(parent, { recursive: true, force: true });
  return { hash, clock, directory, disk: createNodeDisk, open, remove };
}
