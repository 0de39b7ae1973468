import type { Cancel, Clock } from "../ports/clock.ts";
import type { WriteHold } from "../storage/write-hold.ts";

/** How long writes wait at a start for peers that do not answer. */
const HOLD_MS = 5000;

/**
 * Lets writes of clients wait until all peers have told that nothing is missing of this site's own
 * log, or could not be asked for a while: a site that is cut off takes writes all the same. Gives a
 * function that ends it.
 */
export function releaseWhenVouched(
  hold: WriteHold,
  vouched: Promise<void>,
  clock: Pick<Clock, "after">,
): Cancel {
  const cancel = clock.after(HOLD_MS, end);
  function end(): void {
    cancel();
    hold.end();
  }
  void vouched.then(end);
  return end;
}
