import type { StorageFault } from "../../../src/core/faults.ts";
import type { OriginId } from "../../../src/core/names.ts";
import type { Disk } from "../../../src/ports/disk.ts";
import type { Hash } from "../../../src/ports/hash.ts";
import type { Kv } from "../../../src/ports/kv.ts";
import type { ProcessFacts } from "../../../src/ports/process-facts.ts";
import type { Random } from "../../../src/ports/random.ts";
import type { LogicalRows } from "../../../src/storage/logical-rows.ts";
import type { OriginHead, Replica } from "../../../src/storage/replica.ts";
import { openSite, type Site } from "../../../src/storage/site.ts";
import type { SitePorts } from "../../../src/storage/site-ports.ts";
import type { WithdrawnFrom } from "../../../src/storage/withdrawn.ts";
import { createMemoryLog } from "../memory-log.ts";
import type { Seed } from "../seed.ts";
import { SimDisk } from "../sim-disk.ts";
import { openSimKv } from "../sim-kv.ts";
import { SIM_DIRECTORY } from "../sim-machine.ts";
import { createSimRandom } from "../sim-random.ts";
import { ProcessClock, WallClock, type WorldTime } from "./world-time.ts";

/** Bugs put between the program and its machine, to see whether the checkers notice. */
export type PortSabotage = {
  readonly disk?: (disk: Disk) => Disk;
  readonly kv?: (kv: Kv) => Kv;
  /** What replication is handed of the store. */
  readonly replica?: (replica: Replica) => Replica;
  /** What takes over rows is handed of the store. */
  readonly rows?: (rows: LogicalRows) => LogicalRows;
  /** A site does not look for what its peers know of its own log. */
  readonly neverSetBack?: boolean;
  /** A restored backup is not told from what it was copied from. */
  readonly sameInode?: boolean;
};

export type MachineSettings = {
  readonly name: string;
  readonly hash: Hash;
  readonly time: WorldTime;
  readonly startMs: number;
  readonly segmentBytes: number;
  readonly directIo: "on" | "off";
  readonly sabotage?: PortSabotage | undefined;
};

/** A program that runs on a machine. */
export type Running = {
  readonly site: Site;
  readonly kv: Kv;
  readonly replica: Replica;
  readonly rows: LogicalRows;
  readonly clock: ProcessClock;
  readonly faults: readonly StorageFault[];
};

/** The data directory of a machine at some moment. */
export type Backup = { readonly disk: SimDisk };

/** The disk of a machine at some moment, and what the site was that stood there. */
export type Snapshot = {
  readonly disk: SimDisk;
  readonly origin: OriginId;
  readonly received: ReadonlyMap<OriginId, OriginHead>;
  /** From where on others knew more of that origin by then, or something else. */
  readonly fork: WithdrawnFrom | undefined;
};

/** A machine with a disk and a clock of its own, on which one site lives many lives. */
export class ClusterMachine {
  readonly name: string;
  readonly wall: WallClock;
  readonly log = createMemoryLog();
  readonly random: Random;
  disk: SimDisk;
  readonly #settings: MachineSettings;
  #boot = 1;
  #pid = 1;

  constructor(seed: Seed, settings: MachineSettings) {
    this.name = settings.name;
    this.#settings = settings;
    this.wall = new WallClock(settings.time, settings.startMs);
    this.random = createSimRandom(seed.derive("random"));
    this.disk = new SimDisk(seed.derive("disk"), {
      directories: ["/srv"],
      nowMs: () => this.wall.nowMs(),
    });
  }

  /** Starts the program. */
  async start(options: { readonly rebuildIndex?: boolean } = {}): Promise<Running> {
    const { disk, random } = this;
    return await this.#open({ disk, random, boot: `boot-${this.#boot}` }, options);
  }

  /** The machine loses its power, or its process is killed; what ran on it never acts again. */
  stop(running: Running | undefined, how: "power" | "kill"): void {
    running?.clock.stop();
    // Calls under way hang: what a process without a machine throws is of no interest.
    this.disk.steps.cutPowerAt(0, { hang: true });
    this.disk = how === "power" ? this.disk.crash() : this.disk.kill();
    if (how === "power") this.#boot += 1;
    this.#pid += 1;
  }

  /** What a power cut at this moment would leave, looked at on another machine. */
  async ghost(seed: Seed): Promise<Running> {
    const disk = this.disk.ghost(seed.derive("disk"));
    const random = createSimRandom(seed.derive("random"));
    return await this.#open({ disk, random, boot: "ghost" }, {});
  }

  /** A copy of the disk as it is: only of a machine whose process does not run. */
  backup(): Backup {
    return { disk: this.disk.copy(this.disk.seed.derive("backup")) };
  }

  /** Puts a backup in place of the disk; its directory is another one, as every copy is. */
  restore({ disk }: Backup): void {
    this.disk = disk.copy(this.disk.seed.derive("restored"));
    if (this.#settings.sabotage?.sameInode !== true) this.disk.renewInode(SIM_DIRECTORY);
    this.#boot += 1;
    this.#pid += 1;
  }

  /** Looks at a disk of this machine as a program would find it that is started there. */
  async peek(disk: SimDisk): Promise<Pick<Snapshot, "origin" | "received">> {
    const copy = disk.copy(disk.seed.derive("peek"));
    const random = createSimRandom(disk.seed.derive("peek/random"));
    const { site, replica, clock } = await this.#open({ disk: copy, random, boot: "peek" }, {});
    clock.stop();
    return { origin: site.identity.origin, received: new Map(replica.received()) };
  }

  /** The disk as it is, or as a power cut at this moment would leave it: snapshots may be so. */
  copy(seed: Seed, running: boolean): SimDisk {
    return running ? this.disk.ghost(seed) : this.disk.copy(seed);
  }

  /** Puts a snapshot in place of the disk: nothing tells that it is not the same disk. */
  setBack({ disk }: Snapshot): void {
    this.disk = disk.copy(this.disk.seed.derive("set back"));
    this.#boot += 1;
    this.#pid += 1;
  }

  async #open(
    own: { readonly disk: SimDisk; readonly random: Random; readonly boot: string },
    options: { readonly rebuildIndex?: boolean },
  ): Promise<Running> {
    const { time, segmentBytes, directIo, name } = this.#settings;
    const clock = new ProcessClock(time, this.wall, () => !own.disk.steps.stopped);
    const opened: Kv[] = [];
    const faults: StorageFault[] = [];
    const site = await openSite(this.#ports({ ...own, clock, opened }), {
      ...{ directory: SIM_DIRECTORY, siteName: name, socketPath: undefined },
      ...{ directIo, segmentBytes, freeReserveBytes: 0 },
      rebuildIndex: options.rebuildIndex ?? false,
      failStop: (fault) => faults.push(fault),
    });
    const kv = opened.at(-1);
    if (kv === undefined) throw new Error("a site has opened no index");
    const { sabotage } = this.#settings;
    const replica = sabotage?.replica?.(site.store.replica) ?? site.store.replica;
    const rows = sabotage?.rows?.(site.store.rows) ?? site.store.rows;
    return { site, kv, replica, rows, clock, faults };
  }

  #ports(own: {
    readonly disk: SimDisk;
    readonly random: Random;
    readonly boot: string;
    readonly clock: ProcessClock;
    readonly opened: Kv[];
  }): SitePorts {
    const { hash, sabotage } = this.#settings;
    const openKv = openSimKv(own.disk);
    return {
      disk: sabotage?.disk?.(own.disk) ?? own.disk,
      ...{ hash, clock: own.clock, random: own.random, log: this.log },
      processFacts: this.#facts(own.boot),
      answers: async () => false,
      openKv: async (directory) => {
        const kv = await openKv(directory);
        own.opened.push(kv);
        return sabotage?.kv?.(kv) ?? kv;
      },
      // In a later turn of the world, so that nothing is under way when its time passes.
      defer: (callback) => void own.clock.after(0, callback),
    };
  }

  #facts(boot: string): ProcessFacts {
    const bootId = `${this.name} ${boot}`;
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
