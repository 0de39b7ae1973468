import { LayoutError } from "../core/bytes.ts";
import { hlcMs } from "../core/hlc.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import { hasWritableDates } from "../core/operation-dates.ts";
import type { LogStart, ManifestRef, Operation } from "../core/records.ts";
import { manifestsOf, type OpenBatch } from "./batch.ts";
import { sayDeleteAgain } from "./deletes-again.ts";
import { isWhole, takeManifest } from "./incoming-bytes.ts";
import type {
  Bootstrap,
  ImportOutcome,
  ImportStep,
  IncomingRow,
  SettledWrite,
} from "./logical-rows.ts";
import { historyOf } from "./metadata/apply-conflicts.ts";
import { deletesOf } from "./metadata/apply-deletes.ts";
import { winsNullSlot } from "./metadata/apply-versions.ts";
import { judgeSettled } from "./metadata/judge-conflicts.ts";
import { nullVersion, sameWrite, versionById, writeIdOf } from "./metadata/key-versions.ts";
import { BOOTSTRAP_KEY, FLOORS_KEY } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { NewConflict } from "./new-conflicts.ts";
import { stagedChunks } from "./objects.ts";
import { mayStayRemote, sayRemote } from "./remote-manifests.ts";
import type { Replica } from "./replica.ts";
import type { StoreParts } from "./store-parts.ts";

const RECORD_BYTES = 1024;
const VOID = { kind: "void" } as const;

/**
 * Takes over rows of another site. In one commit all that are wanted become part of the log and
 * visible, together with how far the bootstrap has come. Repeating a step changes nothing.
 *
 * @throws StorageFault "disk-full" or "busy", and LayoutError for bytes that are no operation, all
 * of them before anything is begun.
 */
export async function importRows(parts: StoreParts, step: ImportStep): Promise<ImportOutcome> {
  const decoded = step.rows.map((row) => ({ row, operation: readRow(row) }));
  const staged = step.rows.flatMap(({ manifests }) =>
    manifests.flatMap((manifest) => (manifest.staged === undefined ? [] : [manifest.staged])),
  );
  const bytes = step.rows.reduce(
    (sum, { encoded, inline }) => sum + encoded.length + (inline?.length ?? 0) + 64,
    RECORD_BYTES + (step.removed.length + (step.settled?.length ?? 0)) * 256,
  );
  const all = bytes + bytesOf(step.progress?.owed ?? []);
  try {
    parts.admission.admit(all);
    return await parts.committer.submit(all, (batch) => judgeImport(parts, batch, step, decoded));
  } finally {
    for (const body of staged) stagedChunks(body).release();
  }
}

function readRow({ encoded }: IncomingRow): Operation {
  const operation = decodeOperation(encoded);
  if (hasWritableDates(operation.body)) return operation;
  throw new LayoutError("a row is dated where no calendar reaches");
}

type Decoded = { readonly row: IncomingRow; readonly operation: Operation };

function judgeImport(
  parts: StoreParts,
  batch: OpenBatch,
  step: ImportStep,
  decoded: readonly Decoded[],
): ImportOutcome {
  const ahead = decoded.filter(({ operation }) => isAhead(parts, operation));
  if (ahead.length > 0) {
    // Nothing of the step is taken: it is repeated once this site's clock has caught up.
    return { imported: 0, refused: ahead.map((one) => ({ ...one, why: "clock" })) };
  }
  for (const one of step.settled ?? []) takeSettled(batch, one);
  const refused: Array<ImportOutcome["refused"][number]> = [];
  let imported = 0;
  const isBootstrap = step.progress !== undefined;
  const held = holdBytes(batch, decoded, step);
  const taken: Array<readonly [Operation, readonly NewConflict[]]> = [];
  for (const { row, operation } of decoded) {
    if (!hasBytes(batch, { row, operation })) {
      refused.push({ row, operation, why: "bytes" });
    } else if (step.rewrite || isNews(batch, operation, step)) {
      for (const manifest of row.manifests) takeManifest(batch, manifest);
      taken.push([operation, takeRow(batch, { row, operation }, step.progress?.heads)]);
      imported += 1;
    }
  }
  if (step.removed.length > 0) batch.local({ kind: "rows-removed", rows: step.removed });
  batch.context.references.dropManifestRefs(held);
  // The first step of a bootstrap is not noted yet: who takes all rows over knows too little.
  if (!isBootstrap || step.progress.merges === true) {
    for (const [operation, conflicts] of taken) sayDeleteAgain(batch, parts, operation, conflicts);
  }
  // What was refused has still to come.
  const isWhole = refused.length === 0;
  if (step.progress !== undefined && isWhole) batch.local({ kind: "bootstrap", ...step.progress });
  return { imported, refused };
}

/**
 * Takes in bytes that come with the rows, and holds those that are here: a row may take away what
 * named them, and one behind it name them too. Gives what has to be let go of again.
 */
function holdBytes(
  batch: OpenBatch,
  decoded: readonly Decoded[],
  step: ImportStep,
): readonly ManifestRef[] {
  const { view, references } = batch.context;
  const held: ManifestRef[] = [];
  for (const one of decoded) {
    const refs = manifestsOf(one.operation.body);
    if (refs.length === 0) continue;
    const isWanted = step.rewrite || isNews(batch, one.operation, step);
    if (isWanted && hasBytes(batch, one)) {
      for (const manifest of one.row.manifests) takeManifest(batch, manifest);
    }
    held.push(...refs.filter(({ hash }) => view.get(TABLES.manifest, hash) !== undefined));
  }
  references.addManifestRefs(held);
  return held;
}

/**
 * Makes a row part of the log, with a record in front of it about what it names and is not here.
 * Gives the conflicts that it makes.
 */
function takeRow(
  batch: OpenBatch,
  { row, operation }: Decoded,
  heads: readonly LogStart[] | undefined,
): readonly NewConflict[] {
  if (row.remote === true) sayRemote(batch, operation);
  const { references } = batch.context;
  // A row that loses to a later one names nothing, so nothing of it is kept, or reported missing.
  const manifests = manifestsOf(operation.body);
  references.addManifestRefs(manifests);
  const conflicts = batch.row(operation, row.inline, heads);
  references.dropManifestRefs(manifests);
  return conflicts;
}

/** Remembers that a write will be no conflict when it arrives. */
function takeSettled(batch: OpenBatch, { write, ...name }: SettledWrite): void {
  const record = judgeSettled(batch.context.view, name, write, batch.isApplied(write));
  if (record !== undefined) batch.local(record);
}

/** Whether a clock reading is so far ahead that it would carry this site's clock away. */
function isAhead({ clock, timeBounds }: StoreParts, { hlc }: Operation): boolean {
  return hlcMs(hlc) > clock.nowMs() + timeBounds.clockDriftMs;
}

/** Whether the bytes of an object are here, or come with it. */
function hasBytes(batch: OpenBatch, { row, operation }: Decoded): boolean {
  const { body } = operation;
  if (body.kind !== "object-put") return true;
  if (body.object.body.kind === "inline") return row.inline?.length === body.object.body.bytes;
  if (row.remote === true && mayStayRemote(batch, operation)) return true;
  return body.object.body.manifests.every((ref) => isWhole(batch, ref, row.manifests));
}

/**
 * Whether a change is about a conflict that does not exist here because it was overwritten or
 * settled.
 */
function isOfNothing(
  { context: { view }, hasArrived }: OpenBatch,
  { body }: Operation,
  { progress }: ImportStep,
): boolean {
  if (body.kind !== "object-meta" || progress === undefined) return false;
  const id = writeIdOf(body.version);
  const inSlot = nullVersion(view, body);
  if (inSlot !== undefined && sameWrite(inSlot.row.stamp, id)) return false;
  const history = historyOf(view, body, id)?.kind;
  if (history !== undefined) return history === "settled";
  if (!hasArrived(id) || deletesOf(view, body, id) !== undefined) return false;
  return versionById(view, body, id) === undefined;
}

/**
 * Whether a row has to be taken: not an object that is here already or lost to a later one, which
 * needs neither a record nor its bytes.
 */
function isNews(batch: OpenBatch, operation: Operation, step: ImportStep): boolean {
  const { body, hlc, dot } = operation;
  if (body.kind !== "object-put") return !isOfNothing(batch, operation, step);
  const { view } = batch.context;
  const id = { hlc, ...dot };
  const found = body.nullSlot ? nullVersion(view, body) : versionById(view, body, id);
  const isHere = found !== undefined && sameWrite(found.row.stamp, id);
  if (!body.nullSlot) return !isHere;
  const known = historyOf(view, body, id)?.kind;
  if (body.conflict === true) {
    if (known === "conflict" || known === "settled") return false;
    // A bootstrap meets what has a verdict here already: the other site has not heard of it.
    return isHere || known !== undefined || step.progress === undefined || !batch.isApplied(dot);
  }
  // It was overwritten here, and that must still be known when it comes once more by its log.
  return !isHere && (known !== "settled" || winsNullSlot(batch.context, body, id));
}

/** How far a bootstrap has come that is under way here; undefined when none is. */
export function readBootstrap({ index }: Pick<StoreParts, "index">): Bootstrap | undefined {
  return index.get(TABLES.bootstrap, BOOTSTRAP_KEY)?.record;
}

/** Where logs begin here that came as rows. */
export function readFloors({ index }: Pick<StoreParts, "index">): readonly LogStart[] {
  return index.get(TABLES.floors, FLOORS_KEY)?.record.heads ?? [];
}

/** Positions of rows that came with no bytes from where they were taken over, and are not here. */
export function readOwed({ index }: Pick<StoreParts, "index">): readonly string[] {
  const before = index.get(TABLES.floors, FLOORS_KEY)?.record.owed ?? [];
  return together(before, readBootstrap({ index })?.owed ?? []);
}

/** What positions take in a record, at most. */
function bytesOf(positions: readonly string[]): number {
  return positions.reduce((sum, { length }) => sum + 3 * length, 0);
}

function together(left: readonly string[], right: readonly string[]): readonly string[] {
  return [...new Set([...left, ...right])];
}

/** Notes that rows are owed no more: they have come, or no member has them any more. */
export function settleOwed(
  { committer, admission, index }: StoreParts,
  settled: ReadonlySet<string>,
): Promise<void> {
  admission.admitSmall();
  const bytes = RECORD_BYTES + bytesOf(readOwed({ index }));
  return committer.submit<void>(bytes, (batch) => {
    const { view } = batch.context;
    const before = view.get(TABLES.floors, FLOORS_KEY)?.record;
    // The record ends a bootstrap: what one has brought is looked at when it is done.
    const isBusy = view.get(TABLES.bootstrap, BOOTSTRAP_KEY) !== undefined;
    if (before === undefined || isBusy) return;
    const owed = before.owed?.filter((position) => !settled.has(position)) ?? [];
    batch.local({ kind: "floors", heads: before.heads, owed });
  });
}

/** Parked operations that are ended at once. */
const ENDED_AT_ONCE = 100;

/**
 * Ends parked operations that the rows of another site stand for: it had applied them, so whatever
 * is left of them is among its rows. One that was deleted there may have no mark any more that
 * would keep it away when its bytes come.
 */
export async function endParked(
  replica: Pick<Replica, "parked" | "parkedEntry" | "ingest">,
  heads: readonly LogStart[],
): Promise<void> {
  for (const { origin, seq } of heads) {
    for (let behind = 0; behind < seq; ) {
      const part = replica.parked({ origin, behind, countMax: ENDED_AT_ONCE });
      behind = part.at(-1)?.dot.seq ?? seq;
      const covered = part.filter(({ dot }) => dot.seq <= seq);
      const entries = await Promise.all(covered.map(({ dot }) => replica.parkedEntry(dot)));
      const known = entries.filter((entry) => entry !== undefined);
      // Each by itself and in their order: so groups may end of which a part has come.
      const ended = known.map((entry) => replica.ingest([{ ...entry, state: VOID }], []));
      await Promise.all(ended);
    }
  }
}

/**
 * Ends a bootstrap: what came as rows covers every log up to these heads, so that operations are
 * asked for from there on, and none before is relayed.
 */
export function setFloors(
  { committer, admission, index }: StoreParts,
  heads: readonly LogStart[],
): Promise<void> {
  admission.admitSmall();
  const bytes = RECORD_BYTES + heads.length * 256 + bytesOf(readOwed({ index }));
  return committer.submit<void>(bytes, (batch) => {
    const { view } = batch.context;
    const before = view.get(TABLES.floors, FLOORS_KEY)?.record;
    const brought = view.get(TABLES.bootstrap, BOOTSTRAP_KEY)?.record;
    const owed = together(before?.owed ?? [], brought?.owed ?? []);
    const merged = new Map((before?.heads ?? []).map((head) => [head.origin, head]));
    for (const head of heads) {
      const known = merged.get(head.origin);
      if (known === undefined || known.seq < head.seq) merged.set(head.origin, head);
    }
    const sorted = [...merged.values()].sort((left, right) =>
      left.origin < right.origin ? -1 : 1,
    );
    batch.local({ kind: "floors", heads: sorted, owed });
  });
}
