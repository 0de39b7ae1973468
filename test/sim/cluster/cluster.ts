import { createHash } from "node:crypto";
import type { Hash } from "../../../src/ports/hash.ts";
import { adoptCluster } from "../../../src/storage/site-identity.ts";
import type { Seed } from "../seed.ts";
import { SIM_DIRECTORY } from "../sim-machine.ts";
import { SimNetwork } from "../sim-network.ts";
import { BrokenPromise } from "../store-check.ts";
import { apart, furthest, type Looked } from "./checkers.ts";
import type { Contents } from "./client-words.ts";
import { ClusterMachine, type PortSabotage, type Running } from "./cluster-machine.ts";
import { ClusterSite } from "./cluster-site.ts";
import { pullDirectly } from "./direct-exchange.ts";
import { siteRecordOf, startEngine } from "./engine.ts";
import { LogObserver } from "./log-observer.ts";
import { ProcessClock, WallClock, WorldTime } from "./world-time.ts";

const START_MS = 1_700_000_000_000;
const SITE_NAMES = ["north", "south", "east", "west", "centre"];
/** Clocks are at most ten minutes ahead of time, and nobody waits for more than a few more. */
const HEAL_MS_MAX = 20 * 60_000;

export type ClusterSettings = {
  readonly hash: Hash;
  /** `direct`: pages are carried by hand, so that storage is tried alone. */
  readonly exchange: "direct" | "engine";
  readonly sites: number;
  /** Whether sites watch their own clocks. */
  readonly guarded: boolean;
  readonly segmentBytes: number;
  readonly directIo: "on" | "off";
  readonly sabotage?: PortSabotage | undefined;
};

/** Sites in one world, with the lines between them. */
export class Cluster {
  readonly time = new WorldTime();
  readonly contents: Contents = new Map();
  readonly observer: LogObserver;
  readonly sites: readonly ClusterSite[];
  readonly network: SimNetwork;
  readonly #seed: Seed;
  readonly #settings: ClusterSettings;
  readonly #events = createHash("sha256");
  readonly #cuts = new Set<string>();
  #mostMs = 0;

  constructor(seed: Seed, settings: ClusterSettings) {
    this.#seed = seed.derive("cluster");
    this.#settings = settings;
    this.observer = new LogObserver(settings.hash, this.contents);
    const { hash, segmentBytes, directIo, sabotage } = settings;
    const { time } = this;
    const clock = new ProcessClock(time, new WallClock(time, START_MS));
    this.network = new SimNetwork(seed.derive("network"), clock);
    this.sites = SITE_NAMES.slice(0, settings.sites).map((name) => {
      const own = { name, hash, time, startMs: START_MS, segmentBytes, directIo, sabotage };
      const machine = new ClusterMachine(seed.derive(name), own);
      return new ClusterSite({
        ...{ machine, time, observer: this.observer },
        note: (event) => this.note(event),
        started: (running) => this.#begin(machine, running),
      });
    });
  }

  /** Hash of everything that has happened: the same seed must give the same one. */
  get events(): string {
    return this.#events.copy().digest("hex");
  }

  /** What a clock that is right shows. */
  get nowMs(): number {
    return START_MS + this.time.nowMs;
  }

  /** The latest time that any clock has shown. */
  get mostMs(): number {
    return this.#mostMs;
  }

  note(event: string): void {
    if (process.env["SIM_EVENTS"] !== undefined) {
      process.stdout.write(`${this.time.nowMs} ${event.slice(0, 300)}\n`);
    }
    this.#events.update(`${this.time.nowMs} ${event}\n`);
  }

  get running(): ClusterSite[] {
    return this.sites.filter((site) => site.running !== undefined);
  }

  /** What runs, for the checkers. */
  looked(): Looked[] {
    return this.sites.flatMap(({ name, running }) =>
      running === undefined ? [] : [{ name, running }],
    );
  }

  /** Lets time pass, and looks at what went wrong meanwhile. */
  async pass(ms: number): Promise<void> {
    this.#seeClocks();
    await this.time.run(ms);
    this.#seeClocks();
    for (const site of this.sites) site.check();
  }

  /** One page from one site to another, unless the line is cut. */
  async pull(from: ClusterSite, to: ClusterSite): Promise<void> {
    const source = from.running;
    if (this.#settings.exchange === "engine") return;
    if (source === undefined || this.#cuts.has(`${from.name} ${to.name}`)) return;
    const deps = { hash: this.#settings.hash, seed: this.#seed };
    const { steps } = from.machine.disk;
    const done = await to.during("pull", (target) =>
      Promise.race([pullDirectly(source, target, deps), steps.cut.then(() => "the source dies")]),
    );
    this.note(`${to.name} pulls from ${from.name}: ${done}`);
  }

  /** Nothing that one site sends arrives at the other any more. */
  cut(from: ClusterSite, to: ClusterSite): void {
    this.#cuts.add(`${from.name} ${to.name}`);
    this.network.cutOneWay(from.name, to.name);
    this.note(`${from.name} does not reach ${to.name}`);
  }

  healLines(): void {
    this.#cuts.clear();
    this.network.heal();
    this.note("the lines are whole");
  }

  /** All sites are made members of one cluster, and told of each other. */
  async join(): Promise<void> {
    const [first] = this.looked();
    if (first === undefined) return;
    const { clusterId } = first.running.site.identity;
    const records = this.looked().map(({ running }) => siteRecordOf(running.site));
    for (const site of this.sites) {
      const { disk } = site.machine;
      await site.during("joining", async ({ site: { identity, store } }) => {
        await adoptCluster(disk, SIM_DIRECTORY, identity, clusterId);
        for (const record of records) await store.putSite(record);
      });
    }
    // Clients come when the sites have heard of each other.
    if (this.#settings.exchange === "direct") await this.#pullAll();
    await this.pass(2_000);
  }

  /** Reads on in the log of a site. */
  async observe(site: ClusterSite): Promise<void> {
    await site.during("observer", ({ site: { store } }) => this.observer.read(site.name, store));
  }

  /** The site is what it was when its backup was taken, and begins another life. */
  async restore(site: ClusterSite): Promise<void> {
    const { backup } = site;
    if (backup === undefined) return;
    if (site.running !== undefined) site.stop("kill");
    site.machine.restore(backup);
    this.observer.forget(site.name);
    site.forgetAll();
    this.note(`${site.name} is restored`);
    await site.start();
    // As the server does: the others must hear of the new origin.
    await site.during("its record", ({ site: own }) => own.store.putSite(siteRecordOf(own)));
  }

  /** Everything is put right: lines, clocks, machines. Then the sites have time to agree. */
  async heal(): Promise<void> {
    this.healLines();
    for (const site of this.sites) {
      site.machine.disk.steps.cutPowerAt(Number.POSITIVE_INFINITY);
      site.machine.wall.set(this.nowMs);
      if (site.running === undefined) await site.start();
      await site.settle();
    }
    const untilMs = this.time.nowMs + HEAL_MS_MAX;
    for (;;) {
      const why = apart(this.looked());
      if (why === undefined) break;
      if (this.time.nowMs > untilMs) throw new BrokenPromise(`the sites never agree: ${why}`);
      if (this.#settings.exchange === "direct") await this.#pullAll();
      await this.pass(5_000);
    }
    for (const site of this.sites) await this.observe(site);
    this.observer.cutTo(furthest(this.looked()));
  }

  async #pullAll(): Promise<void> {
    for (const from of this.sites) {
      for (const to of this.sites) if (from !== to) await this.pull(from, to);
    }
  }

  #seeClocks(): void {
    for (const { machine } of this.sites) {
      this.#mostMs = Math.max(this.#mostMs, machine.wall.nowMs());
    }
  }

  /** What runs beside the store of a site. */
  async #begin(machine: ClusterMachine, running: Running): Promise<() => void> {
    // Before its house is kept: what is dropped then has been seen.
    await this.observer.read(machine.name, running.site.store);
    if (this.#settings.guarded) running.site.guard.arm();
    if (this.#settings.exchange === "direct") return () => undefined;
    const { hash } = this.#settings;
    const { network } = this;
    const { random, log } = machine;
    return startEngine({ running, network, hash, random, log });
  }
}
