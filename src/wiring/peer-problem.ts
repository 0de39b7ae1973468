import { errnoOf, StorageFault, type StorageFaultKind } from "../core/faults.ts";
import { PeerFault, type PeerFaultKind } from "../replication/peer-fault.ts";

/** What went wrong with a peer, in the words in which the administration tells of failures. */
export function tellOperator(failure: unknown): never {
  if (!(failure instanceof PeerFault)) throw failure;
  throw faultOf(failure, SILENT.has(failure.kind) ? "unreachable" : "io");
}

/** The same for a client, who cannot have now what only that peer may give, whatever the reason. */
export function tellClient(failure: unknown): never {
  throw failure instanceof PeerFault ? faultOf(failure, "unreachable") : failure;
}

/** It did not answer, as far as one can tell. */
const SILENT: ReadonlySet<PeerFaultKind> = new Set(["unreachable", "timeout"]);

function faultOf(cause: PeerFault, kind: StorageFaultKind): StorageFault {
  const { message, hint } = cause;
  return new StorageFault(kind, message, { ...(hint === undefined ? {} : { hint }), cause });
}

/** What went wrong with a directory that the operator named: it is theirs, not the site's. */
export function tellOfDisk(failure: unknown): never {
  if (errnoOf(failure) === undefined || !(failure instanceof Error)) throw failure;
  throw new StorageFault("io", failure.message, {
    hint:
      "Name a directory that the server may use, on a disk with room; as a service of systemd it " +
      "writes below ReadWritePaths alone.",
    cause: failure,
  });
}
