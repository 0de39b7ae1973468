import { LayoutError } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { OperationBody } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { LogEntry } from "../storage/replica.ts";
import { mayBeBody } from "../storage/right-body.ts";

/**
 * Whether the small body that came with an operation may be the one that its origin wrote. Such a
 * body stands beside the operation and not under its origin's signature, but the ETag does. Of an
 * operation that this program cannot read nothing is known: the log refuses it, and what follows of
 * its origin, and nobody else has to wait for that.
 */
export function mayBeBodyOf(
  hash: Pick<Hash, "digest">,
  { encoded, inline }: Pick<LogEntry, "encoded" | "inline">,
): boolean {
  if (inline === undefined) return true;
  const operation = bodyOf(encoded);
  if (operation === undefined) return true;
  return operation.kind === "object-put" && mayBeBody(hash, operation.object, inline);
}

/** Undefined when it cannot be read: it is damaged, or of a newer program. */
function bodyOf(encoded: Uint8Array): OperationBody | undefined {
  try {
    return decodeOperation(encoded).body;
  } catch (failure) {
    const isNewer = failure instanceof StorageFault && failure.kind === "unsupported";
    if (isNewer || failure instanceof LayoutError) return undefined;
    throw failure;
  }
}
