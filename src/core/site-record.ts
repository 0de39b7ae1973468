import type { OriginId, SiteId } from "./names.ts";

/**
 * A member of the cluster, as every site knows it. `removed` applies to the origins that the record
 * names: a site that comes back does so under another origin.
 */
export type SiteRecord = {
  readonly id: SiteId;
  readonly name: string;
  /** Ed25519, 32 bytes as hex. */
  readonly publicKey: string;
  /** Where its peers reach it, best first; scheme and authority only. */
  readonly addresses: readonly string[];
  /** Certificates to trust when it is reached over TLS, PEM; none: those of the system. */
  readonly certificates: readonly string[];
  /** Every incarnation it had, ascending; at least one. */
  readonly origins: readonly OriginId[];
  readonly state: "active" | "removed";
  /** What operations its program understands. */
  readonly featureLevel: number;
  /** It is reached over plain http, as an operator wanted. */
  readonly insecure: boolean;
};

/** What all records of one site say together. */
export type MemberSite = SiteRecord & {
  /** Incarnations that were removed, for ever. */
  readonly removedOrigins: readonly OriginId[];
};

/**
 * Joins the records of one site, given latest first. Name, key and addresses are those of the
 * latest. Origins are united; an origin that was removed stays removed, and a site whose origins
 * are all removed is removed itself.
 */
export function joinSiteRecords(latest: SiteRecord, others: readonly SiteRecord[]): MemberSite {
  const all = [latest, ...others];
  const origins = ascending(all.flatMap((one) => one.origins));
  const removedOrigins = ascending(
    all.flatMap((one) => (one.state === "removed" ? one.origins : [])),
  );
  const isRemoved = removedOrigins.length === origins.length;
  return { ...latest, origins, removedOrigins, state: isRemoved ? "removed" : "active" };
}

function ascending(origins: readonly OriginId[]): OriginId[] {
  return [...new Set(origins)].sort();
}
