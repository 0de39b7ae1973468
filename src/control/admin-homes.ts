import { z } from "zod";
import { encodeHomeSite, HOME_SETTING, type HomeSite, parseHomeSite } from "../core/home-site.ts";
import { type BucketName, parseBucketName, type SiteId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Store, StoredBucket } from "../storage/store.ts";
import { type AdminAnswer, type AdminCall, adminProblem } from "./admin-call.ts";
import { readWish } from "./read-wish.ts";

export const HOMES_PATH = "/v1/admin/repl-homes";

export type HomesDesk = {
  readonly self: SiteId;
  readonly store: Pick<Store, "bucket" | "buckets" | "putBucketSetting" | "sites">;
  /** What this site has applied of every site's writes, its own included. */
  readonly applied: () => Vector;
  /** Runs what gives a role of this site away, when nothing that rests on it is under way. */
  readonly handOver: <Result>(bucket: BucketName, change: () => Promise<Result>) => Promise<Result>;
};

const force = z.boolean().default(false);
const PUT = z.strictObject({ site: z.string().min(1).max(200), force });
const DELETE = z.strictObject({ force });

/** Which sites judge the conditional writes of buckets. */
export function routeHomes(
  desk: HomesDesk,
  { method, path, body }: AdminCall,
): AdminAnswer | Promise<AdminAnswer> {
  if (path === HOMES_PATH) {
    return method === "GET" ? listHomes(desk) : adminProblem(405, "Homes are listed with GET.");
  }
  const name = path.slice(HOMES_PATH.length + 1);
  const bucketName = parseBucketName(name);
  const bucket = bucketName === undefined ? undefined : desk.store.bucket(bucketName);
  if (bucket === undefined) return adminProblem(404, `There is no bucket ${name}.`);
  switch (method) {
    case "GET":
      return { status: 200, body: show(desk, bucket.name, homeOf(bucket)) };
    case "PUT":
      return put(desk, bucket, body);
    case "DELETE":
      return remove(desk, bucket, body);
  }
  return adminProblem(405, "A home is read with GET, named with PUT and removed with DELETE.");
}

function listHomes(desk: HomesDesk): AdminAnswer {
  const homes = [];
  for (const bucket of desk.store.buckets()) {
    const home = homeOf(bucket);
    if (home !== undefined) homes.push(show(desk, bucket.name, home));
  }
  return { status: 200, body: { homes } };
}

/** The buckets whose conditional writes a site judges. */
export function bucketsAtHome(store: Pick<Store, "buckets">, site: SiteId): BucketName[] {
  const buckets = [...store.buckets()].filter((bucket) => homeOf(bucket)?.site === site);
  return buckets.map(({ name }) => name);
}

function put(
  desk: HomesDesk,
  bucket: StoredBucket,
  body: unknown,
): AdminAnswer | Promise<AdminAnswer> {
  const wish = readWish(PUT, body);
  if (!wish.success) return wish.refusal;
  const { site: named } = wish.data;
  const found = desk.store
    .sites()
    .filter(({ id, name, state }) => state === "active" && (id === named || name === named));
  const [site] = found;
  if (site === undefined) return adminProblem(404, `There is no site ${named}.`);
  if (found.length > 1) return adminProblem(409, `Several sites are called ${named}: give the id.`);
  return change(desk, bucket, site, wish.data.force);
}

function remove(
  desk: HomesDesk,
  bucket: StoredBucket,
  body: unknown,
): AdminAnswer | Promise<AdminAnswer> {
  const wish = readWish(DELETE, body);
  if (!wish.success) return wish.refusal;
  return change(desk, bucket, undefined, wish.data.force);
}

/** Only the holder gives the role away; anybody else has to say that it is to be taken. */
async function change(
  desk: HomesDesk,
  { name: bucket }: StoredBucket,
  site: MemberSite | undefined,
  isForced: boolean,
): Promise<AdminAnswer> {
  const refuse = (held: HomeSite | undefined): AdminAnswer | undefined => {
    if (isForced || held === undefined || held.site === desk.self) return undefined;
    return adminProblem(
      409,
      `The home of ${bucket} is ${nameOf(desk, held.site)}: hand it over there, or take it with ` +
        "--force, when that site is gone for good.",
    );
  };
  const heldHere = (): HomeSite | undefined => homeOf(desk.store.bucket(bucket));
  const refusal = refuse(heldHere());
  if (refusal !== undefined) return refusal;
  return await desk.handOver(bucket, async () => {
    // Read again now that nothing is under way: another site may have taken the role, and the next
    // home has to know everything that was judged here.
    const held = heldHere();
    const late = refuse(held);
    if (late !== undefined) return late;
    const role = { epoch: (held?.epoch ?? 0) + 1, after: desk.applied() };
    const home = site === undefined ? undefined : { site: site.id, ...role };
    const value = home === undefined ? undefined : encodeHomeSite(home);
    const { outcome } = await desk.store.putBucketSetting({ bucket, name: HOME_SETTING, value });
    if (outcome !== "stored") return adminProblem(404, `There is no bucket ${bucket}.`);
    return { status: 200, body: show(desk, bucket, home) };
  });
}

function homeOf(bucket: StoredBucket | undefined): HomeSite | undefined {
  const value = bucket?.settings.get(HOME_SETTING);
  return value === undefined ? undefined : parseHomeSite(value);
}

function nameOf({ store }: HomesDesk, id: SiteId): string {
  return store.sites().find((site) => site.id === id)?.name ?? id;
}

function show(
  desk: HomesDesk,
  bucket: BucketName,
  home: HomeSite | undefined,
): Record<string, unknown> {
  if (home === undefined) return { bucket };
  const { site, epoch } = home;
  return { bucket, site, name: nameOf(desk, site), epoch, is_here: site === desk.self };
}
