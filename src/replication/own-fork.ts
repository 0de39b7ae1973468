import { NOTHING_APPLIED } from "../core/applied-set.ts";
import type { Hlc } from "../core/hlc.ts";
import { parseSeq, type Seq } from "../core/names.ts";
import { operationHeader } from "../core/operation-codec.ts";
import type { LogStart, Vector } from "../core/records.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { LogEntry, OriginHead, Replica } from "../storage/replica.ts";
import { chainBeforeOf, sameChain, seqsOf } from "./log-entries.ts";
import type { CheckedPage, ReceivedPage } from "./page-check.ts";
import type { PeerCalls, PulledPage } from "./peer-calls.ts";
import { type KnownHead, knownHeads, markOf } from "./wire-pages.ts";

export type OwnForkDeps = {
  readonly replica: Pick<Replica, "origin" | "received" | "floors" | "readLog">;
  readonly calls: Pick<PeerCalls, "pull">;
  /** Checks that a page says what its origins' sites have signed. */
  readonly check: (page: PulledPage, received: ReceivedPage["received"]) => CheckedPage;
};

/** A place in this site's own log, with the chain there; undefined before the first operation. */
type Place = { readonly seq: Seq; readonly head: OriginHead | undefined };

const PAGE_BYTES = 256 * 1024;
/** Steps back grow twofold, and pages forward are full: no log needs more. */
const QUESTIONS_MAX = 10_000;

/**
 * Where a peer's copy of this site's own log and the log here part: the first operation that is not
 * the same. The log here may end there; then it has only lost its end. What the peer shows counts
 * only with this site's own signature under it: it is proof that this site wrote it, and has been
 * set back to an earlier state since.
 *
 * @returns "below-floor" when the peer's log does not reach back to there any more: then only its
 * rows can tell (`lostWithRows`); undefined when the peer shows nothing else than what is here, or
 * when the log here does not reach back.
 * @throws PeerLie when the peer's page is not what this site has signed.
 */
export async function findOwnFork(
  { replica, calls, check }: OwnForkDeps,
  signal: AbortSignal,
): Promise<Seq | "below-floor" | undefined> {
  const { origin } = replica;
  let place = await placeAt(replica, replica.received().get(origin)?.seq ?? 0);
  let back = 1;
  for (let asked = 0; asked < QUESTIONS_MAX && place !== undefined; asked++) {
    const { seq, head } = place;
    const known = knownHeads([head]);
    const wish = { received: known, ...NOTHING_APPLIED, only: [origin], skip: [], waitMs: 0 };
    const page = await calls.pull(wish, signal, PAGE_BYTES);
    if (page.head.outcome !== "page") return page.head.outcome;
    const there = page.head.received.get(origin) ?? 0;
    if (there < seq) {
      place = await placeAt(replica, there);
    } else if (page.head.diverged.includes(origin)) {
      place = seq === 0 ? undefined : await placeAt(replica, Math.max(0, seq - back));
      back *= 2;
    } else {
      const received = new Map(head === undefined ? [] : [[origin, head]]);
      if (!check(page, received).diverged.includes(origin)) return undefined;
      const parted = await firstOther(replica, seq, page.entries);
      if (parted !== undefined) return parted;
      place = await placeAt(replica, seq + page.entries.length);
    }
  }
  return undefined;
}

/**
 * From where on this site's own log has to end because a peer whose rows are taken over knows
 * another history of it: that may have left all logs since, so that no page can show where the two
 * part. Readings tell: whatever the peer knows is no later than where its copy ends, so what is
 * later here was written since: all that was, unless this site's clock was behind then. What was
 * written with such a clock is given up with its rows, but for what stands behind that end.
 *
 * @param heads where the logs end that the rows cover.
 * @returns undefined when the peer knows nothing else than what is here.
 */
export async function lostWithRows(
  replica: OwnForkDeps["replica"],
  heads: readonly LogStart[],
): Promise<Seq | undefined> {
  const there = heads.find(({ origin }) => origin === replica.origin);
  const here = replica.received().get(replica.origin)?.seq ?? 0;
  if (there === undefined) return undefined;
  if (here >= there.seq) {
    const place = await placeAt(replica, there.seq);
    if (place?.head === undefined || sameChain(place.head.chain, there.chain)) return undefined;
  }
  const surely = Math.min(here + 1, there.seq);
  return parseSeq(Math.min(surely, 1 + (await countUntil(replica, there.hlc))));
}

/** What this site has received of a peer's own logs, for the peer to compare with what it has. */
export function knownOf(
  replica: Pick<Replica, "received">,
  { origins }: Pick<SiteRecord, "origins">,
): KnownHead[] {
  const received = replica.received();
  return knownHeads(origins.map((origin) => received.get(origin)));
}

/**
 * Whether a peer has received what the log here does not have of this site's own operations: it was
 * set back to an earlier state. False when the log does not reach back to where the peer stands.
 */
export async function isKnownBetter(
  replica: OwnForkDeps["replica"],
  known: readonly KnownHead[],
): Promise<boolean> {
  const own = known.find(([origin]) => origin === replica.origin);
  if (own === undefined) return false;
  const [, seq, mark] = own;
  if (seq > (replica.received().get(replica.origin)?.seq ?? 0)) return true;
  const head = (await placeAt(replica, seq))?.head;
  return head !== undefined && !sameChain(markOf(head.chain), mark);
}

/** How many operations of the own log are no later than a reading, or have left the log. */
async function countUntil(replica: OwnForkDeps["replica"], hlc: Hlc): Promise<number> {
  const { origin } = replica;
  let [from, to] = [replica.floors().get(origin) ?? 0, replica.received().get(origin)?.seq ?? 0];
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    const [next] = await ownEntries(replica, middle);
    if (next === undefined || operationHeader(next.encoded).hlc > hlc) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** A place in the own log; undefined when the log does not reach back to it any more. */
async function placeAt(replica: OwnForkDeps["replica"], at: number): Promise<Place | undefined> {
  const { origin } = replica;
  const seq = parseSeq(at);
  if (seq === undefined || seq === 0)
    return seq === undefined ? undefined : { seq, head: undefined };
  const head = replica.received().get(origin);
  if (head === undefined || head.seq === seq) return head && { seq, head };
  const [next] = await ownEntries(replica, seq);
  return next && { seq, head: { ...head, seq, chain: chainBeforeOf(next.encoded) } };
}

/** The first of a peer's operations that is not the one here. */
async function firstOther(
  replica: OwnForkDeps["replica"],
  behind: number,
  theirs: readonly LogEntry[],
): Promise<Seq | undefined> {
  let ours: readonly LogEntry[] = [];
  let before = behind;
  for (const { encoded } of theirs) {
    const { seq } = operationHeader(encoded);
    if (seq - before > ours.length) {
      before = seq - 1;
      ours = await ownEntries(replica, before);
    }
    const own = ours[seq - before - 1];
    // The chain before it covers all of them.
    if (own === undefined || !sameChain(own.encoded, encoded)) return seq;
  }
  return undefined;
}

/** Operations of the own log behind a place; none when it ends there, or begins later. */
async function ownEntries(
  replica: OwnForkDeps["replica"],
  behind: number,
): Promise<readonly LogEntry[]> {
  const { origin } = replica;
  const seq = parseSeq(behind);
  if (seq === undefined || (replica.floors().get(origin) ?? 0) > seq) return [];
  const after: Vector = new Map([...seqsOf(replica.received()), [origin, seq]]);
  const page = await replica.readLog(after, PAGE_BYTES);
  return page.outcome === "page" ? page.entries : [];
}
