import type { Dot } from "../../../src/core/records.ts";
import type { Hash } from "../../../src/ports/hash.ts";
import { Seed } from "../seed.ts";
import { dumpRows } from "../sim-machine.ts";
import { BrokenPromise, checkRows } from "../store-check.ts";
import { checkAgreement, checkBody, checkClocks } from "./checkers.ts";
import { Client } from "./client.ts";
import { listVersions } from "./client-words.ts";
import { Cluster } from "./cluster.ts";
import type { PortSabotage } from "./cluster-machine.ts";
import { type Life, PLANS, type Plan } from "./cluster-plan.ts";
import type { ClusterSite } from "./cluster-site.ts";
import { canRead } from "./rows-first.ts";
import { SetBacks } from "./set-backs.ts";

const MINUTE_MS = 60_000;
/** A day more than the log is kept at least. */
const WEEK_MS = 8 * 24 * 60 * MINUTE_MS;
const IN_FLIGHT_MAX = 4;
/** Clocks count in whole milliseconds and step by 1/65,536 of one. */
const CLOCK_SLACK_MS = 10;

export type ClusterReport = {
  readonly events: string;
  readonly requests: number;
  readonly acknowledged: number;
  readonly starts: number;
  readonly simulatedMs: number;
};

export type RunSettings = {
  readonly hash: Hash;
  readonly sites: number;
  readonly sabotage?: PortSabotage | undefined;
  /** Whether a site may join late. */
  readonly joins?: boolean;
  /** What lives are about; anything, unless given. */
  readonly life?: Life;
};

/** One seeded life of a cluster. Throws what it finds wrong. */
export async function runCluster(number: number, settings: RunSettings): Promise<ClusterReport> {
  const { life = "usual" } = settings;
  const seed = new Seed(life === "usual" ? `cluster/${number}` : `${life}/${number}`);
  return await new Run(seed, settings).run();
}

class Run {
  readonly #seed: Seed;
  readonly #plan: Plan;
  readonly #settings: RunSettings;
  readonly #cluster: Cluster;
  readonly #clients: ReadonlyMap<ClusterSite, Client>;
  readonly #setBacks: SetBacks | undefined;

  constructor(seed: Seed, settings: RunSettings) {
    this.#seed = seed.derive("run");
    this.#settings = settings;
    const { life = "usual", joins: mayJoin = false } = settings;
    this.#plan = PLANS[life](seed.derive("plan"), mayJoin);
    const { hash, sites, sabotage } = settings;
    const segmentBytes = this.#seed.pick([16, 64, 256]) * 1024;
    const directIo = this.#seed.pick(["on", "off"] as const);
    const { exchange, guarded, rowsFirst, setBacks, holds } = this.#plan;
    const joins = this.#plan.joins !== undefined;
    const own = { hash, sites, exchange, guarded, joins, rowsFirst, segmentBytes, directIo };
    this.#cluster = new Cluster(seed, { ...own, setBacks, holds, sabotage });
    if (setBacks) this.#setBacks = new SetBacks(seed.derive("set backs"), this.#cluster);
    this.#clients = new Map(
      this.#cluster.sites.map((site) => {
        const own = seed.derive(site.name);
        const now = (): number => site.machine.wall.nowMs();
        return [site, new Client(own, this.#plan, this.#cluster.contents, now)];
      }),
    );
  }

  async run(): Promise<ClusterReport> {
    const cluster = this.#cluster;
    cluster.note(JSON.stringify(this.#plan));
    for (const site of cluster.sites) await site.start();
    await cluster.join();
    if (this.#plan.clocks) this.#setClocks();
    for (const site of cluster.sites) if (!this.#waits(site)) this.#first(site);
    const { acts, ages, joins, removes } = this.#plan;
    const weekAt = ages ? this.#seed.int(acts) : -1;
    const joinAt = joins === undefined ? -1 : this.#seed.int(acts);
    const removeAt = removes ? this.#seed.int(acts) : -1;
    for (let act = 0; act < acts; act++) {
      if (act === weekAt) await this.#age();
      if (act === joinAt) await this.#join();
      if (act === removeAt) await this.#remove();
      // A site that is alone keeps its log for nobody: it is read before it is dropped.
      if (joins !== undefined && act < joinAt) await this.#watchJoiner();
      await this.#act();
      await this.#setBacks?.act();
      await cluster.pass(this.#seed.int(this.#seed.chance(0.02) ? 10_000 : 60));
    }
    await cluster.heal();
    if (this.#plan.ages) await this.#tidyUp();
    await this.#look();
    const { sites } = cluster;
    return {
      events: cluster.events,
      requests: sites.reduce((sum, site) => sum + site.requests, 0),
      acknowledged: sites.reduce((sum, site) => sum + site.acknowledged, 0),
      starts: sites.reduce((sum, site) => sum + site.starts, 0),
      simulatedMs: cluster.time.nowMs,
    };
  }

  #first(site: ClusterSite): void {
    const wish = this.#clients.get(site)?.first();
    if (wish !== undefined) site.send(wish);
  }

  /** An empty site has no clients before it joins. */
  #waits(site: ClusterSite): boolean {
    return this.#plan.joins === "empty" && this.#cluster.members.isOutside(site);
  }

  async #watchJoiner(): Promise<void> {
    const joiner = this.#cluster.sites.at(-1);
    if (joiner !== undefined) await this.#cluster.observe(joiner);
  }

  async #join(): Promise<void> {
    const joiner = this.#cluster.sites.at(-1);
    if (joiner === undefined) return;
    await this.#cluster.admit(joiner, this.#seed.chance(0.7));
    if (this.#seed.chance(0.5)) this.#planCut(joiner);
  }

  /** Two members stay at least, so that there is something to agree about. */
  async #remove(): Promise<void> {
    const { members } = this.#cluster;
    const gone = this.#seed.pick(this.#cluster.sites);
    const dies = this.#seed.chance(0.5);
    if (members.all.length < 3 || !members.isMember(gone)) return;
    await this.#cluster.remove(gone, dies);
    await this.#setBacks?.removed(gone);
  }

  /** By hand, while all goes on. */
  #takeRows(to: ClusterSite): void {
    const { members } = this.#cluster;
    const from = this.#seed.pick(members.all);
    if (!this.#plan.takesRows || from === to || !members.isMember(to)) return;
    this.#cluster.takeRows(from, to);
    if (this.#seed.chance(0.3)) this.#planCut(to);
  }

  async #act(): Promise<void> {
    const site = this.#seed.pick(this.#cluster.sites);
    const dice = this.#seed.int(100);
    if (dice < 62) this.#request(site);
    else if (dice < 80) await this.#pull(site);
    else if (dice < 87) await this.#readSomething(site);
    else if (dice < 90) await this.#cluster.observe(site);
    else if (dice < 92) await this.#keepHouse(site);
    else if (dice < 93) await this.#ghost(site);
    else if (dice < 94 && this.#plan.takesRows) this.#takeRows(site);
    else await this.#fault(site);
  }

  #request(site: ClusterSite): void {
    const { running } = site;
    const client = this.#clients.get(site);
    if (running === undefined || client === undefined || site.inFlight >= IN_FLIGHT_MAX) return;
    if (this.#waits(site)) return;
    site.send(client.next(running.site.store));
  }

  async #pull(to: ClusterSite): Promise<void> {
    const from = this.#seed.pick(this.#cluster.sites);
    if (from !== to) await this.#cluster.pull(from, to);
  }

  /** What is read came whole from one write, and that write is in the log. */
  async #readSomething(site: ClusterSite): Promise<void> {
    const { store } = site.running?.site ?? {};
    if (store === undefined) return;
    const buckets = [...store.buckets()];
    if (buckets.length === 0) return;
    const versions = listVersions(store, this.#seed.pick(buckets).name);
    if (versions.length === 0) return;
    const version = this.#seed.pick(versions);
    if (version.kind !== "object") return;
    const { contents, observer } = this.#cluster;
    const { object } = version;
    const read = () => checkBody(site.name, store, object, contents);
    const done = await site.during("read", () => canRead(read));
    if (done !== true) return;
    await this.#cluster.observe(site);
    if (site.running === undefined || observer.knowsVersion(object.version)) return;
    const what = `${site.name} showed ${object.key}, which is in no log`;
    const { rows } = store;
    const tookRows = rows.floors().length > 0 || rows.bootstrap() !== undefined;
    if (!tookRows && !observer.hasUnsigned(site.name, store)) throw new BrokenPromise(what);
    // It is in the logs of others, of which some may not run now.
    for (const other of this.#cluster.sites) await this.#cluster.observe(other);
    observer.expectVersion(object.version, what);
  }

  async #keepHouse(site: ClusterSite): Promise<void> {
    if (this.#cluster.members.isOutside(site)) return;
    for (let times = 0; times < 2; times++) {
      await site.during("house", ({ site: { store } }) => store.keepHouse());
      // Idle segments are sealed after ten minutes: rarely, for pullers ask on all that time.
      if (this.#seed.chance(this.#plan.idle ? 0.5 : 0)) await this.#cluster.pass(11 * MINUTE_MS);
    }
  }

  async #age(): Promise<void> {
    for (const site of this.#cluster.sites) await this.#cluster.observe(site);
    // A clock that drifts for a week would be an hour ahead.
    for (const { machine } of this.#cluster.sites) machine.wall.set(this.#cluster.nowMs);
    this.#cluster.note("a week passes");
    this.#cluster.time.leap(WEEK_MS);
    await this.#cluster.pass(5_000);
    await this.#tidyUp();
  }

  /** Every site keeps house, often enough to seal what is idle and drop what is dead. */
  async #tidyUp(): Promise<void> {
    const { members, time } = this.#cluster;
    for (let times = 0; times < 3; times++) {
      for (const site of members.all) {
        await this.#cluster.observe(site);
        const report = await site.during("house", ({ site: { store } }) => store.keepHouse());
        this.#cluster.note(`${site.name} keeps house: ${JSON.stringify(report)}`);
      }
      time.leap(11 * MINUTE_MS);
      await this.#cluster.pass(5_000);
    }
  }

  /** A power cut at this moment must leave everything that has been acknowledged. */
  async #ghost(site: ClusterSite): Promise<void> {
    const { running } = site;
    if (running === undefined) return;
    const { origin } = running.site.identity;
    const told = site.acknowledgedUpTo(origin);
    const seed = this.#seed.derive(`ghost ${this.#cluster.time.nowMs}`);
    const work = site.machine.ghost(seed);
    const ghost = await this.#cluster.time.until(work, "a ghost");
    const kept = ghost.site.store.logHead()?.seq ?? 0;
    ghost.clock.stop();
    this.#cluster.note(`a ghost of ${site.name} has ${kept}`);
    if (kept < told) {
      throw new BrokenPromise(`a power cut would leave ${kept} of ${told} at ${site.name}`);
    }
  }

  async #fault(site: ClusterSite): Promise<void> {
    const { crashes, cutSteps, lines, weather, clocks, jumps, backups } = this.#plan;
    const dice = this.#seed.int(10);
    if (site.running === undefined) return await site.start({ rebuildIndex: dice === 0 });
    if (dice < 2 && crashes) site.stop(this.#seed.chance(0.7) ? "power" : "kill");
    else if (dice < 4 && cutSteps) this.#planCut(site);
    else if (dice < 5 && lines) this.#changeLines(site);
    else if (dice < 6 && weather) this.#changeWeather();
    else if (dice < 7 && clocks) this.#setClocks();
    else if (dice < 8 && jumps) this.#jump(site);
    else if (dice < 9 && backups && this.#cluster.members.isMember(site)) await this.#backup(site);
  }

  /** The machine will lose its power in the middle of what it does. */
  #planCut(site: ClusterSite): void {
    const { steps } = site.machine.disk;
    steps.cutPowerAt(steps.steps + 1 + this.#seed.int(30), { hang: true });
  }

  #changeLines(site: ClusterSite): void {
    const other = this.#seed.pick(this.#cluster.sites);
    if (this.#seed.chance(0.4)) this.#cluster.healLines();
    if (other === site) return;
    this.#cluster.cut(site, other);
    if (this.#seed.chance(0.6)) this.#cluster.cut(other, site);
  }

  #changeWeather(): void {
    const chance = (most: number): number =>
      this.#seed.chance(0.5) ? this.#seed.fraction() * most : 0;
    const delayMsMax = this.#seed.pick([0, 5, 50, 500, 5_000]);
    const whole = { loss: chance(0.3), duplicate: chance(0.3), delayMsMax };
    const { network } = this.#cluster;
    network.weather = { ...whole, halfBody: chance(0.3), flip: chance(0.3) };
    this.#cluster.note(`the weather is ${JSON.stringify(network.weather)}`);
  }

  #setClocks(): void {
    for (const { machine } of this.#cluster.sites) {
      if (this.#seed.chance(0.5)) continue;
      machine.wall.set(this.#cluster.nowMs + this.#seed.int(20 * MINUTE_MS) - 10 * MINUTE_MS);
      machine.wall.drift(1 + (this.#seed.fraction() - 0.5) / 100);
    }
  }

  /** A clock is set by an operator, who may say afterwards that it is right. */
  #jump(site: ClusterSite): void {
    if (this.#seed.chance(0.3)) site.running?.site.guard.accept();
    else site.machine.wall.jump(this.#seed.int(16_000) - 8_000);
  }

  async #backup(site: ClusterSite): Promise<void> {
    if (site.backup !== undefined) {
      await this.#cluster.restore(site);
      site.backup = undefined;
      return;
    }
    site.stop("kill");
    site.backup = site.machine.backup();
    await site.start();
  }

  async #look(): Promise<void> {
    const { hash } = this.#settings;
    const cluster = this.#cluster;
    const { observer, contents, time, forgotten } = cluster;
    for (const site of cluster.sites) {
      // Of what a removed site wrote, the others keep what they had; the rest is gone with it.
      site.checkAcknowledged(cluster.members.isRemoved(site) ? "as far as taken" : "all");
    }
    cluster.members.checkKept();
    const { ages: aged, backups, removes, setBacks } = this.#plan;
    const { isHalfTaken: halfTaken } = cluster;
    const mayLose = backups || removes || setBacks;
    const isGivenUp = (dot: Dot): boolean => cluster.isGivenUp(dot);
    const deps = { hash, observer, contents, aged, mayLose, halfTaken, isGivenUp, forgotten };
    const checked = checkAgreement(cluster.members.looked(), deps);
    cluster.note(await time.until(checked, "the look at what there is"));
    checkClocks(observer, cluster.mostMs + CLOCK_SLACK_MS);
    if (this.#seed.chance(0.3)) await this.#rebuild(this.#seed.pick(cluster.members.all));
  }

  /** The index that was kept and the one that is made from the log alone are the same. */
  async #rebuild(site: ClusterSite): Promise<void> {
    const { hash } = this.#settings;
    const { running } = site;
    if (running === undefined) return;
    const kept = dumpRows(running.kv, hash);
    site.stop("kill");
    await site.start({ rebuildIndex: true });
    if (site.running !== undefined) checkRows(kept, dumpRows(site.running.kv, hash));
  }
}
