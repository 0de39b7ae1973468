import type { Clock } from "../../src/ports/clock.ts";
import type { Hash } from "../../src/ports/hash.ts";
import { decodeRow, TABLES } from "../../src/storage/metadata/rows.ts";
import { indexKey } from "../../src/storage/metadata/stored-rows.ts";
import type { Store, StoredObject } from "../../src/storage/store.ts";
import type { TimeBounds } from "../../src/storage/time-bounds.ts";
import { Seed } from "../sim/seed.ts";
import { createInlineHash } from "../sim/sim-hash.ts";
import { type Running, SIM_DIRECTORY, SimMachine } from "../sim/sim-machine.ts";

/** Behind the head of a record, among the bytes of its body. */
const SPOILT_AT = 80;

const opened: SimSite[] = [];

/** Closes every site that a test has opened. */
export async function closeSimSites(): Promise<void> {
  for (const { running } of opened.splice(0)) await running.site.close();
}

/** A site on a simulated machine of its own, with identities of its own. */
export class SimSite {
  readonly machine: SimMachine;
  readonly hash: Hash;
  running: Running;

  constructor(machine: SimMachine, hash: Hash, running: Running) {
    this.machine = machine;
    this.hash = hash;
    this.running = running;
  }

  static async open(
    name: string,
    timeBounds: Partial<TimeBounds> = {},
    reserveFileBytes = 0,
  ): Promise<SimSite> {
    const hash = await createInlineHash();
    const shape = { directIo: "on", segmentBytes: 64 * 1024 } as const;
    const settings = { hash, ...shape, timeBounds, reserveFileBytes };
    const machine = new SimMachine(new Seed(name), settings);
    const site = new SimSite(machine, hash, await machine.open());
    opened.push(site);
    return site;
  }

  /** Its clock as what waits sees it: a sleep lets its time pass, and ends in a later turn. */
  get clock(): Clock {
    const { clock } = this.machine;
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      after: () => clock.after(),
      sleep: (ms) => {
        clock.leap(ms);
        return new Promise((resolve) => setImmediate(resolve));
      },
    };
  }

  /** Its data directory on the simulated disk. */
  readonly directory = SIM_DIRECTORY;

  get store(): Store {
    return this.running.site.store;
  }

  get kv(): Running["kv"] {
    return this.running.kv;
  }

  /** Flips a bit of an object's bytes on the disk. */
  spoil({ place, record }: StoredObject): void {
    const { segment, offset } =
      record.body.kind === "inline"
        ? { segment: place.segment, offset: place.offset + SPOILT_AT }
        : this.#firstChunk(record.body.manifests[0]?.hash ?? "");
    const name = `seg-${String(segment).padStart(10, "0")}.atoll`;
    this.machine.disk.flipBit(`${this.directory}/segments/${name}`, (offset + 7) * 8);
  }

  #firstChunk(manifest: string): { readonly segment: number; readonly offset: number } {
    const list = this.kv.get(indexKey(TABLES.manifest.prefix, manifest));
    if (list === undefined) throw new Error("a manifest is missing");
    const [first] = decodeRow(TABLES.manifest, list, this.hash.crc32).chunks;
    const chunk = this.kv.get(indexKey(TABLES.chunk.prefix, first?.hash ?? ""));
    if (chunk === undefined) throw new Error("a chunk is missing");
    return decodeRow(TABLES.chunk, chunk, this.hash.crc32).place;
  }

  async restart(rebuildIndex = false): Promise<void> {
    await this.running.site.close();
    this.running = await this.machine.open({ rebuildIndex });
  }
}
