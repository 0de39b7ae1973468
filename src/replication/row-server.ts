import { toHex } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { Vector } from "../core/records.ts";
import type { SiteRecord } from "../core/site-record.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { Random } from "../ports/random.ts";
import type { LogicalRow, LogicalRows, RowRange, RowStep } from "../storage/logical-rows.ts";
import type { LogEntry } from "../storage/replica.ts";
import { encodeLogicalRow } from "../storage/row-operations.ts";
import type { BootstrapLeases } from "./bootstrap-leases.ts";
import { encodePage } from "./page-frame.ts";
import { refusalReply } from "./peer-replies.ts";
import type { PeerAnswer, PeerRoute } from "./peer-server.ts";
import { hashRange, listRange, type RowHashDeps } from "./row-hashes.ts";
import type { RowSum } from "./time-left.ts";
import type { KnownHead } from "./wire-pages.ts";
import {
  parseListRequest,
  parseRangesRequest,
  parseRowsRequest,
  parseStartRequest,
  type RowsRequest,
  writeListAnswer,
  writeRangesAnswer,
  writeRowsHead,
  writeStartAnswer,
} from "./wire-rows.ts";

export type RowServerDeps = RowHashDeps & {
  readonly rows: RowHashDeps["rows"] & {
    inlineBody(stored: NonNullable<LogicalRow["stored"]>): Promise<Uint8Array | undefined>;
    sum(): RowSum;
    owed(): readonly string[];
  };
  readonly random: Random;
  readonly leases: BootstrapLeases;
  /** What to begin with, or why rows must not be taken over from this site now. */
  readonly start: LogicalRows["start"];
  /**
   * Whether a peer knows what this site's own log lacks: it was set back to an earlier state, and
   * its rows would have peers remove what it has lost.
   */
  readonly isSetBack: (known: readonly KnownHead[]) => Promise<boolean>;
  /** What has been applied here without exception. */
  readonly applied: () => Vector;
  readonly served: (peer: SiteRecord, bytes: number) => void;
};

/** What peers may ask of a site's rows. */
export function rowRoutes(deps: RowServerDeps): readonly PeerRoute[] {
  const post = { method: "POST", bodyBytesMax: REQUEST_BYTES_MAX } as const;
  return [
    { ...post, path: "/v1/repl/bootstrap", answer: (call) => answerBootstrap(deps, call) },
    { ...post, path: "/v1/repl/rows", answer: (call) => answerRows(deps, call) },
    { ...post, path: "/v1/repl/ranges", answer: (call) => answerRanges(deps, call) },
    { ...post, path: "/v1/repl/row-hashes", answer: (call) => answerRowHashes(deps, call) },
  ];
}

/** As many positions as may be asked for, of the longest keys. */
const REQUEST_BYTES_MAX = 1024 * 1024;

/** A request of a peer that has been checked. */
export type RowCall = { readonly peer: SiteRecord; readonly body: Uint8Array };

const LEASE_BYTES = 16;
const SET_BACK = "this site was set back to an earlier state, and has to hear of it first";

/**
 * `POST /v1/repl/bootstrap`: where every log of this site stands, before the first row is read.
 * While the lease is renewed, nothing that comes after is dropped here.
 */
export async function answerBootstrap(
  deps: RowServerDeps,
  { peer, body }: RowCall,
): Promise<PeerAnswer> {
  const parsed = parseStartRequest(body);
  if (parsed.outcome === "bad") return refusalReply(400, parsed.problem);
  const { lease: asked, known } = parsed.value;
  const { leases } = deps;
  const sum = deps.rows.sum();
  if (asked !== null) {
    const heads = leases.renew(asked, peer.id);
    if (heads === undefined) return refusalReply(410, "that lease has ended");
    return ok(writeStartAnswer({ lease: asked, ...sum, heads: [...heads], settled: [] }));
  }
  if (await deps.isSetBack(known)) return refusalReply(409, SET_BACK);
  const lease = toHex(deps.random.bytes(LEASE_BYTES));
  let isTaken = false;
  const started = await deps.start((heads) => {
    isTaken = leases.take(lease, peer.id, heads);
  });
  if ("problem" in started) {
    leases.end(lease);
    return refusalReply(409, started.problem);
  }
  if (!isTaken) return refusalReply(503, "too many bootstraps");
  const { heads, settled } = started;
  return ok(writeStartAnswer({ lease, ...sum, heads: [...heads], settled: [...settled] }));
}

/** `POST /v1/repl/rows`: rows in order of position with their small bodies, bounded by bytes. */
export async function answerRows(
  deps: RowServerDeps,
  { peer, body }: RowCall,
): Promise<PeerAnswer> {
  const parsed = parseRowsRequest(body);
  if (parsed.outcome === "bad") return refusalReply(400, parsed.problem);
  const page = await gatherRows(deps.rows, parsed.value);
  const head = writeRowsHead({ next: page.next, refused: page.refused });
  const bytes = encodePage({ head, entries: page.entries }, true);
  deps.served(peer, bytes.length);
  return ok(bytes);
}

/** `POST /v1/repl/ranges`: hashes of ranges of rows. */
export async function answerRanges(deps: RowServerDeps, { body }: RowCall): Promise<PeerAnswer> {
  const parsed = parseRangesRequest(body);
  if (parsed.outcome === "bad") return refusalReply(400, parsed.problem);
  const { ranges, rowsMax } = parsed.value;
  const answers = [];
  for (const range of ranges) answers.push(await hashRange(deps, range, rowsMax));
  return ok(writeRangesAnswer({ ranges: answers }));
}

/** `POST /v1/repl/row-hashes`: the rows of a short range, each with its hash. */
export function answerRowHashes(deps: RowServerDeps, { body }: RowCall): PeerAnswer {
  const parsed = parseListRequest(body);
  if (parsed.outcome === "bad") return refusalReply(400, parsed.problem);
  const { rows, next } = listRange(deps, parsed.value.range, LIMITS.rowsListedMax);
  const shown = rows.map(([row, hash]) => [row.position, hash] as [string, Buffer]);
  return ok(writeListAnswer({ rows: shown, next, applied: deps.applied() }));
}

/** The most rows that are looked at for one page, whether they are wanted or not. */
const ROWS_PER_PAGE = 2000;

/** Rows of a range from one state of the index, with their small bodies, bounded by bytes. */
export async function gatherRows(
  rows: RowServerDeps["rows"],
  { range, positions, bytesMax, bodies }: RowsRequest,
): Promise<{ entries: LogEntry[]; next: string | undefined; refused: string[] }> {
  const wanted = positions.length === 0 ? undefined : new Set(positions);
  const step = rows.read(
    wanted === undefined ? { ...range, withKept: true } : range,
    ROWS_PER_PAGE,
  );
  const entries: LogEntry[] = [];
  const refused: string[] = [];
  let { next } = step;
  let bytes = 0;
  for (const row of step.rows) {
    if (wanted !== undefined && !wanted.has(row.position)) continue;
    if (entries.length > 0 && bytes >= bytesMax) {
      next = row.position;
      break;
    }
    const encoded = encodeLogicalRow(row);
    const inline = bodies ? await inlineOf(rows, row) : undefined;
    if (inline === "damaged") {
      refused.push(row.position);
      continue;
    }
    entries.push({ encoded, inline });
    bytes += encoded.length + (inline?.length ?? 0);
  }
  if (wanted === undefined) refused.push(...owedIn(rows, step, { ...range, to: next ?? range.to }));
  return { entries, next, refused };
}

/**
 * Rows of the range that a bootstrap of this site had to leave out: they were not removed, although
 * they are not here.
 */
function owedIn(
  rows: Pick<RowServerDeps["rows"], "owed">,
  step: RowStep,
  { from, to }: RowRange,
): readonly string[] {
  const owed = rows.owed();
  if (owed.length === 0) return owed;
  const here = new Set(step.rows.map(({ position }) => position));
  return owed.filter((one) => {
    const isInside = compareUtf8(one, from) >= 0 && (to === undefined || compareUtf8(one, to) < 0);
    return isInside && !here.has(one);
  });
}

async function inlineOf(
  rows: RowServerDeps["rows"],
  { stored }: LogicalRow,
): Promise<Uint8Array | "damaged" | undefined> {
  if (stored?.record.body.kind !== "inline") return undefined;
  const bytes = await rows.inlineBody(stored);
  // The reader's memory is used again by the next read.
  return bytes === undefined ? "damaged" : Buffer.from(bytes);
}

function ok(body: Uint8Array): PeerAnswer {
  return { status: 200, body };
}
