import type { BucketName, OriginId, SiteId } from "../core/names.ts";
import { decodeOperation, operationHeader } from "../core/operation-codec.ts";
import type { BodyRef, OperationBody } from "../core/records.ts";
import type { IncomingOperation, IngestOutcome, LogEntry, Replica } from "../storage/replica.ts";
import type { FetchedBody } from "./body-fetch.ts";
import { dotOf } from "./log-entries.ts";
import type { CheckedPage } from "./page-check.ts";
import { ShownFirst } from "./shown-first.ts";

type Refused = Extract<IngestOutcome, { outcome: "refused" }>;

/** What became of a page. */
export type TakenPage = {
  /** Operations that are new in the log. */
  readonly operations: number;
  readonly parked: number;
  /** The first operation of each origin that was refused: what follows it was not looked at. */
  readonly refused: ReadonlyMap<OriginId, { readonly entry: LogEntry; readonly why: Refused }>;
};

export type PageTakerDeps = {
  /** Whether a bucket shows rows before their bytes are here. */
  readonly showsRowsFirst: (bucket: BucketName) => boolean;
  readonly replica: Pick<Replica, "manifest" | "ingest">;
  /** How many bytes of bodies are fetched before a page is taken. */
  readonly fetchNowBytes: number;
  readonly fetch: (
    body: Extract<BodyRef, { kind: "manifests" }>,
    from: SiteId,
    signal: AbortSignal,
  ) => Promise<FetchedBody>;
};

/** The reason noted when bytes are still to be fetched: it stays when nobody has them any more. */
const FETCHING = "its bytes have not come yet";
const NO_BODY = "the peer had it without its body";

/** Bodies of one page that are fetched at once. */
const AT_ONCE = 4;

type State = IncomingOperation["state"];
type Need =
  | { readonly kind: "nothing" }
  | { readonly kind: "body" }
  | {
      readonly kind: "manifests";
      readonly bucket: BucketName;
      readonly body: Extract<BodyRef, { kind: "manifests" }>;
    };

type Fetch = {
  readonly at: number;
  readonly origin: OriginId;
  readonly body: Extract<BodyRef, { kind: "manifests" }>;
};

const WHOLE: State = { kind: "whole", manifests: [] };

/**
 * Takes a checked page into the log. Bodies of moderate size are fetched first, so that their
 * operations are whole at once. An operation whose bytes would delay the others is parked, durably,
 * and its bytes are fetched meanwhile.
 */
export async function takePage(
  deps: PageTakerDeps,
  page: CheckedPage,
  from: SiteId,
  signal: AbortSignal,
): Promise<TakenPage> {
  if (page.entries.length === 0) return { operations: 0, parked: 0, refused: new Map() };
  const states = await statesOf(deps, page.entries, from, signal);
  const incoming = page.entries.map((chained, at) => {
    const { encoded, inline } = chained;
    return { encoded, inline, chained, state: states[at] ?? WHOLE };
  });
  const outcomes = await deps.replica.ingest(incoming, page.heads);
  const refused = new Map<OriginId, { entry: LogEntry; why: Refused }>();
  let operations = 0;
  let parked = 0;
  for (const [at, entry] of incoming.entries()) {
    const outcome = outcomes[at];
    if (outcome === undefined) continue;
    if (outcome.outcome === "refused" || outcome.outcome === "duplicate") discard(entry.state);
    if (outcome.outcome === "refused") {
      const { origin } = dotOf(entry.encoded);
      if (!refused.has(origin)) refused.set(origin, { entry, why: outcome });
    } else if (outcome.outcome !== "duplicate") operations += 1;
    if (outcome.outcome === "parked") parked += 1;
  }
  return { operations, parked, refused };
}

function discard(state: State): void {
  if (state.kind !== "whole") return;
  for (const { staged } of state.manifests) staged?.discard();
}

/** Decides for each operation whether it comes whole, and fetches what it lacks within bounds. */
async function statesOf(
  deps: PageTakerDeps,
  entries: readonly LogEntry[],
  from: SiteId,
  signal: AbortSignal,
): Promise<readonly State[]> {
  const states: State[] = [];
  const fetches: Fetch[] = [];
  let budget = deps.fetchNowBytes;
  const shownFirst = new ShownFirst(deps.showsRowsFirst);
  for (const [at, entry] of entries.entries()) {
    // An operation with a body beside it is a put, as nearly all are.
    if (entry.inline === undefined && isOf("bucket-setting", entry.encoded)) {
      shownFirst.note(decodeOperation(entry.encoded).body);
    }
    const need = needOf(entry);
    states.push(need.kind === "body" ? { kind: "parked", reason: NO_BODY } : WHOLE);
    if (need.kind !== "manifests") continue;
    const missing = missingBytes(deps, need.body);
    if (missing === 0) continue;
    if (shownFirst.has(need.bucket)) {
      states[at] = { kind: "remote" };
      continue;
    }
    budget -= missing;
    if (budget >= 0) fetches.push({ at, origin: dotOf(entry.encoded).origin, body: need.body });
    else states[at] = { kind: "parked", reason: FETCHING };
  }
  const failures: unknown[] = [];
  /** Who has their bytes does not answer: the others of the page do not wait for each of them. */
  const silent = new Set<OriginId>();
  const fetchNext = async (): Promise<void> => {
    for (let next = fetches.shift(); next !== undefined; next = fetches.shift()) {
      const { at, origin, body } = next;
      if (silent.has(origin)) {
        states[at] = { kind: "parked", reason: FETCHING };
        continue;
      }
      try {
        const fetched = await deps.fetch(body, from, signal);
        states[at] = stateOf(fetched);
        if (fetched.outcome === "unreachable") silent.add(origin);
      } catch (failure) {
        fetches.length = 0;
        failures.push(failure);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, fetchNext));
  if (failures.length === 0) return states;
  for (const state of states) discard(state);
  throw failures[0];
}

function stateOf(fetched: FetchedBody): State {
  switch (fetched.outcome) {
    case "whole":
      return { kind: "whole", manifests: fetched.manifests };
    case "gone":
      return { kind: "parked", reason: "no peer has its bytes" };
    case "unreachable":
      return { kind: "parked", reason: fetched.reason };
  }
}

/** What an operation needs besides what came with it. */
export function needOf({ encoded, inline }: LogEntry): Need {
  if (inline !== undefined || !isOf("object-put", encoded)) return { kind: "nothing" };
  const { body } = decodeOperation(encoded);
  if (body.kind !== "object-put") return { kind: "nothing" };
  const bytes = body.object.body;
  if (bytes.kind === "manifests") return { kind: "manifests", bucket: body.bucket, body: bytes };
  return { kind: bytes.bytes === 0 ? "nothing" : "body" };
}

/** Kinds that this program does not know are refused by the log, with the reason. */
function isOf(kind: OperationBody["kind"], encoded: Uint8Array): boolean {
  try {
    return operationHeader(encoded).kind === kind;
  } catch {
    return false;
  }
}

function missingBytes(
  { replica }: PageTakerDeps,
  { manifests }: Extract<BodyRef, { kind: "manifests" }>,
): number {
  return manifests.reduce((sum, { hash, bytes }) => {
    return replica.manifest(hash) === undefined ? sum + bytes : sum;
  }, 0);
}
