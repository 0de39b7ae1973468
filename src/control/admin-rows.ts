import { z } from "zod";
import { parseBucketName } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import { type AdminAnswer, type AdminCall, adminProblem } from "./admin-call.ts";
import { readWish } from "./read-wish.ts";

export const BOOTSTRAP_PATH = "/v1/admin/repl-bootstrap";
export const VERIFY_PATH = "/v1/admin/repl-verify";

type Range = { readonly from: string; readonly to: string | undefined };

/** How a bootstrap stands, as replication tells it. */
export type BootstrapFacts = {
  readonly site: string;
  readonly state: "running" | "done" | "failed" | "refused";
  readonly rows: number;
  readonly rowsTotal: number;
  readonly bytes: number;
  readonly removed: number;
  readonly skipped: number;
  readonly elapsedMs: number;
  readonly leftMs: number | undefined;
  readonly failure: string | undefined;
};

type ArchiveFacts = { readonly rows: number; readonly bytes: number; readonly skipped: number };

export type VerifiedStep = {
  readonly differences: ReadonlyArray<{
    readonly position: string;
    readonly kind: string;
    readonly repaired: boolean;
  }>;
  readonly rows: number;
  readonly next: string | undefined;
};

/** Rows between sites, as the operator asks for them; replication answers. */
export type RowsDesk = {
  peers(): readonly MemberSite[];
  /** Whether this site knows that it was removed from its cluster. */
  isRemoved(): boolean;
  /** Begins or goes on, leaving off other peers; false while a directory is imported. */
  bootstrap(peer: MemberSite): boolean;
  /** Undefined when there was none since the start. */
  progress(): BootstrapFacts | undefined;
  /** Positions of rows that were left out: no member could give their bytes yet. */
  owed(): readonly string[];
  exportTo(directory: string): Promise<ArchiveFacts>;
  /** Undefined while a directory is imported already. */
  importFrom(directory: string): Promise<BootstrapFacts | undefined>;
  verify(
    peer: MemberSite,
    wish: { readonly range: Range; readonly repair: boolean; readonly deep: boolean },
  ): Promise<VerifiedStep>;
};

const POSITION_CHARS_MAX = 4096;
const directory = z.string().startsWith("/", "a directory is named in full").max(4096);
const BOOTSTRAP = z.union(
  [
    z.strictObject({ peer: z.string().min(1).max(200) }),
    z.strictObject({ export: directory }),
    z.strictObject({ import: directory }),
  ],
  { error: "say one of peer, export and import, a directory in full" },
);
const VERIFY = z.strictObject({
  peer: z.string().min(1).max(200),
  from: z.string().max(POSITION_CHARS_MAX).default(""),
  bucket: z.string().optional(),
  repair: z.boolean().default(false),
  deep: z.boolean().default(false),
});

/** Takes all rows of a peer over, and tells how that stands. */
export function routeBootstrap(
  desk: RowsDesk,
  { method, body }: AdminCall,
): AdminAnswer | Promise<AdminAnswer> {
  if (method === "GET") {
    const facts = desk.progress();
    return { status: 200, body: facts === undefined ? noFacts(desk) : showFacts(desk, facts) };
  }
  if (method !== "POST") return adminProblem(405, "A bootstrap begins with POST, shows with GET.");
  const wish = readWish(BOOTSTRAP, body);
  if (!wish.success) return wish.refusal;
  if ("export" in wish.data) return exportRows(desk, wish.data.export);
  if ("import" in wish.data) return importRows(desk, wish.data.import);
  const peer = findPeer(desk, wish.data.peer);
  if ("status" in peer) return peer;
  if (desk.isRemoved()) {
    return adminProblem(
      409,
      "This site was removed from its cluster. " +
        "To come back it must join again: `atoll repl-join` with a new token.",
    );
  }
  if (!desk.bootstrap(peer)) return busy();
  return { status: 202, body: { state: "running", site: peer.id } };
}

async function exportRows(desk: RowsDesk, to: string): Promise<AdminAnswer> {
  return { status: 200, body: { state: "exported", ...(await desk.exportTo(to)), directory: to } };
}

async function importRows(desk: RowsDesk, from: string): Promise<AdminAnswer> {
  const facts = await desk.importFrom(from);
  return facts === undefined ? busy() : { status: 200, body: showFacts(desk, facts) };
}

function busy(): AdminAnswer {
  return adminProblem(409, "A directory is being imported; wait until that is done.");
}

/** One step of a comparison; whoever asks goes on at `next` until there is none. */
export async function routeVerify(
  desk: RowsDesk,
  { method, body }: AdminCall,
): Promise<AdminAnswer> {
  if (method !== "POST") return adminProblem(405, "Sites are compared with POST.");
  const wish = readWish(VERIFY, body);
  if (!wish.success) return wish.refusal;
  const { peer: name, from, bucket, repair, deep } = wish.data;
  const peer = findPeer(desk, name);
  if ("status" in peer) return peer;
  if (bucket !== undefined && parseBucketName(bucket) === undefined) {
    return adminProblem(400, `${bucket} is no bucket name.`);
  }
  const range = bucket === undefined ? { from, to: undefined } : rangeOf(bucket, from);
  const step = await desk.verify(peer, { range, repair, deep });
  const next = step.next ?? (bucket === undefined ? undefined : behind(bucket, range.from));
  const differences = step.differences.map(({ position, ...rest }) => {
    return { ...whatAt(position), ...rest };
  });
  return { status: 200, body: { site: peer.id, rows: step.rows, differences, next } };
}

/** A bucket's own rows come first, then those of its objects. */
function rangeOf(bucket: string, from: string): Range {
  const letter = from.startsWith("D") ? "D" : "C";
  return {
    from: from === "" ? `${letter}${bucket}\0` : from,
    to: `${letter}${bucket}\u0001`,
  };
}

function behind(bucket: string, from: string): string | undefined {
  return from.startsWith("C") ? `D${bucket}\0` : undefined;
}

const WHAT = { A: "access key", B: "site", C: "bucket", D: "object" } as const;

/** What a position speaks of, for people. */
function whatAt(position: string): Record<string, string> {
  const [name = "", key, rest] = position.slice(1).split("\0");
  const letter = position.charAt(0);
  const what = WHAT[letter as keyof typeof WHAT];
  if (letter !== "D") return key === undefined ? { what, name } : { what, name, detail: key };
  return { what, bucket: name, key: key ?? "", detail: versionAt(rest ?? "") };
}

const INVERTED_DIGITS = 32;

function versionAt(rest: string): string {
  let version = "";
  for (const digit of rest.slice(0, INVERTED_DIGITS)) {
    const value = Number.parseInt(digit, 16);
    if (Number.isNaN(value)) return "null";
    version += (15 - value).toString(16);
  }
  return version;
}

function findPeer(desk: RowsDesk, name: string): MemberSite | AdminAnswer {
  const found = desk.peers().filter((peer) => peer.id === name || peer.name === name);
  const [peer] = found;
  if (peer === undefined) return adminProblem(404, `There is no peer ${name}.`);
  if (found.length > 1) {
    return adminProblem(409, `More than one peer is called ${name}: name it by its id.`);
  }
  return peer;
}

/** So many rows that were left out are named. */
const NAMED_MAX = 100;

function leftOut(desk: RowsDesk): Record<string, unknown> {
  const owed = desk.owed();
  if (owed.length === 0) return {};
  return { left_out: owed.length, left_out_rows: owed.slice(0, NAMED_MAX).map(whatAt) };
}

function noFacts(desk: RowsDesk): Record<string, unknown> {
  return { state: "none", ...leftOut(desk) };
}

function showFacts(desk: RowsDesk, facts: BootstrapFacts): Record<string, unknown> {
  const { rowsTotal, elapsedMs, leftMs, failure, ...rest } = facts;
  return {
    ...rest,
    ...{ rows_total: rowsTotal, elapsed_seconds: Math.round(elapsedMs / 1000) },
    seconds_left: leftMs === undefined ? undefined : Math.ceil(leftMs / 1000),
    failure,
    ...leftOut(desk),
  };
}
