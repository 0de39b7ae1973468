import type { SiteId } from "../core/names.ts";
import type { OriginRecord } from "../core/origin-records.ts";
import type { Vector } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";

/** How far another site says it has applied the log, and when it last said so. */
export type PeerPosition = {
  readonly applied: Vector;
  /**
   * How far its log reaches, behind what waits there for its bytes too; undefined until it has said
   * so since this site's start.
   */
  readonly received?: Vector;
  /** Unix milliseconds. */
  readonly heardMs: number;
};

type PeerApplied = Extract<OriginRecord, { kind: "peer-applied" }>;

/**
 * A position that moved is written to the log at most this often: the log is then kept a little
 * longer, never shorter.
 */
const WRITE_MS_MIN = 60_000;
/** For a site that has nothing else to say, that a peer was heard of is written this often. */
const HEARD_MS_MAX = 6 * 3_600_000;
const NOTHING: Vector = new Map();

/**
 * What other sites say they have applied. It decides how much of the log is kept for them, so it is
 * written down, but not at every word of theirs.
 */
export class Acknowledgements {
  readonly #index: RowReader;
  readonly #clock: Pick<Clock, "nowMs">;
  readonly #told = new Map<SiteId, PeerPosition>();
  readonly #holders = new Set<() => readonly Vector[]>();

  constructor(index: RowReader, clock: Pick<Clock, "nowMs">) {
    this.#index = index;
    this.#clock = clock;
  }

  /** Notes how far a peer says it has applied, and received, everybody's operations. */
  note(site: SiteId, applied: Vector, received: Vector): void {
    this.#told.set(site, { applied, received, heardMs: this.#clock.nowMs() });
  }

  /** What a peer said last, now or before the last start; undefined when it never did. */
  position(site: SiteId): PeerPosition | undefined {
    return this.#told.get(site) ?? this.#index.get(TABLES.acknowledged, site);
  }

  /** Keeps everything beyond the named vectors, until the returned function is called. */
  hold(vectors: () => readonly Vector[]): () => void {
    this.#holders.add(vectors);
    return () => this.#holders.delete(vectors);
  }

  /** The vectors beyond which everything is kept, whichever site has it already. */
  held(): readonly Vector[] {
    return [...this.#holders].flatMap((vectors) => vectors());
  }

  /** The positions worth writing down now. A peer that was never heard of counts as heard now. */
  due(peers: readonly SiteId[]): PeerApplied[] {
    const nowMs = this.#clock.nowMs();
    return peers.flatMap((site) => {
      const told = this.#told.get(site);
      const written = this.#index.get(TABLES.acknowledged, site);
      if (told === undefined && written !== undefined) return [];
      const { applied, heardMs } = told ?? { applied: NOTHING, heardMs: nowMs };
      const record: PeerApplied = { kind: "peer-applied", site, heardMs, applied };
      if (written === undefined) return [record];
      const hasMoved = !isSame(applied, written.applied);
      const since = heardMs - written.heardMs;
      return since >= HEARD_MS_MAX || (hasMoved && since >= WRITE_MS_MIN) ? [record] : [];
    });
  }
}

/** Whether a peer was heard of lately enough, within `peerMs`, for the log to wait for it. */
export function isAwaited({ heardMs }: PeerPosition, nowMs: number, peerMs: number): boolean {
  return nowMs - heardMs <= peerMs;
}

function isSame(left: Vector, right: Vector): boolean {
  return left.size === right.size && [...left].every(([origin, seq]) => right.get(origin) === seq);
}
