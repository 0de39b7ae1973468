import { z } from "zod";
import type { BucketName } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import { type AdminAnswer, type AdminCall, adminProblem, decodedPart } from "./admin-call.ts";
import { readWish } from "./read-wish.ts";

/** Who belongs to the cluster, as the operator asks; replication answers. */
export type SitesDesk = {
  readonly ownId: string;
  readonly clusterId: () => string;
  sites(): readonly MemberSite[];
  invite(wish: AddressWish, lifeMs: number): Promise<InviteOutcome>;
  join(token: string, wish: AddressWish): Promise<JoinOutcome>;
  remove(name: string): Promise<RemoveOutcome>;
  /** Messages of peers that were refused since the start, by reason. */
  refusals(): ReadonlyMap<string, number>;
};

type AddressWish = { readonly addresses: readonly string[]; readonly insecure: boolean };
type Refused = { readonly outcome: "refused"; readonly message: string };
type InviteOutcome =
  | { readonly outcome: "invited"; readonly token: string; readonly expiresMs: number }
  | Refused;
type JoinOutcome =
  | {
      readonly outcome: "joined";
      readonly peer: string;
      readonly resealed: number;
      readonly unreadable: number;
      readonly takesOver: boolean;
    }
  | { readonly outcome: "already"; readonly peer: string }
  | Refused;
type RemoveOutcome =
  | {
      readonly outcome: "removed";
      readonly site: MemberSite;
      /** Buckets that it is still the home of. */
      readonly homes: readonly BucketName[];
    }
  | Refused;

export const SITES_PATH = "/v1/admin/sites";

const HOUR_MS = 3600 * 1000;
const reach = {
  addresses: z.array(z.string().max(300)).max(8).default([]),
  insecure: z.boolean().default(false),
};
const INVITE = z.strictObject({ ...reach, hours: z.number().min(0.01).max(168).default(24) });
const JOIN = z.strictObject({ ...reach, token: z.string().max(100_000) });

/** Lists, invites, joins and removes sites. */
export function routeSites(
  desk: SitesDesk,
  { method, path, body }: AdminCall,
): AdminAnswer | Promise<AdminAnswer> {
  const name = path.slice(SITES_PATH.length + 1);
  switch (`${method} ${name}`) {
    case "GET ":
      return list(desk);
    case "POST invite":
      return invite(desk, body);
    case "POST join":
      return join(desk, body);
  }
  if (method === "DELETE" && name !== "") return remove(desk, decodedPart(name));
  return adminProblem(405, "Sites are listed with GET, removed with DELETE, invited with POST.");
}

function list(desk: SitesDesk): AdminAnswer {
  const refused = [...desk.refusals()].sort(([left], [right]) => (left < right ? -1 : 1));
  return {
    status: 200,
    body: {
      cluster: desk.clusterId(),
      sites: desk.sites().map((site) => showSite(site, desk.ownId)),
      refused_messages: Object.fromEntries(refused),
    },
  };
}

function showSite(site: MemberSite, ownId: string): Record<string, unknown> {
  return {
    ...{ id: site.id, name: site.name, state: site.state, self: site.id === ownId },
    ...{ addresses: site.addresses, insecure: site.insecure, public_key: site.publicKey },
    ...{ origins: site.origins, removed_origins: site.removedOrigins },
    feature_level: site.featureLevel,
  };
}

async function invite(desk: SitesDesk, body: unknown): Promise<AdminAnswer> {
  const wish = readWish(INVITE, body);
  if (!wish.success) return wish.refusal;
  const { addresses, insecure, hours } = wish.data;
  const invited = await desk.invite({ addresses, insecure }, hours * HOUR_MS);
  if (invited.outcome === "refused") return adminProblem(409, invited.message);
  const expires = new Date(invited.expiresMs).toISOString();
  return { status: 200, body: { token: invited.token, expires, cluster: desk.clusterId() } };
}

async function join(desk: SitesDesk, body: unknown): Promise<AdminAnswer> {
  const wish = readWish(JOIN, body);
  if (!wish.success) return wish.refusal;
  const { addresses, insecure, token } = wish.data;
  const joined = await desk.join(token, { addresses, insecure });
  if (joined.outcome === "refused") return adminProblem(409, joined.message);
  const { resealed, unreadable, takesOver } = joined.outcome === "joined" ? joined : NOTHING_DONE;
  const { outcome, peer } = joined;
  const done = { resealed, unreadable, takes_over: takesOver };
  return { status: 200, body: { outcome, cluster: desk.clusterId(), peer, ...done } };
}

/** For a site that was a member already. */
const NOTHING_DONE = { resealed: 0, unreadable: 0, takesOver: false } as const;

async function remove(desk: SitesDesk, name: string): Promise<AdminAnswer> {
  if (name === "") return adminProblem(404, "There is no such site.");
  const removed = await desk.remove(name);
  if (removed.outcome === "refused") return adminProblem(404, removed.message);
  const { site, homes } = removed;
  return { status: 200, body: { ...showSite(site, desk.ownId), homes } };
}
