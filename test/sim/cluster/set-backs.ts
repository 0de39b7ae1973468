import { type OriginId, parseSeq } from "../../../src/core/names.ts";
import type { OriginHead } from "../../../src/storage/replica.ts";
import type { WithdrawnFrom } from "../../../src/storage/withdrawn.ts";
import type { Seed } from "../seed.ts";
import type { Cluster } from "./cluster.ts";
import type { Snapshot } from "./cluster-machine.ts";
import type { ClusterSite } from "./cluster-site.ts";

/** Longer than any message is on its way. */
const OFF_MS = 10_000;

/**
 * Keeps snapshots of disks, and puts them back in their place: nothing tells the site that it is an
 * earlier one of itself, but for what its peers know of it. They may be out of reach.
 */
export class SetBacks {
  readonly #seed: Seed;
  readonly #cluster: Cluster;

  constructor(seed: Seed, cluster: Cluster) {
    this.#seed = seed;
    this.#cluster = cluster;
  }

  /** Does something of that, or nothing, now. */
  async act(): Promise<void> {
    const { members } = this.#cluster;
    const site = this.#seed.pick(members.all);
    const dice = this.#seed.int(100);
    if (dice < 8) await this.#keep(site);
    else if (dice < 18) await this.#putBack(site);
    else if (dice < 30 && site.running === undefined) await site.start();
    else if (dice < 34) this.#cluster.healLines();
  }

  async #keep(site: ClusterSite): Promise<void> {
    const { time } = this.#cluster;
    const { machine, running } = site;
    const disk = machine.copy(this.#seed.derive(`snapshot ${time.nowMs}`), running !== undefined);
    const found = await time.until(machine.peek(disk), "a look at a snapshot");
    // What has been written and not synced may be in it, and be gone after the next power cut.
    const shown = running?.site.store.replica.received() ?? found.received;
    if ([...found.received].some(([origin, { seq }]) => seq > seqOf(shown, origin))) return;
    site.snapshot = { disk, ...found, fork: site.fork };
    this.#cluster.note(`${site.name} is kept at ${textOf(found.received)}`);
  }

  async #putBack(site: ClusterSite): Promise<void> {
    const { members, observer } = this.#cluster;
    const { snapshot, running } = site;
    if (snapshot === undefined || site.fork !== undefined) return;
    if (this.#mayTakeFork(site, snapshot)) return;
    for (const one of members.all) await this.#cluster.observe(one);
    if (site.running !== undefined) site.stop("kill");
    // What it has sent arrives by now, or never.
    await this.#cluster.pass(OFF_MS);
    const others: Heads[] = [];
    for (const other of members.all.filter((one) => one !== site)) {
      // What one has that does not run may not be synced, and not be there when it does.
      if (other.running === undefined) await other.start();
      await this.#cluster.observe(other);
      const { replica } = other.running?.site.store ?? {};
      if (replica === undefined) return;
      others.push(new Map(replica.received()));
    }
    const { origin, received } = snapshot;
    // From before a removal, a site still hears what it wrote from the one that was removed.
    const fork = snapshot.fork ?? forkOf(snapshot, [...others, ...(await this.#headsApart())]);
    if (fork !== undefined && others.some((one) => seqOf(one, origin) < fork.from)) {
      return;
    }
    site.machine.setBack(snapshot);
    site.fork = fork;
    observer.setBack(site.name, [origin, running?.site.identity.origin ?? origin]);
    observer.keepOnly([received, ...others]);
    // What only a removed site holds is gone, and shows again in its log if it runs on.
    for (const one of this.#cluster.sites) if (!members.isMember(one)) observer.forget(one.name);
    for (const one of this.#cluster.sites) one.setBack(one === site ? received : undefined);
    const known = others.map(textOf).join(" and ");
    this.#cluster.note(`${site.name} is set back to ${textOf(received)}, others know ${known}`);
    if (this.#seed.chance(0.6)) this.#cutOff(site);
    await site.start();
    members.setBack();
  }

  /** A site was removed for ever: what only it still had of what others lost is gone with it. */
  async removed(gone: ClusterSite): Promise<void> {
    const { members, observer, sites } = this.#cluster;
    const heads: Heads[] = [];
    for (const site of members.all) {
      // As above: what one has that does not run may not be there when it does.
      if (site.running === undefined) await site.start();
      await this.#cluster.observe(site);
      const { replica } = site.running?.site.store ?? {};
      if (replica === undefined) return;
      heads.push(new Map(replica.received()));
    }
    observer.keepOnly(heads);
    observer.forget(gone.name);
    for (const site of sites) if (site !== gone) site.setBack(undefined);
  }

  /** What sites hold that were removed: they may run on. */
  async #headsApart(): Promise<Heads[]> {
    const { members, time, sites } = this.#cluster;
    const apart: Heads[] = [];
    for (const site of sites) {
      if (members.isMember(site)) continue;
      const { machine, running } = site;
      const what = "a look at a site that was removed";
      const { received } = await (running === undefined
        ? time.until(machine.peek(machine.disk), what)
        : { received: running.site.store.replica.received() });
      apart.push(new Map(received));
    }
    return apart;
  }

  /**
   * Whether this site would know so little of a site that writes another history of its own that it
   * would take that: it would stand apart from all others for ever, which is known (0033).
   */
  #mayTakeFork(site: ClusterSite, { received }: Snapshot): boolean {
    return this.#cluster.sites.some(({ fork, name }) => {
      if (fork === undefined || name === site.name) return false;
      return seqOf(received, fork.origin) < fork.from;
    });
  }

  #cutOff(site: ClusterSite): void {
    for (const other of this.#cluster.sites) {
      if (other === site || this.#seed.chance(0.2)) continue;
      this.#cluster.cut(site, other);
      this.#cluster.cut(other, site);
    }
  }
}

/** From where on a site writes what others have something else for; undefined when they have not. */
function forkOf(
  { origin, received }: Pick<Snapshot, "origin" | "received">,
  others: readonly Heads[],
): WithdrawnFrom | undefined {
  const from = parseSeq(seqOf(received, origin) + 1);
  const isKnown = from !== undefined && others.some((one) => seqOf(one, origin) >= from);
  return isKnown ? { origin, from } : undefined;
}

function seqOf(heads: Heads, origin: OriginId): number {
  return heads.get(origin)?.seq ?? 0;
}

type Heads = ReadonlyMap<OriginId, OriginHead>;

function textOf(heads: Heads): string {
  return [...heads].map(([origin, { seq }]) => `${origin.slice(0, 4)}:${seq}`).join(" ");
}
