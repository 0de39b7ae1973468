import { verifyBytes } from "../core/ed25519.ts";
import type { ClusterId, OriginId, SiteId } from "../core/names.ts";
import type { KeyRing } from "../core/seal.ts";
import { sealBox } from "../core/sealed-box.ts";
import type { MemberSite, SiteRecord } from "../core/site-record.ts";
import type { Random } from "../ports/random.ts";
import type { ClockGuard } from "../storage/clock-guard.ts";
import type { Invitations } from "../storage/invitations.ts";
import { Line } from "../storage/line.ts";
import type { Store } from "../storage/store.ts";
import { type InvitedRoute, type PeerAnswer, problem } from "./peer-server.ts";
import { bareRecord, encodeRing, type JoinRequest, parseJoinRequest, toJson } from "./wire-join.ts";

export type JoinServerDeps = {
  readonly store: Pick<Store, "site" | "sites" | "putSite" | "accessKeys">;
  readonly identity: {
    readonly clusterId: ClusterId;
    readonly siteId: SiteId;
    readonly origin: OriginId;
  };
  readonly invitations: Invitations;
  readonly keyRing: KeyRing;
  readonly random: Random;
  readonly guard: Pick<ClockGuard, "refusal">;
  /** Whether this site is joining another cluster just now. */
  readonly isJoining: () => boolean;
};

export const JOIN_PATH = "/v1/repl/join";
const SEED_BYTES = 32;
const BODY_BYTES_MAX = 128 * 1024;

/** What a joiner's own key signs: the token that it holds, and who it is. */
export function joinStatement(
  invitation: string,
  site: Pick<SiteRecord, "id" | "origins">,
  sealTo: string,
): Buffer {
  const words = [invitation, site.id, site.origins.join(","), sealTo];
  return Buffer.from(`atoll-join-proof-1\n${words.join("\n")}`);
}

/** What the box with the key ring is sealed for. */
export function ringContext(clusterId: ClusterId, receiver: SiteId): string {
  return `key ring of ${clusterId} for ${receiver}`;
}

/** Answers a site that was invited: first with what it needs, then by making it a member. */
export function joinRoute(deps: JoinServerDeps): InvitedRoute {
  /** What is found free must not be taken by another one before it is stored. */
  const line = new Line();
  return {
    ...{ method: "POST", path: JOIN_PATH, bodyBytesMax: BODY_BYTES_MAX },
    answer: async ({ body, invitation }) => {
      const request = parseJoinRequest(body);
      if (request === undefined) return problem(400, "malformed", "That is no request to join.");
      const { site, sealTo, proof } = request;
      const statement = joinStatement(invitation, site, sealTo);
      if (!verifyBytes(site.publicKey, statement, Buffer.from(proof, "hex"))) {
        return problem(400, "malformed", "The site does not prove that the key is its own.");
      }
      return line.run(() => judge(deps, request, invitation));
    },
  };
}

async function judge(
  deps: JoinServerDeps,
  request: JoinRequest,
  invitation: string,
): Promise<PeerAnswer> {
  if (deps.isJoining()) {
    // Of two that join each other at once each would end in the cluster that the other has left.
    return problem(409, "joining", "This site is joining another one just now: try again then.");
  }
  const refusal = findConflict(deps, request) ?? findClockProblem(deps);
  if (refusal !== undefined) return refusal;
  const isNews = !isKnown(deps, request.site);
  if (isNews && !(await deps.invitations.bind(invitation, request.site.id))) {
    return problem(403, "token", "The token was used by another site, or is late.");
  }
  return request.phase === "offer" ? makeOffer(deps, request) : admit(deps, request);
}

/**
 * Whether a site is a member already, and says of itself what is known here: a token that was typed
 * there by mistake stays good for the site that it is meant for.
 */
function isKnown({ store }: JoinServerDeps, { origins, ...site }: SiteRecord): boolean {
  const known = store.site(site.id);
  if (known?.state !== "active" || !origins.every((one) => known.origins.includes(one))) {
    return false;
  }
  const [before, now] = [known, site].map((one) => bareRecord({ ...one, origins: [] }));
  return JSON.stringify(before) === JSON.stringify(now);
}

function findConflict(deps: JoinServerDeps, { site }: JoinRequest): PeerAnswer | undefined {
  const sites = deps.store.sites();
  if (site.id === deps.identity.siteId) {
    return problem(409, "same-site", "A copy of this very site cannot join it.");
  }
  const known = deps.store.site(site.id);
  if (known !== undefined && known.publicKey !== site.publicKey) {
    return problem(409, "id-taken", "A site with this id has another key.");
  }
  const removed = sites.some(({ removedOrigins }) => isAmong(site.origins, removedOrigins));
  if (removed) {
    return problem(409, "origin-removed", "This incarnation of the site was removed for ever.");
  }
  const others = sites.filter(({ id }) => id !== site.id);
  if (others.some(({ origins }) => isAmong(site.origins, origins))) {
    return problem(409, "origin-taken", "Another site has this origin: one of the two is a copy.");
  }
  const active = others.filter(({ state }) => state === "active");
  if (active.some(({ name }) => name === site.name)) {
    return problem(409, "name-taken", `There is a site called ${site.name} already.`);
  }
  return undefined;
}

/** A member that this site told of in the year 2200 would be none elsewhere until then. */
function findClockProblem({ guard }: JoinServerDeps): PeerAnswer | undefined {
  const refusal = guard.refusal();
  return refusal === undefined ? undefined : problem(409, "clock", `${refusal.message}.`);
}

function isAmong(origins: readonly OriginId[], all: readonly OriginId[]): boolean {
  return origins.some((origin) => all.includes(origin));
}

function makeOffer(deps: JoinServerDeps, { site, sealTo }: JoinRequest): PeerAnswer {
  const { identity, keyRing, store, random } = deps;
  const context = ringContext(identity.clusterId, site.id);
  const box = sealBox(sealTo, encodeRing(keyRing), context, random.bytes(SEED_BYTES));
  if (box === undefined) return problem(400, "malformed", "The key to seal to is none.");
  const own = store.site(identity.siteId);
  if (own === undefined) return problem(409, "not-ready", "This site has no record of itself.");
  const others = store.sites().filter(({ id, state }) => {
    return id !== own.id && id !== site.id && state === "active";
  });
  const accessKeys = [...store.accessKeys()].map(({ id, state, sealedSecret }) => ({
    ...{ id, revoked: state === "revoked" },
    sealed: Buffer.from(sealedSecret).toString("base64"),
  }));
  const ring = Buffer.from(box).toString("base64");
  const known = store.site(site.id);
  const isMember = known?.state === "active" && isAmong(site.origins, known.origins);
  return json(toJson({ sites: [own, ...others].map(bareRecord), isMember, ring, accessKeys }));
}

async function admit({ store }: JoinServerDeps, { site }: JoinRequest): Promise<PeerAnswer> {
  await store.putSite(site);
  const member: MemberSite | undefined = store.site(site.id);
  return json(Buffer.from(JSON.stringify({ state: member?.state ?? "removed" })));
}

function json(body: Buffer): PeerAnswer {
  return { status: 200, body, headers: [["content-type", "application/json"]] };
}
