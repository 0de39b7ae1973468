import { createHash } from "node:crypto";
import { appliedSetOf } from "../../../src/core/applied-set.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import type { Seq } from "../../../src/core/names.ts";
import type { Dot } from "../../../src/core/records.ts";
import type { Hash } from "../../../src/ports/hash.ts";
import type { VerifyStep, VerifyWish } from "../../../src/replication/verify.ts";
import { noteWithdrawing } from "../../../src/storage/site-identity.ts";
import type { Seed } from "../seed.ts";
import { SIM_DIRECTORY } from "../sim-machine.ts";
import { SimNetwork } from "../sim-network.ts";
import { BrokenPromise } from "../store-check.ts";
import { apart, checkWord, headsOf } from "./checkers.ts";
import type { Contents } from "./client-words.ts";
import { ClusterMachine, type PortSabotage, type Running } from "./cluster-machine.ts";
import { ClusterMembers } from "./cluster-members.ts";
import { ClusterSite } from "./cluster-site.ts";
import { pullDirectly } from "./direct-exchange.ts";
import { type Engine, siteRecordOf, startEngine } from "./engine.ts";
import { ForgottenDeletes } from "./forgotten-deletes.ts";
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
  /** The last site is alone until it is told to join. */
  readonly joins: boolean;
  /** Buckets may show rows before their bytes are there. */
  readonly rowsFirst: boolean;
  /** Disks are set back: sites look for what they have lost. */
  readonly setBacks: boolean;
  /** Writes wait at a start until peers have told what they know of the site's own log. */
  readonly holds: boolean;
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
  readonly members: ClusterMembers;
  readonly network: SimNetwork;
  readonly forgotten = new ForgottenDeletes();
  readonly #engines = new Map<string, Engine>();
  readonly #seed: Seed;
  readonly #settings: ClusterSettings;
  readonly #events = createHash("sha256");
  readonly #givenUp = new Set<string>();
  /** Sites that were put back to a backup. */
  readonly #restored = new Set<string>();
  readonly #cuts = new Set<string>();
  #mostMs = 0;
  /** Rows have been taken over; a site was removed behind that, whose they may have been. */
  #hasTaken = false;
  isHalfTaken = false;

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
    this.members = new ClusterMembers(this.sites, (event) => this.note(event));
    const last = this.sites.at(-1);
    if (settings.joins && last !== undefined) this.members.leaveOut(last);
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
    await this.members.join();
    // Clients come when the sites have heard of each other.
    if (this.#settings.exchange === "direct") await this.#pullAll();
    await this.pass(2_000);
  }

  /** The site that was alone joins. */
  async admit(joiner: ClusterSite, takesRows: boolean): Promise<void> {
    const via = await this.members.admit(joiner);
    const origin = joiner.running?.site.identity.origin;
    const own = origin === undefined ? undefined : this.observer.all.get(origin);
    this.forgotten.look(own ?? [], this.nowMs - LIMITS.historyRetentionMs);
    await this.#hasJoined(via, joiner);
    if (takesRows) this.takeRows(via, joiner);
  }

  /** As the server does once a cluster has taken it in. */
  async #hasJoined(via: ClusterSite, joiner: ClusterSite): Promise<void> {
    const inviting = via.running?.site.identity.siteId;
    const rows = this.#engines.get(joiner.name)?.rows;
    if (inviting === undefined || rows === undefined) return;
    const takesOver = await joiner.during("what joins", () => rows.joined(inviting));
    if (takesOver === true) this.#hasTaken = true;
    this.note(`${joiner.name} takes over what others hold: ${takesOver}`);
  }

  /** A site is removed for ever, dead or not. */
  async remove(gone: ClusterSite, dies: boolean): Promise<void> {
    this.isHalfTaken ||= this.#hasTaken || this.#isTakingOver();
    await this.members.remove(gone, (site) => this.observe(site));
    if (dies && gone.running !== undefined) gone.stop("power");
  }

  /** An operator lets a site take over all rows of another one, unless any site does so now. */
  takeRows(from: ClusterSite, to: ClusterSite): void {
    const source = from.running?.site.identity.siteId;
    if (source === undefined || to.running === undefined || this.#isTakingOver()) return;
    const begun = this.#engines.get(to.name)?.rows.bootstrap(source);
    this.#hasTaken = true;
    this.note(`${to.name} takes over the rows of ${from.name}: ${begun}`);
  }

  #isTakingOver(): boolean {
    return [...this.#engines.values()].some(({ rows }) => rows.isTakingOver);
  }

  /** Reads on in the log of a site. */
  async observe(site: ClusterSite): Promise<void> {
    await site.during("observer", ({ site: { store } }) => this.observer.read(site.name, store));
    this.#checkWords(site);
  }

  /** What a site knows of the others' progress is never more than they have done. */
  #checkWords(site: ClusterSite): void {
    const facts = this.#engines.get(site.name)?.facts;
    if (facts === undefined || this.#settings.setBacks) return;
    for (const { name, running } of this.sites) {
      // A backup has less than what the site told before it was put back.
      if (running === undefined || this.#restored.has(name)) continue;
      const { applied, holes } = facts(running.site.identity.siteId);
      if (applied === undefined) continue;
      const what = `${site.name} was told by ${name}`;
      checkWord(what, { applied, holes }, appliedSetOf(running.site.store.replica));
    }
  }

  /** The site is what it was when its backup was taken, and begins another life. */
  async restore(site: ClusterSite): Promise<void> {
    const { backup } = site;
    if (backup === undefined) return;
    // What others have as rows alone must have been seen.
    await this.observe(site);
    if (site.running !== undefined) site.stop("kill");
    site.machine.restore(backup);
    this.#restored.add(site.name);
    this.observer.forget(site.name);
    site.forgetAll();
    this.note(`${site.name} is restored`);
    await site.start();
    // As the server does: the others must hear of the new origin.
    await site.during("its record", ({ site: own }) => own.store.putSite(siteRecordOf(own)));
    this.members.setBack();
  }

  /** Everything is put right: lines, clocks, machines. Then the sites have time to agree. */
  async heal(): Promise<void> {
    this.healLines();
    for (const site of this.members.all) {
      site.machine.disk.steps.cutPowerAt(Number.POSITIVE_INFINITY);
      site.machine.wall.set(this.nowMs);
      if (site.running === undefined) await site.start();
      await site.settle();
    }
    await this.members.remind();
    const untilMs = this.time.nowMs + HEAL_MS_MAX;
    for (;;) {
      // One that was set back has stopped when it heard of that.
      for (const site of this.members.all) if (site.running === undefined) await site.start();
      const why = this.#unsettled();
      if (why === undefined && !(await this.#giveUpLost())) break;
      if (this.time.nowMs > untilMs) {
        throw new BrokenPromise(`the sites never agree: ${why}`);
      }
      if (this.#settings.exchange === "direct") await this.#pullAll();
      await this.pass(5_000);
      this.#bringTogether();
    }
    this.#seeClocks();
    if (this.isHalfTaken) await this.#verify();
    for (const site of this.members.all) await this.observe(site);
    this.observer.keepOnly([headsOf(this.members.looked())]);
    this.observer.checkWhole();
  }

  /** What an operator does about writes whose bytes burnt with a site; whether there were any. */
  async #giveUpLost(): Promise<boolean> {
    for (const site of this.members.all) {
      const engine = this.#engines.get(site.name);
      const parked = site.running?.site.store.replica.parked() ?? [];
      if (engine === undefined || parked.length === 0) continue;
      for (const { dot } of parked) this.#givenUp.add(`${dot.origin} ${dot.seq}`);
      const told = await site.during("what is lost", () => engine.giveUpParked());
      this.note(`${site.name} gives up what is lost: ${JSON.stringify(told)}`);
      return true;
    }
    return false;
  }

  /** Whether a write was taken back because its bytes had burnt. */
  isGivenUp({ origin, seq }: Dot): boolean {
    return this.#givenUp.has(`${origin} ${seq}`);
  }

  #unsettled(): string | undefined {
    // One that was removed may try for ever.
    const isMember = (name: string) => this.members.all.some((member) => member.name === name);
    const taking = [...this.#engines].filter(
      ([name, { rows }]) => isMember(name) && rows.isTakingOver,
    );
    return taking.length > 0
      ? "rows are being taken over"
      : apart(this.members.looked(), this.observer);
  }

  /** What an operator does with a site whose peers' logs begin too late for it, while that shows. */
  #bringTogether(): void {
    if (this.#unsettled() === undefined) return;
    for (const site of this.members.all) {
      const [peer] = this.#engines.get(site.name)?.outOfReach() ?? [];
      const from = this.members.all.find(({ name }) => name === peer?.name);
      if (from !== undefined) this.takeRows(from, site);
    }
  }

  /** What an operator does after a site has burnt down: compares all sites, and repairs each. */
  async #verify(): Promise<void> {
    for (const site of this.members.all) {
      for (const peer of this.members.all) {
        const record = peer.running === undefined ? undefined : siteRecordOf(peer.running.site);
        const rows = this.#engines.get(site.name)?.rows;
        if (site === peer || record === undefined || rows === undefined) continue;
        for (let from: string | undefined = ""; from !== undefined; ) {
          const wish: VerifyWish = { range: { from, to: undefined }, repair: true, deep: false };
          const step: VerifyStep | undefined = await site.during("a comparison", () =>
            rows.verify(record, wish),
          );
          const found = step?.differences.map(({ position, kind }) => `${kind} ${position}`) ?? [];
          this.note(`${site.name} is compared with ${peer.name}: ${found.join(", ")}`);
          from = step?.next;
        }
      }
    }
  }

  async #pullAll(): Promise<void> {
    for (const from of this.members.all) {
      for (const to of this.members.all) if (from !== to) await this.pull(from, to);
    }
  }

  /** What the server does about it: it stops, and its next start issues again what it withdraws. */
  async #beginAnew(site: ClusterSite, running: Running, from: Seq): Promise<void> {
    const { identity } = running.site;
    const wish = { from: [{ origin: identity.origin, from }], times: "kept" } as const;
    this.note(`${site.name} was set back, and has lost ${from}`);
    await noteWithdrawing(site.machine.disk, SIM_DIRECTORY, identity, wish);
    // Between two turns of the world, as whatever ends a program here.
    this.time.after(0, () => {
      if (site.running === running) site.stop("kill");
    });
  }

  #seeClocks(): void {
    for (const { machine } of this.sites) {
      this.#mostMs = Math.max(this.#mostMs, machine.wall.latestMs);
    }
  }

  /** What runs beside the store of a site. */
  async #begin(machine: ClusterMachine, running: Running): Promise<() => void> {
    // Before its house is kept: what is dropped then has been seen.
    await this.observer.read(machine.name, running.site.store);
    const site = this.sites.find(({ name }) => name === machine.name);
    if (site !== undefined) this.members.started(site, running);
    if (this.#settings.guarded) running.site.guard.arm();
    if (this.#settings.exchange === "direct") return () => undefined;
    const { hash, rowsFirst, holds, setBacks, sabotage } = this.#settings;
    const { network } = this;
    const { random, log, disk, name } = machine;
    const { store, identity } = running.site;
    // As the server does: the others must hear of an origin that is new.
    const known = store.site(identity.siteId);
    if (setBacks && known?.state === "active" && !known.origins.includes(identity.origin)) {
      await store.putSite(siteRecordOf(running.site));
    }
    const looks = setBacks && sabotage?.neverSetBack !== true && site !== undefined;
    const setBack = looks ? (from: Seq) => void this.#beginAnew(site, running, from) : undefined;
    const own = { running, network, hash, random, log, disk, rowsFirst, holds, setBack };
    const engine = startEngine(own);
    this.#engines.set(name, engine);
    return () => {
      engine.end();
      this.#engines.delete(name);
    };
  }
}
