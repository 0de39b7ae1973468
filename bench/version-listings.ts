import {
  addSeries,
  type Bench,
  BUCKET,
  createBucket,
  LARGE_CLIENTS,
  load,
  type Requests,
  runSeries,
  signed,
  type Workload,
  wantsAny,
} from "./measuring.ts";
import { ask, playOnce } from "./player.ts";
import { bodyMaker, type RequestPlan, Signer } from "./requests.ts";

const BUCKET_OF_VERSIONS = "versions";
const KEYS = 10;
const BODY_BYTES = 16;
const PAGE_KEYS = 1000;
const LIST_REQUESTS = 400;
/** Pages begin in this first part of what there is, so that every page is full. */
const START_PART = 0.7;
const FOLDERS = 0x1000;

const ENABLED = Buffer.from(
  "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
);

type Period = { readonly fromMs: number; readonly toMs: number };

/**
 * Pages of versions where every key has one, and where ten keys have all of them: the same number
 * of versions, so that only their shape can make a difference.
 */
export async function measureVersionListings(bench: Bench, port: number): Promise<void> {
  if (!wantsAny(bench, ["versions", "versions-deep"])) return;
  if (bench.options.wants("versions")) {
    await measurePages(bench, port, { name: "versions", requests: pagesOfKeys() });
  }
  if (!bench.options.wants("versions-deep")) return;
  const period = await storeVersions(bench, port);
  await measurePages(bench, port, { name: "versions-deep", requests: pagesOfVersions(period) });
}

/** Stores as many versions of ten keys as the other bucket has objects. */
async function storeVersions(bench: Bench, port: number): Promise<Period> {
  await createBucket(port, BUCKET_OF_VERSIONS);
  const path = `/${BUCKET_OF_VERSIONS}`;
  const enable = { method: "PUT", path, query: { versioning: "" }, body: ENABLED } as const;
  await playOnce(port, signed(port, { count: 1, once: true, plan: () => enable }), 1);
  const body = bodyMaker(BODY_BYTES);
  const fromMs = Date.now();
  await load(port, {
    count: bench.options.objects,
    once: true,
    plan: (index) => ({ method: "PUT", path: keyPath(index % KEYS), body: body(index) }),
  });
  return { fromMs, toMs: Date.now() };
}

function keyPath(key: number): string {
  return `/${BUCKET_OF_VERSIONS}/key-${key}`;
}

function listing(bucket: string, markers: Readonly<Record<string, string>>): RequestPlan {
  const query = { versions: "", "max-keys": String(PAGE_KEYS), ...markers };
  return { method: "GET", path: `/${bucket}`, query };
}

function pagesOfKeys(): Requests {
  const plan = (): RequestPlan => {
    const folder = Math.floor(Math.random() * START_PART * FOLDERS);
    return listing(BUCKET, { "key-marker": folder.toString(16).padStart(3, "0") });
  };
  return { count: LIST_REQUESTS, once: false, plan };
}

/** Ids begin with the clock's reading, so that one can be made for any moment of the loading. */
function pagesOfVersions({ fromMs, toMs }: Period): Requests {
  const plan = (): RequestPlan => {
    // Newest first: a late moment is near the beginning of its key.
    const moment = toMs - Math.random() * START_PART * (toMs - fromMs);
    const id = (BigInt(Math.floor(moment)) << 16n).toString(16).padStart(16, "0") + "0".repeat(16);
    const key = `key-${Math.floor(Math.random() * KEYS)}`;
    return listing(BUCKET_OF_VERSIONS, { "key-marker": key, "version-id-marker": id });
  };
  return { count: LIST_REQUESTS, once: false, plan };
}

async function measurePages(
  bench: Bench,
  port: number,
  { name, requests }: { name: "versions" | "versions-deep"; requests: Requests },
): Promise<void> {
  await checkPage(port, requests.plan(0));
  const workload: Workload = {
    clients: LARGE_CLIENTS,
    requests: () => requests,
    valueOf: (result) => result.perSecond,
  };
  const series = await runSeries(bench, workload, async () => port);
  const flat = name === "versions" ? undefined : bench.rows.get("versions")?.value;
  const yardsticks = flat === undefined ? {} : { flat };
  addSeries(bench, name, workload, { ...series, yardsticks });
}

async function checkPage(port: number, plan: RequestPlan): Promise<void> {
  const answer = await ask(port, new Signer(port).sign(plan));
  if (answer?.body.split("<Version>").length === PAGE_KEYS + 1) return;
  throw new Error(`A page is not full: ${answer?.body.slice(0, 500)}`);
}
