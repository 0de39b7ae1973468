import type { SiteId } from "../core/names.ts";
import type { MemberSite, SiteRecord } from "../core/site-record.ts";
import { keptUntilChanged } from "./metadata/kept-until-changed.ts";
import { TABLES } from "./metadata/rows.ts";
import { memberOf } from "./metadata/site-rows.ts";
import type { StoreParts } from "./store-parts.ts";

const RECORD_BYTES = 2048;

/** Every message of a peer asks who it is from, and every page who else there is. */
const membersIn = keptUntilChanged("siteChanges", (rows): ReadonlyMap<SiteId, MemberSite> => {
  const all = rows.rows(TABLES.site, "", "~").map(({ row }) => memberOf(row));
  return new Map(all.map((site) => [site.id, site]));
});

/** A site that is or was a member of the cluster; undefined when none ever had that id. */
export function findSite({ index }: StoreParts, id: SiteId): MemberSite | undefined {
  return membersIn(index).get(id);
}

/** Every site by id, this one and removed ones too. */
export function listSites({ index }: Pick<StoreParts, "index">): MemberSite[] {
  return [...membersIn(index).values()];
}

/**
 * Says what a site is. Incarnations that are known of it are kept, so that a removal covers them
 * all; what says nothing new is not written.
 *
 * @throws StorageFault "disk-full".
 */
export function putSite({ committer, admission }: StoreParts, record: SiteRecord): Promise<void> {
  const bytes = RECORD_BYTES + [...record.addresses, ...record.certificates].join("").length * 3;
  return committer.submit<void>(bytes, (batch) => {
    const row = batch.context.view.get(TABLES.site, record.id);
    const before = row === undefined ? undefined : memberOf(row);
    const all = new Set([...(before?.origins ?? []), ...record.origins]);
    const site = { ...record, origins: [...all].sort() };
    if (before !== undefined && saysTheSame(before, site)) return;
    admission.admitSmall();
    batch.operation(batch.nextHlc(), { kind: "site-put", site });
  });
}

function saysTheSame(before: MemberSite, site: SiteRecord): boolean {
  const { removedOrigins: _, ...known } = before;
  return (Object.keys(known) as (keyof SiteRecord)[]).every(
    (name) => JSON.stringify(known[name]) === JSON.stringify(site[name]),
  );
}
