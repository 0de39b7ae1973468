import { laterStamp } from "../../core/lww.ts";
import { SEQ_ZERO } from "../../core/names.ts";
import type { ConflictsRecord, Dot, Operation, Vector, WriteStamp } from "../../core/records.ts";
import { isSaidAgain, standingOf } from "./again.ts";
import { hasHistory, historyOf } from "./apply-conflicts.ts";
import { nullChanges } from "./change-rows.ts";
import type { HistoryRow } from "./history-rows.ts";
import {
  type KeyName,
  nullVersion,
  sameWrite,
  versionsEnd,
  versionsStart,
  type WriteId,
  writeIdOf,
} from "./key-versions.ts";
import { TABLES } from "./rows.ts";
import { tombstoneOf } from "./version-places.ts";
import type { IndexView } from "./view.ts";

type Verdict = ConflictsRecord["verdicts"][number];
/** No verdict: so it is of nearly every write, and every write is judged. */
const NONE: readonly Verdict[] = [];

/*
 * Every write of a null slot says which write it took the place of, where it was made (`prior`).
 * So the writes of a key form trees, and a write is overwritten exactly when another one names it.
 * A put that nobody names and that does not stand in the slot lost to one that did not know of it:
 * that is a conflict. It follows from the set of writes alone, not from the order in which they
 * come.
 *
 * Why such a put P has a greater concurrent write: follow the winner's chain back to the earliest
 * write that is greater than P. Had it known P, then P, or something greater than P, would have
 * stood in the slot, and it would name that: but nothing earlier is greater, and nobody names P.
 */

/** What is known where an operation comes in. */
export type JudgeFacts = {
  /** Whether an operation with this dot has been applied here, or never will be. */
  readonly isApplied: (dot: Dot) => boolean;
  /** Whether a write has been applied here, or never will be. */
  readonly hasArrived: (write: WriteId) => boolean;
  /** What the operation's origin had received of others; undefined when that was nothing. */
  readonly causal: Vector | undefined;
  /**
   * Its bytes exist nowhere any more: it takes no place itself, but what it overwrote is
   * overwritten.
   */
  readonly isVoid: boolean;
  /** Writes of a null slot that come before the operation in its log, and are parked here. */
  readonly parkedBefore?: ((name: KeyName) => readonly WriteStamp[]) | undefined;
};

/**
 * Judges an operation of another site before it enters the log: which writes it turns into
 * conflicts, and which conflicts it ends. The returned record must be in front of the operation in
 * its batch; undefined when there is nothing to say.
 */
export function judgeConflicts(
  view: IndexView,
  { dot, hlc, body }: Operation,
  facts: JudgeFacts,
): ConflictsRecord | undefined {
  let verdicts: readonly Verdict[] = NONE;
  if (body.kind === "object-put" || body.kind === "object-delete") {
    if (!body.nullSlot) return undefined;
    const { isApplied, hasArrived, causal, isVoid, parkedBefore } = facts;
    const stamp = standingOf({ dot, hlc, body });
    const isPut = body.kind === "object-put";
    const isAgain = isSaidAgain(body);
    const { prior } = body;
    const said = { stamp, isPut, isAgain, prior };
    const write = { ...said, isApplied, hasArrived, causal, isVoid, parkedBefore };
    verdicts = judgeWrite(view, body, write);
  } else if (body.kind === "object-meta" && body.nullSlot) {
    verdicts = judgeChange(view, body, writeIdOf(body.version), facts);
  } else if (body.kind === "conflict-resolve") {
    verdicts = judgeResolution(view, body, body.write, facts);
  }
  return "key" in body ? recordOf(body, verdicts) : undefined;
}

/** What is known where a row of another site comes in, outside every log. */
export type RowFacts = {
  /** Whether an operation with this dot has been applied here, or never will be. */
  readonly isApplied: (dot: Dot) => boolean;
  /**
   * All rows of a site are being taken over: rows that exist only here are dealt with after this
   * one.
   */
  readonly isBootstrap: boolean;
  /** Whether a write is neither here nor among those rows: its log has still to bring it. */
  readonly isComing: (write: WriteId) => boolean;
};

/**
 * Judges a row of a null slot at another site before it enters the log. A write here that the other
 * site had not applied was concurrent with it: one of the two is a conflict, as it will be there. A
 * write that the other site knew of has its verdict in that site's rows: if it is in none of them
 * it is no conflict, and the bootstrap removes it again. Changes of a write that has still to
 * come are kept for it.
 */
export function judgeRow(
  view: IndexView,
  { dot, hlc, body }: Operation,
  facts: RowFacts,
): ConflictsRecord | undefined {
  const hasArrived: JudgeFacts["hasArrived"] = (write) => !facts.isComing(write);
  if (body.kind === "object-meta" && body.nullSlot) {
    return recordOf(body, judgeChange(view, body, writeIdOf(body.version), { hasArrived }));
  }
  if (body.kind !== "object-put" && body.kind !== "object-delete") return undefined;
  if (!body.nullSlot || (body.kind === "object-put" && body.conflict === true)) return undefined;
  const stamp = { hlc, ...dot };
  const judged = judgeSlot(view, body, stamp, facts);
  return recordOf(body, both(judged, judgeAhead(view, body, { stamp, hasArrived }, judged)));
}

/** The verdict about what is in a slot and a row that comes for it: one of the two loses. */
function judgeSlot(
  view: IndexView,
  body: Extract<Operation["body"], { kind: "object-put" | "object-delete" }>,
  stamp: WriteStamp,
  { isApplied, isBootstrap }: RowFacts,
): readonly Verdict[] {
  const current = nullVersion(view, body);
  const inSlot = current?.row.stamp ?? tombstoneOf(view, body)?.stamp;
  if (inSlot === undefined || sameWrite(inSlot, stamp)) return NONE;
  const wins = laterStamp(stamp, inSlot);
  const isConflict = wins
    ? current?.kind === "object" && isBootstrap
    : body.kind === "object-put" && !isApplied(stamp);
  const loser = wins ? inSlot : stamp;
  const known = historyOf(view, body, loser)?.kind;
  // A write that arrived by its log before does not arrive again: nothing has to be remembered for
  // it.
  const isOver = known === "settled" && wins && isApplied(inSlot);
  if (!isOver && (!isConflict || known !== undefined)) return NONE;
  return [{ verdict: isOver ? "ended" : "expected", write: loser }];
}

/** The record of verdicts about a key; undefined when there are none. */
function recordOf(
  { bucket, key }: KeyName,
  verdicts: readonly Verdict[],
): ConflictsRecord | undefined {
  return verdicts.length === 0 ? undefined : { kind: "conflicts-judged", bucket, key, verdicts };
}

/**
 * Judges an operation of this site before it enters the log. A write that it replaces or settles
 * may have arrived as a row, and will arrive again by its log: it is no conflict then.
 */
export function judgeOwn(
  view: IndexView,
  { dot, hlc, body }: Operation,
  { isApplied, hasArrived, causal }: Omit<JudgeFacts, "isVoid">,
): ConflictsRecord | undefined {
  if (!("key" in body) || isSaidAgain(body)) return undefined;
  const isWrite = body.kind === "object-put" || body.kind === "object-delete";
  let verdicts = judgeEnded(view, body, isApplied);
  if (isWrite && body.nullSlot) {
    const stamp = { hlc, origin: dot.origin, seq: dot.seq };
    const write = { stamp, prior: body.prior, hasArrived, causal };
    const ended = both(verdicts, judgeEarlier(view, body, write));
    verdicts = both(ended, judgeAhead(view, body, write, ended));
  }
  return recordOf(body, verdicts);
}

function judgeEnded(
  view: IndexView,
  body: Extract<Operation["body"], KeyName>,
  isApplied: JudgeFacts["isApplied"],
): readonly Verdict[] {
  const write = endedBy(view, body);
  if (write === undefined) return NONE;
  const isThere = isApplied(write);
  // A write that was applied need not be marked as settled: the operation itself says it.
  if (isThere && body.kind === "conflict-resolve") return NONE;
  return settle(view, body, write, isThere);
}

/** The put that an operation of this site ends: the write in its slot, or a conflict. */
function endedBy(view: IndexView, body: Operation["body"]): WriteStamp | undefined {
  if (body.kind === "conflict-resolve") return body.write;
  if (body.kind !== "object-put" && body.kind !== "object-delete") return undefined;
  if (body.prior === undefined || nullVersion(view, body)?.kind !== "object") return undefined;
  return body.prior;
}

/**
 * Judges a write that another site knows to be overwritten or settled, before the write has arrived
 * there.
 */
export function judgeSettled(
  view: IndexView,
  { bucket, key }: KeyName,
  write: WriteStamp,
  isApplied: boolean,
): ConflictsRecord | undefined {
  const current = nullVersion(view, { bucket, key });
  // The write that replaces it in the slot has still to arrive.
  const stands = current !== undefined && sameWrite(current.row.stamp, write);
  const verdicts = settle(view, { bucket, key }, write, isApplied && !stands);
  return recordOf({ bucket, key }, verdicts);
}

type Write = JudgeFacts & {
  readonly stamp: WriteStamp;
  readonly isPut: boolean;
  /** It was made before, and what it replaced then has been judged then. */
  readonly isAgain: boolean;
  readonly prior?: WriteStamp | undefined;
};

function judgeWrite(view: IndexView, name: KeyName, write: Write): readonly Verdict[] {
  const { stamp, isPut, isAgain, isVoid } = write;
  const current = nullVersion(view, name);
  const inSlot = current?.row.stamp ?? tombstoneOf(view, name)?.stamp;
  const inFront = { inSlot, isPut: current?.kind === "object" };
  const overwritten = isAgain
    ? NONE
    : both(judgeOverwritten(view, name, write, inFront), judgeParked(view, name, write));
  // It arrived as a row before, which does not say what it replaced.
  if (inSlot !== undefined && sameWrite(inSlot, stamp)) return overwritten;
  const verdicts = both(overwritten, judgeAhead(view, name, write, overwritten));
  const wins = inSlot === undefined || laterStamp(stamp, inSlot);
  if ((isVoid || !wins) && isUsedUp(view, name, write)) {
    return [...verdicts, { verdict: "ended", write: stamp }];
  }
  if (inSlot === undefined || isVoid) return verdicts;
  const loser = wins ? inSlot : stamp;
  const isLoserPut = wins ? current?.kind === "object" : isPut;
  if (!isLoserPut || (wins && !isAgain && overwrites(write, inSlot))) return verdicts;
  const known = historyOf(view, name, loser)?.kind;
  if (known === "settled" && wins) {
    return [...verdicts, ...settle(view, name, loser, write.isApplied(loser))];
  }
  return known === undefined ? [...verdicts, { verdict: "expected", write: loser }] : verdicts;
}

/**
 * Whether what was remembered for a write that takes no place is used up once the write is here.
 */
function isUsedUp(view: IndexView, name: KeyName, { stamp, isVoid }: Write): boolean {
  const known = historyOf(view, name, stamp)?.kind;
  return known === "settled" || (isVoid && known === "expected");
}

/** Both lists; nearly always one of them is empty. */
function both(left: readonly Verdict[], right: readonly Verdict[]): readonly Verdict[] {
  if (right.length === 0) return left;
  return left.length === 0 ? right : [...left, ...right];
}

/** Whether a write replaced another one at the site where it was made. */
function overwrites(
  { stamp, prior, causal }: Pick<Write, "stamp" | "prior" | "causal">,
  other: WriteStamp,
): boolean {
  if (prior !== undefined) return sameWrite(prior, other);
  // A site that knew no writes of others replaced all of its own earlier ones.
  return causal === undefined && other.origin === stamp.origin && other.seq < stamp.seq;
}

/** Verdicts about the writes that this one replaced. */
function judgeOverwritten(
  view: IndexView,
  name: KeyName,
  write: Write,
  { inSlot, isPut }: { readonly inSlot: WriteStamp | undefined; readonly isPut: boolean },
): readonly Verdict[] {
  const { prior, isApplied, isVoid } = write;
  if (inSlot !== undefined && overwrites(write, inSlot)) {
    // A write that arrived as a row will arrive again, by its log.
    return isPut ? settle(view, name, inSlot, isApplied(inSlot) && !isVoid) : NONE;
  }
  if (prior === undefined) return judgeEarlier(view, name, write);
  return settle(view, name, prior, isApplied(prior));
}

/**
 * Verdicts about replaced writes whose bytes have still to come: they are no conflicts when they
 * do.
 */
function judgeParked(
  view: IndexView,
  name: KeyName,
  { prior, causal, parkedBefore }: Write,
): readonly Verdict[] {
  if (prior !== undefined || causal !== undefined || parkedBefore === undefined) return NONE;
  return parkedBefore(name).flatMap((one) => settle(view, name, one, false));
}

/**
 * Verdicts about conflicts when a write names none that it replaced: it may have replaced all
 * before it.
 */
function judgeEarlier(
  view: IndexView,
  name: KeyName,
  write: Pick<Write, "stamp" | "prior" | "causal">,
): readonly Verdict[] {
  if (write.prior !== undefined || write.causal !== undefined) return NONE;
  return conflictsOf(view, name)
    .filter((one) => overwrites(write, one))
    .map((one) => ({ verdict: "ended", write: one }));
}

/** The verdict that a write is no conflict, or will be none when it arrives. */
function settle(
  view: IndexView,
  name: KeyName,
  write: WriteStamp,
  isThere: boolean,
): readonly Verdict[] {
  const known = historyOf(view, name, write);
  // A write that has arrived by its log does not arrive again: nothing has to be remembered for it.
  if (known?.kind === "settled") return isThere ? [{ verdict: "ended", write }] : [];
  const verdicts: Verdict[] = known === undefined ? [] : [{ verdict: "ended", write }];
  return isThere ? verdicts : [...verdicts, { verdict: "settled", write }];
}

/**
 * Verdicts about writes that have not arrived, but whose changes wait in a slot that this write
 * takes.
 */
function judgeAhead(
  view: IndexView,
  name: KeyName,
  { stamp, prior, hasArrived }: Pick<Write, "stamp" | "prior" | "hasArrived">,
  judged: readonly Verdict[],
): readonly Verdict[] {
  return nullChanges(view, name).flatMap(({ target }) => {
    if (!laterStamp(stamp, target) || hasArrived(target)) return [];
    if (prior !== undefined && sameWrite(prior, target)) return [];
    if (judged.some(({ write }) => sameWrite(write, target))) return [];
    return expectAhead(view, name, target);
  });
}

/**
 * The verdict about a write that has not arrived and is being changed, and that will not stand in
 * its slot.
 */
function judgeChange(
  view: IndexView,
  name: KeyName,
  id: WriteId,
  { hasArrived }: Pick<JudgeFacts, "hasArrived">,
): readonly Verdict[] {
  const inSlot = nullVersion(view, name)?.row.stamp ?? tombstoneOf(view, name)?.stamp;
  if (inSlot === undefined || !laterStamp(inSlot, id) || hasArrived(id)) return [];
  return expectAhead(view, name, id);
}

/** The write's place in its log is not known, so what is remembered of it is found by its id. */
function expectAhead(view: IndexView, name: KeyName, id: WriteId): readonly Verdict[] {
  if (historyOf(view, name, id) !== undefined) return [];
  return [{ verdict: "expected", write: { hlc: id.hlc, origin: id.origin, seq: SEQ_ZERO } }];
}

function conflictsOf(view: IndexView, name: KeyName): WriteStamp[] {
  return lostWrites(view, name).flatMap((one) => (one.kind === "conflict" ? [one.row.stamp] : []));
}

/** Whether writes of a key are conflicts, or will be when they come. */
export function hasConflicts(view: IndexView, name: KeyName): boolean {
  return lostWrites(view, name).some(({ kind }) => kind !== "settled");
}

function lostWrites(view: IndexView, name: KeyName): HistoryRow[] {
  if (!hasHistory(view, name)) return [];
  const rows = view.rows(TABLES.history, versionsStart(name), versionsEnd(name));
  return rows.map(({ row }) => row);
}

/** A resolution that comes before its conflict arises must be remembered until then. */
function judgeResolution(
  view: IndexView,
  name: KeyName,
  write: WriteStamp,
  { isApplied }: JudgeFacts,
): readonly Verdict[] {
  const current = nullVersion(view, name);
  const stands = current !== undefined && sameWrite(current.row.stamp, write);
  if (!stands && isApplied(write)) return [];
  return settle(view, name, write, false);
}
