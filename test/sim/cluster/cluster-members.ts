import type { OriginId, Seq, SiteId } from "../../../src/core/names.ts";
import type { SiteRecord } from "../../../src/core/site-record.ts";
import { adoptCluster } from "../../../src/storage/site-identity.ts";
import { SIM_DIRECTORY } from "../sim-machine.ts";
import { BrokenPromise } from "../store-check.ts";
import { furthest, type Looked } from "./checkers.ts";
import type { Running } from "./cluster-machine.ts";
import type { ClusterSite } from "./cluster-site.ts";
import { siteRecordOf } from "./engine.ts";

/** A site that was removed for ever, and how far the others had its logs at that moment. */
type Removed = { readonly id: SiteId; readonly heads: ReadonlyMap<OriginId, Seq> };

/** Which sites belong to the cluster: one may join late, and one may be removed. */
export class ClusterMembers {
  readonly #sites: readonly ClusterSite[];
  readonly #note: (event: string) => void;
  readonly #outside = new Set<ClusterSite>();
  readonly #removed = new Map<ClusterSite, Removed>();
  readonly #records = new Map<ClusterSite, SiteRecord>();

  constructor(sites: readonly ClusterSite[], note: (event: string) => void) {
    this.#sites = sites;
    this.#note = note;
  }

  /** Members, whether they run or not. */
  get all(): ClusterSite[] {
    return this.#sites.filter((site) => !this.#outside.has(site) && !this.#removed.has(site));
  }

  isMember(site: ClusterSite): boolean {
    return !this.#outside.has(site) && !this.#removed.has(site);
  }

  isOutside(site: ClusterSite): boolean {
    return this.#outside.has(site);
  }

  isRemoved(site: ClusterSite): boolean {
    return this.#removed.has(site);
  }

  /** The site is alone until it joins. */
  leaveOut(site: ClusterSite): void {
    this.#outside.add(site);
  }

  /** What runs of the members, for the checkers. */
  looked(): Looked[] {
    return this.all.flatMap(({ name, running }) =>
      running === undefined ? [] : [{ name, running }],
    );
  }

  /** A member's program has started: it says who it is. */
  started(site: ClusterSite, { site: own }: Running): void {
    this.#records.set(site, siteRecordOf(own));
  }

  /** All members are told of each other. */
  async join(): Promise<void> {
    const [first] = this.looked();
    if (first === undefined) return;
    const { clusterId } = first.running.site.identity;
    for (const site of this.all) {
      await site.during("joining", async ({ site: { identity, store } }) => {
        await adoptCluster(site.machine.disk, SIM_DIRECTORY, identity, clusterId);
        for (const member of this.all) await store.putSite(this.#recordOf(member));
      });
    }
  }

  /** A site joins, by way of one member: whatever dies meanwhile is started and asked again. */
  async admit(joiner: ClusterSite): Promise<ClusterSite> {
    const [via] = [...this.all].sort((one) => (one.running === undefined ? 1 : -1));
    if (via === undefined) throw new Error("nobody is there to join");
    while (!(await this.#introduce(joiner, via))) {
      for (const site of [joiner, via]) if (site.running === undefined) await site.start();
    }
    this.#outside.delete(joiner);
    // What a backup of before knows is another cluster.
    joiner.backup = undefined;
    joiner.snapshot = undefined;
    this.#note(`${joiner.name} joins by way of ${via.name}`);
    return via;
  }

  async #introduce(joiner: ClusterSite, via: ClusterSite): Promise<boolean> {
    for (const { running } of [joiner, via]) running?.site.guard.accept();
    const offer = await via.during("its offer", async ({ site: { identity, store } }) => {
      const active = store.sites().filter(({ state }) => state === "active");
      const sites = active.map(({ removedOrigins: _, ...record }) => record);
      return { clusterId: identity.clusterId, sites };
    });
    if (offer === undefined) return false;
    const told = await joiner.during("joining", async ({ site: own }) => {
      const { disk } = joiner.machine;
      await adoptCluster(disk, SIM_DIRECTORY, own.identity, offer.clusterId);
      for (const record of offer.sites) await own.store.putSite(record);
      await own.store.putSite(siteRecordOf(own));
      return true;
    });
    if (told === undefined) return false;
    const taken = await via.during("an admission", async ({ site: { store } }) => {
      await store.putSite(this.#recordOf(joiner));
      return true;
    });
    return taken === true;
  }

  /** A member removes another one for ever, and what the members have of it must stay. */
  async remove(gone: ClusterSite, observe: (site: ClusterSite) => Promise<void>): Promise<void> {
    if (gone.running === undefined) await gone.start();
    await observe(gone);
    const { id } = this.#recordOf(gone);
    const origins = new Set(this.#recordOf(gone).origins);
    const others = this.looked().filter(({ name }) => name !== gone.name);
    const heads = new Map([...furthest(others)].filter(([origin]) => origins.has(origin)));
    this.#removed.set(gone, { id, heads });
    gone.backup = undefined;
    this.#note(`${gone.name} is removed at ${JSON.stringify([...heads])}`);
    for (const site of this.all) if (await this.#sayRemoved(site, id)) return;
  }

  async #sayRemoved(site: ClusterSite, id: SiteId): Promise<boolean> {
    site.running?.site.guard.accept();
    const done = await site.during("a removal", async ({ site: { store } }) => {
      const record = store.site(id);
      if (record === undefined || record.state === "removed") return true;
      const { removedOrigins: _, ...rest } = record;
      await store.putSite({ ...rest, state: "removed" });
      return true;
    });
    return done === true;
  }

  /** Says again who joined and who was removed: backups may have been put back that never heard. */
  async remind(): Promise<void> {
    for (const site of this.all) {
      for (const { id } of this.#removed.values()) await this.#sayRemoved(site, id);
      site.running?.site.guard.accept();
      await site.during("a reminder", async ({ site: { store } }) => {
        for (const member of this.all) await store.putSite(this.#recordOf(member));
      });
    }
  }

  /** A site is what it was before: what only it had of a removed one is gone. */
  setBack(): void {
    const now = furthest(this.looked());
    for (const [site, removed] of this.#removed) {
      const heads = new Map<OriginId, Seq>();
      for (const [origin, before] of removed.heads) {
        const seq = now.get(origin);
        if (seq === undefined) continue;
        heads.set(origin, before);
        if (seq < before) heads.set(origin, seq);
      }
      this.#removed.set(site, { ...removed, heads });
    }
  }

  /** Throws when something of a removed site is gone that another one had. */
  checkKept(): void {
    const heads = furthest(this.looked());
    for (const [site, removed] of this.#removed) {
      for (const [origin, seq] of removed.heads) {
        if ((heads.get(origin) ?? 0) >= seq) continue;
        throw new BrokenPromise(`of ${site.name}, ${origin} was taken to ${seq} and is not there`);
      }
    }
  }

  #recordOf(site: ClusterSite): SiteRecord {
    const record = this.#records.get(site);
    if (record === undefined) throw new Error(`${site.name} has never been started`);
    return record;
  }
}
