import type { OriginId, Seq } from "../../core/names.ts";
import { parseOriginId, parseSeq } from "../../core/names.ts";
import type { OriginRecord, OriginRecordKind } from "../../core/origin-records.ts";
import type { Dot, Operation, Vector } from "../../core/records.ts";
import type { ApplyContext } from "./apply-context.ts";
import { bury } from "./graves.ts";
import type { KeyName } from "./key-versions.ts";
import { logRunKeyOf } from "./keys.ts";
import { TABLES } from "./rows.ts";

type RecordOf<Kind extends OriginRecordKind> = Extract<OriginRecord, { kind: Kind }>;

/** Applies a record about other origins. */
export function applyOriginRecord(context: ApplyContext, record: OriginRecord, home: number): void {
  switch (record.kind) {
    case "heads-signed":
      keepSignatures(context, record, home);
      return;
    case "operations-unparked":
      for (const dot of record.operations) unpark(context, dot, home);
      return;
    case "peer-applied":
      acknowledge(context, record, home);
      return;
    case "origin-heads":
    case "operations-parked":
    case "operations-void":
      // Said to whoever follows the logs, about operations behind it; they leave no row themselves.
      return;
  }
}

function keepSignatures(
  { view }: ApplyContext,
  { heads }: RecordOf<"heads-signed">,
  home: number,
): void {
  for (const { origin, seq, site, chain, signature } of heads) {
    view.put(TABLES.signedHead, logRunKeyOf(origin, seq), { home, site, chain, signature });
  }
}

/** The null slot that an operation writes; undefined when it writes none. */
export function writtenSlot(body: Operation["body"]): KeyName | undefined {
  if (body.kind !== "object-put" && body.kind !== "object-delete") return undefined;
  return body.nullSlot ? { bucket: body.bucket, key: body.key } : undefined;
}

/** An operation stands in the log without its bytes: what it says is not applied. */
export function parkOperation(
  { view, references }: ApplyContext,
  { dot, hlc, body, group }: Operation,
  { home, reason, vector }: { home: number; reason: string; vector: Vector },
): void {
  const row = { home, hlc, reason, vector, slot: writtenSlot(body), group: group?.id };
  view.put(TABLES.parked, logRunKeyOf(dot.origin, dot.seq), row);
  references.addLive(home, 1, 0);
}

/** Its bytes have come. The parked operation must not be found again by a rebuild without this. */
function unpark(context: ApplyContext, { origin, seq }: Dot, home: number): void {
  const key = logRunKeyOf(origin, seq);
  const row = context.view.get(TABLES.parked, key);
  if (row === undefined) return;
  context.view.remove(TABLES.parked, key);
  context.references.addLive(row.home, -1, 0);
  bury(context, home, row.home);
}

function acknowledge(
  { view, references }: ApplyContext,
  { site, heardMs, applied }: RecordOf<"peer-applied">,
  home: number,
): void {
  const before = view.get(TABLES.acknowledged, site);
  if (before !== undefined) references.addLive(before.home, -1, 0);
  view.put(TABLES.acknowledged, site, { home, heardMs, applied });
  references.addLive(home, 1, 0);
}

/** Origin and sequence of a key of runs, signed heads and parked operations. */
export function dotOfKey(key: string): Dot | undefined {
  const origin: OriginId | undefined = parseOriginId(key.slice(0, 16));
  const seq: Seq | undefined = parseSeq(Number.parseInt(key.slice(16), 16));
  return origin === undefined || seq === undefined ? undefined : { origin, seq };
}
