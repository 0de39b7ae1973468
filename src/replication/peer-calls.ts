import { NOTHING_APPLIED } from "../core/applied-set.ts";
import { LayoutError } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { type ContentHash, parseSeq, type SiteId } from "../core/names.ts";
import type { Dot } from "../core/records.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { LogEntry } from "../storage/replica.ts";
import type { Bandwidth } from "./bandwidth.ts";
import { chainBeforeOf } from "./log-entries.ts";
import { decodePage } from "./page-frame.ts";
import { PeerLie } from "./peer-lie.ts";
import { type ReceivedManifest, readManifests, writeManifestsRequest } from "./wire-bodies.ts";
import {
  FEATURE_LEVEL,
  type Hint,
  type KnownHead,
  markOf,
  type PageHead,
  type PullRequest,
  parsePageHead,
  seqsOfKnown,
  writeHint,
  writePullRequest,
} from "./wire-pages.ts";

/** One signed request to a peer; the answer is whole and verified. Rejects with a PeerFault. */
export type AskPeer = (
  peer: SiteRecord,
  request: {
    readonly method: "GET" | "POST";
    /** Path and query. */
    readonly path: string;
    readonly body?: Uint8Array;
    /** An answer with more bytes is cut off. */
    readonly bytesMax: number;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  },
) => Promise<{ readonly status: number; readonly body: Buffer }>;

export type PulledPage = {
  readonly head: PageHead;
  readonly entries: readonly LogEntry[];
  /** Bytes that came over the wire for it, without headers. */
  readonly bytes: number;
};

export type WantedPiece = {
  readonly hash: ContentHash;
  readonly offset: number;
  readonly bytes: number;
  /** The list that the chunk stands in. */
  readonly manifest: ContentHash;
};

export type PeerCallsDeps = {
  readonly ask: AskPeer;
  readonly bandwidth: Bandwidth;
  /** This site's wall clock in Unix milliseconds. */
  readonly nowMs: () => number;
};

/**
 * How long to wait beyond the time that an answer may take: a peer that is silent for longer counts
 * as gone.
 */
const PATIENCE_MS = 15_000;
const SMALL_ANSWER_BYTES = 64 * 1024;
const MANIFESTS_ANSWER_BYTES = LIMITS.replicationAnswerBytesMax;

/** The requests to one peer. Whatever comes back is bounded and parsed. */
export class PeerCalls {
  readonly peer: SiteRecord;
  readonly #deps: PeerCallsDeps;

  constructor(deps: PeerCallsDeps, peer: SiteRecord) {
    this.#deps = deps;
    this.peer = peer;
  }

  get site(): SiteId {
    return this.peer.id;
  }

  /** Asks for operations beyond what is known here; waits at the peer until there are some. */
  async pull(
    wish: Omit<PullRequest, "bytesMax" | "compress" | "wallMs" | "featureLevel">,
    signal: AbortSignal,
    bytesMax = LIMITS.replicationPageBytes,
  ): Promise<PulledPage> {
    const { bandwidth, nowMs } = this.#deps;
    await bandwidth.ready(signal);
    const body = writePullRequest({
      ...wish,
      bytesMax: bandwidth.bytesAtOnce(bytesMax),
      ...{ compress: true, wallMs: nowMs(), featureLevel: FEATURE_LEVEL },
    });
    const answer = await this.#post("/v1/repl/pull", body, {
      bytesMax: LIMITS.replicationAnswerBytesMax,
      timeoutMs: wish.waitMs + PATIENCE_MS,
      signal,
    });
    const frame = believe(() => decodePage(answer));
    const head = parsePageHead(frame.head, seqsOfKnown(wish.received));
    if (head.outcome === "bad")
      throw new PeerLie(`the head of a page is not valid: ${head.problem}`);
    return { head: head.value, entries: frame.entries, bytes: answer.length };
  }

  /** One operation with its small body; undefined when the peer has not both. */
  async entry(dot: Dot, encoded: Uint8Array, signal: AbortSignal): Promise<LogEntry | undefined> {
    const before = parseSeq(dot.seq - 1);
    if (before === undefined) return undefined;
    const known: KnownHead = [dot.origin, before, markOf(chainBeforeOf(encoded))];
    const wish = {
      ...{ received: before === 0 ? [] : [known], ...NOTHING_APPLIED, only: [dot.origin] },
      ...{ skip: [], waitMs: 0 },
    };
    const { entries } = await this.pull(wish, signal, 1);
    const [first] = entries;
    if (first?.inline === undefined || Buffer.compare(first.encoded, encoded) !== 0)
      return undefined;
    return first;
  }

  /** Lists of chunks, in the order of their hashes; undefined for those that are not there. */
  async manifests(
    hashes: readonly ContentHash[],
    signal: AbortSignal,
  ): Promise<ReadonlyArray<ReceivedManifest | undefined>> {
    await this.#deps.bandwidth.ready(signal);
    const answer = await this.#post("/v1/repl/manifests", writeManifestsRequest(hashes), {
      ...{ bytesMax: MANIFESTS_ANSWER_BYTES, timeoutMs: PATIENCE_MS, signal },
    });
    return believe(() => readManifests(answer, hashes.length));
  }

  /** A piece of a chunk, as long as was asked for or shorter; undefined when it is not there. */
  async chunk(wanted: WantedPiece, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { ask, bandwidth } = this.#deps;
    await bandwidth.ready(signal);
    const bytes = bandwidth.bytesAtOnce(wanted.bytes);
    const query = `hash=${wanted.hash}&offset=${wanted.offset}&bytes=${bytes}`;
    const response = await ask(this.peer, {
      method: "GET",
      path: `/v1/repl/chunk?${query}&manifest=${wanted.manifest}`,
      ...{ bytesMax: Math.max(bytes, SMALL_ANSWER_BYTES), timeoutMs: 60_000, signal },
    });
    const piece = response.body;
    bandwidth.spend(piece.length);
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw new Error(`the peer answered ${response.status}`);
    if (piece.length === 0 || piece.length > bytes) throw new PeerLie("a chunk of another length");
    return piece;
  }

  /** Tells the peer of news, and of what has been applied here. */
  async hint(hint: Omit<Hint, "wallMs" | "featureLevel">, signal: AbortSignal): Promise<void> {
    const body = writeHint({ ...hint, wallMs: this.#deps.nowMs(), featureLevel: FEATURE_LEVEL });
    const bounds = { bytesMax: SMALL_ANSWER_BYTES, timeoutMs: PATIENCE_MS, signal };
    await this.#post("/v1/repl/hint", body, bounds);
  }

  async #post(
    path: string,
    body: Uint8Array,
    bounds: { bytesMax: number; timeoutMs: number; signal: AbortSignal },
  ): Promise<Buffer> {
    const response = await this.#deps.ask(this.peer, { method: "POST", path, body, ...bounds });
    const answer = response.body;
    this.#deps.bandwidth.spend(answer.length);
    if (response.status !== 200) throw new Error(`the peer answered ${response.status} to ${path}`);
    return answer;
  }
}

function believe<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (failure) {
    if (failure instanceof LayoutError) throw new PeerLie(`not an answer: ${failure.message}`);
    throw failure;
  }
}
