import { LayoutError, toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { OperationBody } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { LogEntry } from "../storage/replica.ts";

const MD5_HEX = /^[0-9a-f]{32}$/;

/**
 * Whether the small body that came with an operation may be the one that its origin wrote. Such a
 * body stands beside the operation and not under its origin's signature, but the ETag does, and it
 * is the MD5 of the bytes: of every object but one that was uploaded or appended in parts (which
 * has another form) or is encrypted (whose bytes are refused by their key when they are read). Of
 * those the length alone is known. Of an operation that this program cannot read nothing is: the
 * log refuses it, and what follows of its origin, and nobody else has to wait for that.
 */
export function mayBeBodyOf(
  hash: Pick<Hash, "digest">,
  { encoded, inline }: Pick<LogEntry, "encoded" | "inline">,
): boolean {
  if (inline === undefined) return true;
  const operation = bodyOf(encoded);
  if (operation === undefined) return true;
  if (operation.kind !== "object-put") return false;
  const { body, etag, parts, encryption } = operation.object;
  if (body.kind !== "inline" || body.bytes !== inline.length) return false;
  if (encryption !== undefined || parts.length > 0 || !MD5_HEX.test(etag)) return true;
  return toHex(hash.digest("MD5", inline)) === etag;
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
