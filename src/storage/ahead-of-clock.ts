import { StorageFault } from "../core/faults.ts";
import { type Hlc, hlcMs } from "../core/hlc.ts";
import { parseSeq, type Seq } from "../core/names.ts";
import { operationHeader } from "../core/operation-codec.ts";
import type { Vector } from "../core/records.ts";
import type { OriginHead, Replica } from "./replica.ts";
import type { WithdrawnFrom } from "./withdrawn.ts";

/** What this site wrote with a clock that was ahead. */
export type OperationsAhead = {
  /** For each of its origins that has any, the first one. */
  readonly from: readonly WithdrawnFrom[];
  readonly operations: number;
  /** The latest of their times, in Unix milliseconds; undefined when there are none. */
  readonly latestMs: number | undefined;
};

type Log = Pick<Replica, "ownOrigins" | "received" | "floors" | "readLog">;

/**
 * Finds the operations of this site that are later than a time. The times of one origin's
 * operations only grow, so the first of them is found by halves.
 *
 * @throws StorageFault "corrupt" when the log is damaged there.
 */
export async function operationsAhead(log: Log, limit: Hlc): Promise<OperationsAhead> {
  const from: WithdrawnFrom[] = [];
  let operations = 0;
  let latestMs: number | undefined;
  for (const origin of log.ownOrigins) {
    const head = log.received().get(origin);
    if (head === undefined || head.hlc <= limit) continue;
    const first = await firstBehind(log, head, limit);
    from.push({ origin, from: first });
    operations += head.seq - first + 1;
    latestMs = Math.max(latestMs ?? 0, hlcMs(head.hlc));
  }
  return { from, operations, latestMs };
}

async function firstBehind(log: Log, { origin, seq }: OriginHead, limit: Hlc): Promise<Seq> {
  // Invariant: what is up to `before` is not later than the limit, or is in the log no more.
  let before = log.floors().get(origin) ?? 0;
  let first = seq;
  while (before + 1 < first) {
    const middle = parseSeq(Math.floor((before + first) / 2));
    if (middle === undefined) break;
    if ((await timeOf(log, { origin, seq: middle })) > limit) first = middle;
    else before = middle;
  }
  return first;
}

async function timeOf(log: Log, { origin, seq }: Pick<OriginHead, "origin" | "seq">): Promise<Hlc> {
  const received = [...log.received()].map(([id, head]) => [id, head.seq] as const);
  const after: Vector = new Map([...received, [origin, parseSeq(seq - 1) ?? seq]]);
  const page = await log.readLog(after, 1);
  const [entry] = page.outcome === "page" ? page.entries : [];
  if (entry === undefined) throw new StorageFault("corrupt", `operation ${seq} is not in the log`);
  return operationHeader(entry.encoded).hlc;
}
