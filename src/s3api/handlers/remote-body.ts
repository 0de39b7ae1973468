import { StorageFault, type StorageFaultKind } from "../../core/faults.ts";
import type { Store, StoredObject } from "../../storage/store.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { HandlerDeps, Reply } from "../operation.ts";

/**
 * On answers to GET and HEAD of an object of which bytes were not here yet when the request came:
 * its bucket shows rows first. The value is always "remote".
 */
const BYTES_HEADER = "x-atoll-bytes";

/** Marks an answer about an object of which bytes are missing here; false when none is. */
export function markRemote(
  lines: HeaderLines,
  { store }: Pick<HandlerDeps, "store">,
  object: StoredObject,
): boolean {
  if (!store.remote.isRemote(object)) return false;
  lines.push([BYTES_HEADER, "remote"]);
  return true;
}

type Stream = Extract<Reply, { kind: "stream" }>;

/**
 * Waits for the first bytes of a body that is fetched in part from another site, so that a failure
 * to fetch them can still be answered: no head has been sent by then.
 *
 * @throws StorageFault "unreachable".
 */
export async function startRemote(reply: Stream): Promise<Reply> {
  const { reader } = reply;
  try {
    let first = await reader.next();
    const next = (): ReturnType<typeof reader.next> => {
      if (first === undefined) return reader.next();
      const slice = first;
      first = undefined;
      return Promise.resolve(slice);
    };
    return { ...reply, reader: { next, close: () => reader.close() } };
  } catch (failure) {
    reader.close();
    throw failure;
  }
}

/** The faults that a reader of a removed body meets. */
const GONE: ReadonlySet<StorageFaultKind> = new Set(["corrupt", "unreachable"]);

/**
 * Whether an object could not be read because it was removed or replaced after it had been looked
 * up: then the current object is the answer.
 */
export function hasGone(
  { store }: Pick<HandlerDeps, "store">,
  object: StoredObject,
  failure: unknown,
): boolean {
  const mayBe = failure instanceof StorageFault && GONE.has(failure.kind);
  return mayBe && !isThere(store, object);
}

function isThere(store: Store, { bucket, key, version, isNull, conflict }: StoredObject): boolean {
  if (conflict === true) return store.conflicts.find(bucket, key, version) !== undefined;
  const now = store.version(bucket, key, isNull ? "null" : version);
  return now?.kind === "object" && now.object.version === version;
}
