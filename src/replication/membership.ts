import { toHex } from "../core/bytes.ts";
import { makeSiteKeyPair } from "../core/identity.ts";
import { encodeJoinToken } from "../core/join-token.ts";
import { parseSiteId } from "../core/names.ts";
import { parsePeerAddress } from "../core/peer-address.ts";
import type { MemberSite, SiteRecord } from "../core/site-record.ts";
import type { ClockGuard } from "../storage/clock-guard.ts";
import type { Invitations } from "../storage/invitations.ts";
import { type JoinDeps, type JoinOutcome, joinCluster } from "./join-client.ts";
import { FEATURE_LEVEL } from "./wire-pages.ts";

export type MembershipSettings = {
  /** Where this site tells others to reach it; empty: as was said when it joined. */
  readonly addresses: readonly string[];
  readonly insecure: boolean;
  /** Certificates that others must trust to reach this site; PEM. */
  readonly certificates: readonly string[];
};

export type MembershipDeps = Omit<JoinDeps, "ownRecord"> & {
  readonly invitations: Invitations;
  /**
   * Records of members carry a clock reading, so none is written while this site's clock is not
   * believed.
   */
  readonly guard: Pick<ClockGuard, "refusal">;
};

export type AddressWish = { readonly addresses: readonly string[]; readonly insecure: boolean };

export type InviteOutcome =
  | { readonly outcome: "invited"; readonly token: string; readonly expiresMs: number }
  | { readonly outcome: "refused"; readonly message: string };

export type RemoveOutcome =
  | { readonly outcome: "removed"; readonly site: MemberSite }
  | { readonly outcome: "refused"; readonly message: string };

const WAS_REMOVED = "This site was removed from its cluster.";

/** Who belongs to the cluster, and what this site says of itself. */
export class Membership {
  readonly #deps: MembershipDeps;
  readonly #settings: MembershipSettings;
  #isJoining = false;

  constructor(deps: MembershipDeps, settings: MembershipSettings) {
    this.#deps = deps;
    this.#settings = settings;
  }

  /** Whether this site is becoming a member elsewhere: until then it lets nobody join itself. */
  get isJoining(): boolean {
    return this.#isJoining;
  }

  /** Every site that is or was a member, this one included; empty for a site that is alone. */
  sites(): readonly MemberSite[] {
    return this.#deps.store.sites();
  }

  /**
   * Updates this site's own record, if it is a member and was started with other addresses or as a
   * new incarnation.
   */
  async refresh(): Promise<void> {
    const { store, identity, keyRing } = this.#deps;
    const own = store.site(identity.siteId);
    if (own === undefined) return;
    keyRing.share(identity.siteId);
    // A removed site does not make itself a member again.
    if (own.state === "active")
      await store.putSite(this.#record({ addresses: [], insecure: false }));
  }

  /**
   * Gives out a token by which one other site may join.
   *
   * @throws StorageFault "clock" while this site's clock is not believed.
   */
  async invite(wish: AddressWish, lifeMs: number): Promise<InviteOutcome> {
    this.#requireClock();
    const { store, identity, invitations, clock, random } = this.#deps;
    const record = this.#record(wish);
    const problem = addressProblem(record);
    if (problem !== undefined) return { outcome: "refused", message: problem };
    if (this.#isRemoved()) return { outcome: "refused", message: WAS_REMOVED };
    const secret = random.bytes(32);
    const expiresMs = clock.nowMs() + lifeMs;
    if (!(await invitations.issue(makeSiteKeyPair(secret).publicKey, expiresMs))) {
      return { outcome: "refused", message: "Too many tokens are open; wait until some are late." };
    }
    await store.putSite(record);
    this.#deps.keyRing.share(identity.siteId);
    const token = encodeJoinToken({
      ...{ clusterId: identity.clusterId, siteId: identity.siteId, siteName: record.name },
      ...{ publicKey: record.publicKey, addresses: record.addresses },
      ...{ certificates: record.certificates, insecure: record.insecure, expiresMs },
      secret: toHex(secret),
    });
    return { outcome: "invited", token, expiresMs };
  }

  /** @throws PeerFault as `joinCluster` does, and StorageFault as `invite` does. */
  async join(token: string, wish: AddressWish): Promise<JoinOutcome> {
    this.#requireClock();
    const record = this.#record(wish);
    const problem = addressProblem(record);
    if (problem !== undefined) return { outcome: "refused", message: problem };
    if (this.#isJoining) return { outcome: "refused", message: "This site is joining already." };
    this.#isJoining = true;
    try {
      const ownRecord = () => this.#record(wish);
      const joined = await joinCluster({ ...this.#deps, ownRecord }, token);
      if (joined.outcome === "joined") this.#deps.keyRing.share(this.#deps.identity.siteId);
      return joined;
    } finally {
      this.#isJoining = false;
    }
  }

  /**
   * Removes a site by name or id, whether it runs or not; nothing it writes is taken any more.
   *
   * @throws StorageFault as `invite` does.
   */
  async remove(name: string): Promise<RemoveOutcome> {
    this.#requireClock();
    const { store, identity } = this.#deps;
    // What it says would be told to all when it comes back, and hold.
    if (this.#isRemoved()) return { outcome: "refused", message: WAS_REMOVED };
    const [found, ...others] = this.#find(name);
    if (others.length > 0) {
      return { outcome: "refused", message: `Several sites are called ${name}: give the id.` };
    }
    if (found === undefined) {
      return { outcome: "refused", message: `There is no active site called ${name}.` };
    }
    if (found.id === identity.siteId) {
      return { outcome: "refused", message: "A site is removed by another one, not by itself." };
    }
    const { removedOrigins: _, ...record } = found;
    await store.putSite({ ...record, state: "removed" });
    return { outcome: "removed", site: store.site(found.id) ?? found };
  }

  #isRemoved(): boolean {
    const { store, identity } = this.#deps;
    return store.site(identity.siteId)?.state === "removed";
  }

  #requireClock(): void {
    const refusal = this.#deps.guard.refusal();
    if (refusal !== undefined) throw refusal;
  }

  /** The active member with this id, or else all with this name: sites may be given new ones. */
  #find(name: string): readonly MemberSite[] {
    const id = parseSiteId(name);
    const active = this.sites().filter(({ state }) => state === "active");
    const named = active.find((site) => site.id === id);
    return named === undefined ? active.filter((site) => site.name === name) : [named];
  }

  #record(wish: AddressWish): SiteRecord {
    const { store, identity } = this.#deps;
    const before = store.site(identity.siteId);
    const settings = this.#settings;
    const chosen = [wish, settings].find(({ addresses }) => addresses.length > 0);
    const addresses = chosen?.addresses ?? before?.addresses ?? [];
    const allows = wish.insecure || settings.insecure;
    return {
      ...{ id: identity.siteId, name: identity.name, publicKey: identity.keyPair.publicKey },
      addresses: addresses.map(canonical),
      certificates: settings.certificates,
      origins: [identity.origin],
      ...{ state: "active", featureLevel: FEATURE_LEVEL },
      insecure: allows || (chosen === undefined && before?.insecure === true),
    };
  }
}

function canonical(address: string): string {
  const parsed = parsePeerAddress(address);
  return parsed.outcome === "address" ? parsed.origin : address;
}

/** Why others could not reach a site; undefined when they can. */
function addressProblem({ addresses, insecure }: SiteRecord): string | undefined {
  if (addresses.length === 0) {
    return "Say where other sites reach this one: --address https://HOST:PORT";
  }
  for (const address of addresses) {
    const parsed = parsePeerAddress(address);
    if (parsed.outcome === "bad") return `${address} is no address of a site: ${parsed.problem}.`;
    if (parsed.insecure && !insecure) {
      return `${address} would send everything in the clear: use https, or say --insecure-peer.`;
    }
  }
  return undefined;
}
