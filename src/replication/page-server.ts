import { type AppliedSet, appliedSetOf } from "../core/applied-set.ts";
import { signHead } from "../core/head-signature.ts";
import type { SiteKeyPair } from "../core/identity.ts";
import { type ClusterId, type OriginId, parseSeq, type SiteId } from "../core/names.ts";
import { decodeOperation, operationHeader } from "../core/operation-codec.ts";
import type { Vector } from "../core/records.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Hash } from "../ports/hash.ts";
import type { LogEntry, LogPage, OriginHead, Replica, SignedHead } from "../storage/replica.ts";
import type { Withdrawn } from "../storage/withdrawn.ts";
import type { ChunkLeases } from "./chunk-leases.ts";
import { chainBeforeOf, chainBehind, isOfSameOrigin, sameChain, seqsOf } from "./log-entries.ts";
import { encodePage } from "./page-frame.ts";
import { refusalReply } from "./peer-replies.ts";
import type { PeerAnswer } from "./peer-server.ts";
import {
  FEATURE_LEVEL,
  type Hint,
  markOf,
  type PageHead,
  type PullRequest,
  parseHint,
  parsePullRequest,
  seqsOfKnown,
  writePageHead,
} from "./wire-pages.ts";

/** What a site needs to know of itself to speak for its own log. */
export type LogOwner = {
  readonly clusterId: ClusterId;
  readonly siteId: SiteId;
  readonly origin: OriginId;
  readonly keyPair: SiteKeyPair;
  /** Ends of its former logs that do not count any more. */
  readonly withdrawn: readonly Withdrawn[];
};

/** What a peer said about itself, in a request or a hint. */
export type PeerTold = Hint;

export type PageServerDeps = {
  readonly replica: Replica;
  readonly owner: LogOwner;
  readonly clock: Clock;
  readonly hash: Hash;
  readonly leases: ChunkLeases;
  /** Called with what a peer tells of itself, before it is answered. */
  readonly told: (peer: SiteRecord, told: PeerTold) => void;
  /** Called with what an answer tells a peer of this site. */
  readonly answered: (peer: SiteRecord, told: Pick<Hint, "received" | keyof AppliedSet>) => void;
  /** Called when a peer has another history of an origin than this site. */
  readonly diverged: (peer: SiteRecord, origins: readonly OriginId[]) => void;
  /** Bytes of operations that an answer may carry, at most those that were asked for. */
  readonly served: (peer: SiteRecord, bytes: number) => void;
};

export type PeerQuestion = {
  readonly peer: SiteRecord;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
};

/** A position that no log ever reaches: "nothing of this origin". */
const NEVER = parseSeq(Number.MAX_SAFE_INTEGER);
/** Requests of one peer that wait for news at once; one more is answered with what there is. */
const WAITERS_MAX = 4;

/** Answers peers that pull: with operations beyond their vector, or when there are some. */
export class PageServer {
  readonly #deps: PageServerDeps;
  readonly #waiting = new Map<SiteId, number>();
  /** What ends each wait for news: the peer is then answered with what there is. */
  readonly #ends = new Set<() => void>();
  #closed = false;

  constructor(deps: PageServerDeps) {
    this.#deps = deps;
  }

  /** Whether a peer waits here for news: then it needs no hint. */
  isAwaitedBy(peer: SiteId): boolean {
    return this.#waiting.has(peer);
  }

  /** Answers all that wait with what there is, and nobody who comes later. */
  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
  }

  /** `POST /v1/repl/pull`. */
  async answerPull({ peer, body, signal }: PeerQuestion): Promise<PeerAnswer> {
    const parsed = parsePullRequest(body);
    if (parsed.outcome === "bad") return refusalReply(400, parsed.problem);
    if (this.#closed) return { status: 503, body: Buffer.from('{"error":"closing"}') };
    const request = parsed.value;
    this.#deps.told(peer, {
      received: seqsOfKnown(request.received),
      ...{ applied: request.applied, holes: request.holes },
      ...{ wallMs: request.wallMs, featureLevel: request.featureLevel },
    });
    const diverged = this.#findDiverged(request);
    const after = this.#vectorOf(request, diverged);
    const page = await this.#readWhenThere({ peer, after, request, signal });
    const entries = page.outcome === "page" ? this.#withoutStrangers(page, request, diverged) : [];
    if (diverged.size > 0) this.#deps.diverged(peer, [...diverged]);
    this.#lease(entries);
    const head: PageHead = {
      outcome: page.outcome,
      floors: page.outcome === "page" ? [] : [...page.origins],
      diverged: [...diverged],
      heads: page.outcome === "page" ? this.#signedHeads(page.heads, entries) : [],
      received: seqsOf(this.#deps.replica.received()),
      ...appliedSetOf(this.#deps.replica),
      more: page.outcome === "page" && page.more,
      wallMs: this.#deps.clock.nowMs(),
      featureLevel: FEATURE_LEVEL,
    };
    this.#deps.answered(peer, head);
    const written = writePageHead(head, seqsOfKnown(request.received));
    const frame = encodePage({ head: written, entries }, request.compress);
    this.#deps.served(peer, frame.length);
    return { status: 200, body: frame };
  }

  /** `POST /v1/repl/hint`: a peer has news, or has applied what came from here. */
  answerHint({ peer, body }: PeerQuestion): PeerAnswer {
    const parsed = parseHint(body);
    if (parsed.outcome === "bad") return refusalReply(400, parsed.problem);
    this.#deps.told(peer, parsed.value);
    return { status: 200, body: Buffer.from("{}") };
  }

  /**
   * Origins of which the peer has another history: it stands where we stand with another chain, or
   * knows more of our own origin than we ever wrote, because one of the two is a copy or was set
   * back.
   */
  #findDiverged({ received }: PullRequest): Set<OriginId> {
    const ours = this.#deps.replica.received();
    const diverged = new Set<OriginId>();
    for (const [origin, seq, mark] of received) {
      const head = ours.get(origin);
      const ahead = origin === this.#deps.owner.origin && seq > (head?.seq ?? 0);
      const other = head?.seq === seq && !sameChain(mark, markOf(head.chain));
      if (ahead || other) diverged.add(origin);
    }
    return diverged;
  }

  #vectorOf(request: PullRequest, diverged: ReadonlySet<OriginId>): Vector {
    const after = new Map(request.received.map(([origin, seq]) => [origin, seq]));
    const { only, skip } = request;
    const unwanted = new Set([...skip, ...diverged]);
    for (const origin of this.#deps.replica.received().keys()) {
      if (only.length > 0 && !only.includes(origin)) unwanted.add(origin);
    }
    for (const origin of unwanted) if (NEVER !== undefined) after.set(origin, NEVER);
    return after;
  }

  async #readWhenThere(wish: {
    readonly peer: SiteRecord;
    readonly after: Vector;
    readonly request: PullRequest;
    readonly signal: AbortSignal;
  }): Promise<LogPage> {
    const { replica, clock } = this.#deps;
    const { after, request, signal } = wish;
    const peer = wish.peer.id;
    const waiters = this.#waiting.get(peer) ?? 0;
    const waitMs = waiters < WAITERS_MAX && !this.#closed ? request.waitMs : 0;
    const untilMs = clock.monotonicMs() + waitMs;
    this.#waiting.set(peer, waiters + 1);
    try {
      for (;;) {
        const restMs = this.#closed ? 0 : untilMs - clock.monotonicMs();
        const news = listenForCommit(replica, clock, restMs);
        try {
          if (restMs <= 0 || hasNews(replica.received(), after)) {
            const page = await replica.readLog(after, request.bytesMax);
            const nothing = page.outcome === "page" && page.entries.length === 0;
            if (!nothing || restMs <= 0) return page;
          }
          signal.addEventListener("abort", news.end, { once: true });
          this.#ends.add(news.end);
          if (!signal.aborted) await news.heard;
          this.#ends.delete(news.end);
          signal.removeEventListener("abort", news.end);
          if (signal.aborted) return { outcome: "page", entries: [], heads: [], more: false };
        } finally {
          news.end();
        }
      }
    } finally {
      const left = (this.#waiting.get(peer) ?? 1) - 1;
      if (left > 0) this.#waiting.set(peer, left);
      else this.#waiting.delete(peer);
    }
  }

  /**
   * Leaves out origins whose first operation does not continue the chain that the peer has: the
   * peer has another history of them.
   */
  #withoutStrangers(
    page: Extract<LogPage, { outcome: "page" }>,
    request: PullRequest,
    diverged: Set<OriginId>,
  ): readonly LogEntry[] {
    const known = new Map(request.received.map(([origin, seq, mark]) => [origin, { seq, mark }]));
    const seen = new Set<OriginId>();
    let before: Uint8Array | undefined;
    for (const { encoded } of page.entries) {
      if (before !== undefined && isOfSameOrigin(before, encoded)) continue;
      before = encoded;
      const { origin, seq } = operationHeader(encoded);
      if (seen.has(origin)) continue;
      seen.add(origin);
      const theirs = known.get(origin);
      if (theirs === undefined || seq !== theirs.seq + 1) continue;
      if (!sameChain(markOf(chainBeforeOf(encoded)), theirs.mark)) diverged.add(origin);
    }
    if (diverged.size === 0) return page.entries;
    return page.entries.filter(({ encoded }) => !diverged.has(operationHeader(encoded).origin));
  }

  /**
   * The signed heads of a page: our own are signed here, those of others come with the signatures
   * of their sites.
   */
  #signedHeads(
    relayed: readonly SignedHead[],
    entries: readonly LogEntry[],
  ): readonly SignedHead[] {
    const { clusterId: cluster, siteId: site, keyPair } = this.#deps.owner;
    const signed = [...this.#deps.replica.ownOrigins].flatMap((origin) => {
      const last = entries.findLast(({ encoded }) => operationHeader(encoded).origin === origin);
      if (last === undefined) return [];
      const chain = chainBehind(this.#deps.hash, last.encoded);
      const { seq } = operationHeader(last.encoded);
      const signature = signHead(keyPair, { cluster, site, origin, seq, chain });
      return [{ origin, site, seq, chain, signature }];
    });
    return [...relayed, ...signed];
  }

  /** Leases the chunks of a page, so that they are still there when the peer asks for them. */
  #lease(entries: readonly LogEntry[]): void {
    for (const { encoded, inline } of entries) {
      if (inline !== undefined || operationHeader(encoded).kind !== "object-put") continue;
      const { body } = decodeOperation(encoded);
      if (body.kind !== "object-put" || body.object.body.kind !== "manifests") continue;
      for (const { hash } of body.object.body.manifests) {
        const chunks = this.#deps.replica.manifest(hash);
        if (chunks === undefined) continue;
        this.#deps.leases.take(hash, () => chunks.map((chunk) => chunk.hash));
      }
    }
  }
}

function hasNews(received: ReadonlyMap<OriginId, OriginHead>, after: Vector): boolean {
  for (const [origin, { seq }] of received) if (seq > (after.get(origin) ?? 0)) return true;
  return false;
}

/** Hears of the next commit, or that the time is over, whichever is first. */
function listenForCommit(
  replica: Replica,
  clock: Clock,
  restMs: number,
): { readonly heard: Promise<void>; readonly end: () => void } {
  let hear: () => void = () => undefined;
  const heard = new Promise<void>((resolve) => {
    hear = resolve;
  });
  const forget = replica.onCommit(hear);
  const cancel = clock.after(Math.max(0, restMs), hear);
  const end = (): void => {
    forget();
    cancel();
    hear();
  };
  return { heard, end };
}
