import { errnoOf, StorageFault } from "../core/faults.ts";
import { PeerFault } from "../replication/peer-fault.ts";

/** What went wrong with a peer, in the words in which the administration tells of failures. */
export function tellOperator(failure: unknown): never {
  if (!(failure instanceof PeerFault)) throw failure;
  const { message, hint } = failure;
  throw new StorageFault("unreachable", message, {
    ...(hint === undefined ? {} : { hint }),
    cause: failure,
  });
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
