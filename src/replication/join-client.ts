import { accessKeyContext } from "../core/access-key.ts";
import { compareBytes, parseHex, toHex } from "../core/bytes.ts";
import { signBytes } from "../core/ed25519.ts";
import { makeSiteKeyPair } from "../core/identity.ts";
import { decodeJoinToken, type JoinToken } from "../core/join-token.ts";
import { LIMITS } from "../core/limits.ts";
import { type ClusterId, parseAccessKeyId, type SiteId } from "../core/names.ts";
import { type KeyRing, unsealSecret } from "../core/seal.ts";
import { makeBoxKeyPair, openBox } from "../core/sealed-box.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Network } from "../ports/network.ts";
import type { Random } from "../ports/random.ts";
import type { ClusterKeys } from "../storage/cluster-keys.ts";
import { type RewrapPosition, rewrapStep } from "../storage/rewrap.ts";
import type { SiteIdentity } from "../storage/site-identity.ts";
import type { Store } from "../storage/store.ts";
import { JOIN_PATH, joinStatement, ringContext } from "./join-server.ts";
import { createPeerClient, type PeerResponse, readProblem } from "./peer-client.ts";
import { bareRecord, decodeRing, type JoinOffer, parseOffer, toJson } from "./wire-join.ts";

export type JoinDeps = {
  readonly store: Store;
  readonly identity: SiteIdentity;
  readonly keyRing: ClusterKeys;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  /** What this site says of itself. */
  readonly ownRecord: () => SiteRecord;
  readonly adoptCluster: (clusterId: ClusterId) => Promise<void>;
  readonly retireOrigin: () => Promise<void>;
  /**
   * Handles that the cluster has taken this site in, before this site says so itself. Whether it
   * takes over all that others hold before it says of anything that it is not there.
   */
  readonly joined: (inviting: SiteId) => Promise<boolean>;
};

export type JoinOutcome =
  | {
      readonly outcome: "joined";
      readonly peer: string;
      /** Secrets and envelopes that were sealed anew. */
      readonly resealed: number;
      readonly unreadable: number;
      /** Whether this site was empty, and says of nothing that it is not there until it has all. */
      readonly takesOver: boolean;
    }
  | { readonly outcome: "already"; readonly peer: string }
  | { readonly outcome: "refused"; readonly message: string };

const ANSWER_MS_MAX = 30_000;

/**
 * Makes this site a member of the cluster that a token is of. Whatever may be refused is refused
 * before anything changes; after that every step can be taken again, so that a join which was cut
 * off is finished by trying it once more.
 *
 * @throws PeerFault when the inviting site cannot be reached or does not take the token.
 */
export async function joinCluster(deps: JoinDeps, text: string): Promise<JoinOutcome> {
  const token = decodeJoinToken(text.trim());
  if (token === undefined) return refused("That is no token, or it was not copied whole.");
  const obstacle = findObstacle(deps, token);
  if (obstacle !== undefined) return obstacle;
  const box = makeBoxKeyPair(deps.random.bytes(32));
  const call = createCaller(deps, token, box.publicKey);
  const answer = await call("offer");
  if (answer.status !== 200) return explainRefusal(deps, answer);
  const offer = parseOffer(answer.body);
  const context = ringContext(token.clusterId, deps.identity.siteId);
  const sealed = Buffer.from(offer?.ring ?? "", "base64");
  const opened = openBox(box, sealed, context);
  const ring = opened === undefined ? undefined : decodeRing(opened);
  if (offer === undefined || ring === undefined) {
    return refused("The inviting site answers with something that is no offer.");
  }
  if (offer.isMember && isMemberOf(deps, token)) {
    const inviting = offer.sites.find(({ id }) => id === token.siteId);
    const refusal = await tellWhere(deps, inviting, call);
    return refusal ?? { outcome: "already", peer: token.siteName };
  }
  const taken = findCollisions(deps, offer, ring);
  if (taken.length > 0) {
    return refused(
      `Access keys of both sites have the same id and different secrets: ${taken.join(", ")}. ` +
        "Delete them at one of the two first.",
    );
  }
  await deps.keyRing.adopt(ring);
  await deps.adoptCluster(token.clusterId);
  const resealed = await resealAll(deps);
  for (const site of offer.sites) await deps.store.putSite(site);
  const committed = await call("commit");
  if (committed.status !== 200) return explainRefusal(deps, committed);
  const takesOver = await deps.joined(token.siteId);
  await deps.store.putSite(deps.ownRecord());
  return { outcome: "joined", peer: token.siteName, ...resealed, takesOver };
}

/**
 * Each of two members says where it is now. One that has moved cannot be asked by those who know
 * its former address, and so would never tell them by its log.
 */
async function tellWhere(
  deps: JoinDeps,
  inviting: SiteRecord | undefined,
  call: ReturnType<typeof createCaller>,
): Promise<JoinOutcome | undefined> {
  const isMember = inviting !== undefined && deps.store.site(inviting.id)?.state === "active";
  if (isMember) await deps.store.putSite(inviting);
  await deps.store.putSite(deps.ownRecord());
  const told = await call("commit");
  return told.status === 200 ? undefined : await explainRefusal(deps, told);
}

function refused(message: string): JoinOutcome {
  return { outcome: "refused", message };
}

function findObstacle(deps: JoinDeps, token: JoinToken): JoinOutcome | undefined {
  const { identity, store, clock } = deps;
  if (token.siteId === identity.siteId) return refused("This site gave the token out itself.");
  const isElsewhere =
    identity.clusterId !== token.clusterId && store.site(identity.siteId)?.state === "active";
  const others = store.sites().filter(({ id, state }) => {
    return id !== identity.siteId && state === "active";
  });
  if (isElsewhere && others.length > 0) {
    const names = others.map(({ name }) => name).join(", ");
    return refused(`This site has peers in its own cluster (${names}): it cannot leave them.`);
  }
  if (token.expiresMs <= clock.nowMs()) {
    return refused("The token is late: ask for a new one with `atoll repl-invite` there.");
  }
  const shared = deps.ownRecord().addresses.find((address) => token.addresses.includes(address));
  if (shared !== undefined) {
    const message = `At ${shared} others reach ${token.siteName}: say where they reach this site.`;
    return refused(message);
  }
  return undefined;
}

/** Whether this site believes so; one that was removed has perhaps not heard of it. */
function isMemberOf({ identity, store }: JoinDeps, { clusterId }: JoinToken): boolean {
  return identity.clusterId === clusterId && store.site(identity.siteId)?.state === "active";
}

/** Asks the inviting site, as the holder of the token. */
function createCaller(deps: JoinDeps, token: JoinToken, sealTo: string) {
  const { network, clock, random, identity } = deps;
  const keyPair = makeSiteKeyPair(parseHex(token.secret, 32) ?? new Uint8Array(32));
  const client = createPeerClient({
    ...{ network, clock, random, keyPair },
    identity: {
      ...{ clusterId: token.clusterId, siteId: keyPair.publicKey, origin: identity.origin },
    },
  });
  const peer = {
    ...{ id: token.siteId, name: token.siteName, publicKey: token.publicKey },
    ...{ addresses: token.addresses, certificates: token.certificates, insecure: token.insecure },
  };
  return (phase: "offer" | "commit"): Promise<PeerResponse> => {
    const record = { ...deps.ownRecord(), origins: [identity.origin], state: "active" as const };
    const site = bareRecord(record);
    const statement = joinStatement(keyPair.publicKey, site, sealTo);
    const proof = toHex(signBytes(identity.keyPair, statement));
    return client.request(peer, {
      ...{ method: "POST", path: JOIN_PATH, body: toJson({ phase, site, sealTo, proof }) },
      ...{ bytesMax: LIMITS.replicationAnswerBytesMax, timeoutMs: ANSWER_MS_MAX },
    });
  };
}

async function explainRefusal(deps: JoinDeps, answer: PeerResponse): Promise<JoinOutcome> {
  const { reason, message } = readProblem(answer.body);
  if (reason !== "origin-removed") return refused(message);
  await deps.retireOrigin();
  return refused(
    "This site was removed from that cluster. It will continue as a new origin: start it again, " +
      "and join again with the same token.",
  );
}

/** Ids that both sites know with different secrets; a revoked one stays revoked in any case. */
function findCollisions({ store, keyRing }: JoinDeps, offer: JoinOffer, ring: KeyRing): string[] {
  return offer.accessKeys.flatMap(({ id, revoked, sealed }) => {
    const key = parseAccessKeyId(id);
    const own = key === undefined ? undefined : store.accessKey(key);
    if (key === undefined || own === undefined || revoked || own.state === "revoked") return [];
    const context = accessKeyContext(key);
    const ours = unsealSecret(keyRing, own.sealedSecret, context);
    const theirs = unsealSecret(ring, Buffer.from(sealed, "base64"), context);
    const isSame = ours !== undefined && theirs !== undefined && compareBytes(ours, theirs) === 0;
    return isSame ? [] : [id];
  });
}

/** Seals everything anew that the former ring sealed, before any other site gets to see it. */
async function resealAll(deps: JoinDeps): Promise<{ resealed: number; unreadable: number }> {
  let resealed = 0;
  let unreadable = 0;
  let after: RewrapPosition | undefined;
  do {
    const step = await rewrapStep(deps, after, LIMITS.rewrapVersionsMax);
    resealed += step.accessKeys + step.rewrapped;
    unreadable += step.unreadable;
    after = step.next;
  } while (after !== undefined);
  return { resealed, unreadable };
}
