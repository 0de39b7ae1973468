import type { OperationBody, WriteStamp } from "../../core/records.ts";
import { isSaidAgain } from "./again.ts";
import { nullVersion } from "./key-versions.ts";
import { tombstoneOf } from "./version-places.ts";
import type { IndexView } from "./view.ts";

/**
 * The write of the null slot that an operation replaces; undefined when the slot was empty, and for
 * a delete that is said again, which knew of nothing itself.
 */
export function priorOf(view: IndexView, body: OperationBody): WriteStamp | undefined {
  if (body.kind !== "object-put" && body.kind !== "object-delete") return undefined;
  if (!body.nullSlot || isSaidAgain(body)) return undefined;
  return nullVersion(view, body)?.row.stamp ?? tombstoneOf(view, body)?.stamp;
}

/** The operation's body, with the write of the null slot that it replaces as its `prior`. */
export function withPrior(view: IndexView, body: OperationBody): OperationBody {
  const prior = priorOf(view, body);
  return prior === undefined ? body : ({ ...body, prior } as OperationBody);
}
