import { LayoutError } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { SiteRecord } from "../core/site-record.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { RowRange } from "../storage/logical-rows.ts";
import type { LogEntry } from "../storage/replica.ts";
import type { Bandwidth } from "./bandwidth.ts";
import { decodePage } from "./page-frame.ts";
import type { AskPeer } from "./peer-calls.ts";
import { PeerLie } from "./peer-lie.ts";
import type { KnownHead } from "./wire-pages.ts";
import {
  type ListAnswer,
  parseListAnswer,
  parseRangesAnswer,
  parseRowsHead,
  parseStartAnswer,
  type RangeHash,
  type RowsRequest,
  type StartAnswer,
  writeListRequest,
  writeRangesRequest,
  writeRowsRequest,
  writeStartRequest,
} from "./wire-rows.ts";
import type { Parsed } from "./wire-values.ts";

export type RowCallsDeps = {
  readonly ask: AskPeer;
  readonly bandwidth: Bandwidth;
  /** What this site has received of the peer's own logs. */
  readonly known: () => readonly KnownHead[];
};

export type RowPage = {
  readonly entries: readonly LogEntry[];
  /** Positions of rows whose bytes are damaged there. */
  readonly refused: readonly string[];
  readonly next: string | undefined;
};

/** The peer cannot do what was asked, and says why. */
export class RowRefusal extends Error {
  override readonly name = "RowRefusal";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Hashing a range takes a while at a peer with a cold index. */
const PATIENCE_MS = 60_000;

/** The requests to one peer about its rows. Whatever comes back is bounded. */
export class RowCalls {
  readonly peer: SiteRecord;
  readonly #deps: RowCallsDeps;
  /** Requests so far: what tests count instead of time. */
  requests = 0;

  constructor(deps: RowCallsDeps, peer: SiteRecord) {
    this.#deps = deps;
    this.peer = peer;
  }

  /**
   * Begins a bootstrap, or renews its lease.
   *
   * @throws RowRefusal 410 when the lease has ended; 409 when the peer gives no rows now.
   */
  async start(lease: string | undefined, signal: AbortSignal): Promise<StartAnswer> {
    const request = writeStartRequest({ lease, known: this.#deps.known() });
    const answer = await this.#post("/v1/repl/bootstrap", request, signal);
    return believe(parseStartAnswer(answer));
  }

  /** Rows of a range with their small bodies. */
  async rows(request: RowsRequest, signal: AbortSignal): Promise<RowPage> {
    const bytesMax = this.#deps.bandwidth.bytesAtOnce(request.bytesMax);
    const body = writeRowsRequest({ ...request, bytesMax });
    const page = readPage(await this.#post("/v1/repl/rows", body, signal));
    const { next, refused } = believe(parseRowsHead(page.head));
    requireProgress(request.range, next);
    return { entries: page.entries, next, refused };
  }

  /** Hashes of ranges, each up to a number of rows. */
  async ranges(
    ranges: readonly RowRange[],
    rowsMax: number,
    signal: AbortSignal,
  ): Promise<readonly RangeHash[]> {
    const body = writeRangesRequest({ ranges, rowsMax });
    const answer = believe(parseRangesAnswer(await this.#post("/v1/repl/ranges", body, signal)));
    if (answer.ranges.length !== ranges.length) throw new PeerLie("it answers other ranges");
    for (const [at, range] of ranges.entries()) requireProgress(range, answer.ranges[at]?.next);
    return answer.ranges;
  }

  /** The rows of a short range, each with its hash. */
  async list(range: RowRange, signal: AbortSignal): Promise<ListAnswer> {
    const answer = believe(
      parseListAnswer(await this.#post("/v1/repl/row-hashes", writeListRequest(range), signal)),
    );
    requireProgress(range, answer.next);
    return answer;
  }

  async #post(path: string, body: Uint8Array, signal: AbortSignal): Promise<Buffer> {
    const { ask, bandwidth } = this.#deps;
    await bandwidth.ready(signal);
    this.requests += 1;
    const response = await ask(this.peer, {
      ...{ method: "POST", path, body, signal },
      ...{ bytesMax: LIMITS.replicationAnswerBytesMax, timeoutMs: PATIENCE_MS },
    });
    const answer = response.body;
    bandwidth.spend(answer.length);
    if (response.status === 200) return answer;
    throw new RowRefusal(response.status, problemOf(answer) ?? `it answered ${response.status}`);
  }
}

/**
 * Throws unless an answer continues behind its start and within the range: otherwise a walk might
 * never end.
 */
function requireProgress({ from, to }: RowRange, next: string | undefined): void {
  if (next === undefined) return;
  const goesOn = compareUtf8(next, from) > 0 && (to === undefined || compareUtf8(next, to) < 0);
  if (!goesOn) throw new PeerLie("an answer that does not go on");
}

/** The reason in a refusal of ours; never more than a line. */
function problemOf(answer: Buffer): string | undefined {
  const found = /"problem":"([^"\\]{1,200})"/.exec(answer.toString("latin1"));
  return found?.[1];
}

function readPage(answer: Buffer): ReturnType<typeof decodePage> {
  try {
    return decodePage(answer);
  } catch (failure) {
    if (failure instanceof LayoutError) throw new PeerLie(`not an answer: ${failure.message}`);
    throw failure;
  }
}

function believe<Value>(parsed: Parsed<Value>): Value {
  if (parsed.outcome === "ok") return parsed.value;
  throw new PeerLie(`not an answer: ${parsed.problem}`);
}
