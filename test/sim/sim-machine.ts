import type { StorageFault } from "../../src/core/faults.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { Hash } from "../../src/ports/hash.ts";
import type { Kv } from "../../src/ports/kv.ts";
import type { ProcessFacts } from "../../src/ports/process-facts.ts";
import { decodeRow, TABLES, type Table } from "../../src/storage/metadata/rows.ts";
import { openSite, type Site } from "../../src/storage/site.ts";
import type { SitePorts } from "../../src/storage/site-ports.ts";
import type { TimeBounds } from "../../src/storage/time-bounds.ts";
import { LeapClock } from "./leap-clock.ts";
import { createMemoryLog } from "./memory-log.ts";
import type { Seed } from "./seed.ts";
import { SimDisk } from "./sim-disk.ts";
import { openSimKv } from "./sim-kv.ts";
import { createSimRandom } from "./sim-random.ts";

export const SIM_DIRECTORY = "/srv/atoll";

/** Bugs put between the program and the machine, to see whether the checkers notice. */
export type Sabotage = {
  readonly disk?: (disk: Disk) => Disk;
  readonly kv?: (kv: Kv) => Kv;
  readonly hash?: (hash: Hash) => Hash;
  /** Every boot says it is this one. */
  readonly bootId?: string;
};

export type MachineSettings = {
  readonly hash: Hash;
  readonly directIo: "on" | "off";
  readonly segmentBytes: number;
  readonly timeBounds?: Partial<TimeBounds>;
  readonly reserveFileBytes?: number;
  readonly sabotage?: Sabotage;
};

/** A program that runs on the machine: its site, and its index to look into. */
export type Running = { readonly site: Site; readonly kv: Kv; readonly faults: StorageFault[] };

/** A simulated machine on which one site lives through power cuts, kills and restarts. */
export class SimMachine {
  readonly clock = new LeapClock();
  readonly log = createMemoryLog();
  readonly #settings: MachineSettings;
  readonly #random: ReturnType<typeof createSimRandom>;
  disk: SimDisk;
  #boot = 1;
  #pid = 1;

  constructor(seed: Seed, settings: MachineSettings) {
    this.#settings = settings;
    this.#random = createSimRandom(seed.derive("random"));
    this.disk = new SimDisk(seed.derive("disk"), {
      directories: ["/srv"],
      nowMs: () => this.clock.nowMs(),
    });
  }

  /** Starts the program; several starts of one boot are processes one after another. */
  async open(options: { readonly rebuildIndex?: boolean } = {}): Promise<Running> {
    const opened: Kv[] = [];
    const faults: StorageFault[] = [];
    const site = await openSite(this.#ports(opened), {
      directory: SIM_DIRECTORY,
      siteName: undefined,
      socketPath: undefined,
      directIo: this.#settings.directIo,
      segmentBytes: this.#settings.segmentBytes,
      freeReserveBytes: 0,
      reserveFileBytes: this.#settings.reserveFileBytes ?? 0,
      timeBounds: this.#settings.timeBounds ?? {},
      rebuildIndex: options.rebuildIndex ?? false,
      failStop: (fault) => faults.push(fault),
    });
    const kv = opened.at(-1);
    if (kv === undefined) throw new Error("a site has opened no index");
    return { site, kv, faults };
  }

  /** What is left after the power has gone; the next start is another boot. */
  cutPower(): void {
    this.disk = this.disk.crash();
    this.#boot += 1;
    this.#pid += 1;
  }

  /** The process ends where it stands; the machine stays up. */
  kill(): void {
    this.disk = this.disk.kill();
    this.#pid += 1;
  }

  #ports(opened: Kv[]): SitePorts {
    const { hash, sabotage } = this.#settings;
    const openKv = openSimKv(this.disk);
    return {
      disk: sabotage?.disk?.(this.disk) ?? this.disk,
      hash: sabotage?.hash?.(hash) ?? hash,
      clock: this.clock,
      random: this.#random,
      log: this.log,
      processFacts: this.#facts(),
      answers: async () => false,
      openKv: async (directory) => {
        const kv = await openKv(directory);
        opened.push(kv);
        return sabotage?.kv?.(kv) ?? kv;
      },
      defer: (callback) => void setImmediate(callback),
    };
  }

  #facts(): ProcessFacts {
    const bootId = this.#settings.sabotage?.bootId ?? `boot-${this.#boot}`;
    const pid = this.#pid;
    return {
      self: { pid, startedAt: String(pid), bootId },
      uid: process.getuid?.(),
      isAlive: (other) => other.bootId === bootId && other.pid === pid,
      mountOf: () => `mount-${bootId}`,
      rssBytes: () => 0,
      openFiles: () => 0,
      eventLoopDelayP99Ms: () => 0,
    };
  }
}

/** Every row of an index as a line of text: its key and what it says. */
export function dumpRows(kv: Kv, { crc32 }: Hash): string[] {
  const tables = new Map<string, Table<unknown>>(
    Object.values(TABLES).map((table) => [table.prefix, table]),
  );
  return Array.from(kv.range({}), ({ key, value }) => {
    const name = Buffer.from(key).toString("latin1");
    const table = tables.get(name.slice(0, 1));
    if (table === undefined) throw new Error(`a row of no table: ${name}`);
    return `${name} ${showRow(decodeRow(table, value, crc32))} ${Buffer.from(value).toString("hex")}`;
  });
}

function showRow(row: unknown): string {
  return JSON.stringify(row, (_name, field: unknown) => {
    if (typeof field === "bigint") return field.toString(16);
    if (field instanceof Map) return [...field];
    return field instanceof Uint8Array ? Buffer.from(field).toString("hex") : field;
  });
}
