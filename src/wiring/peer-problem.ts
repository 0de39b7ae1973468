import { StorageFault } from "../core/faults.ts";
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
