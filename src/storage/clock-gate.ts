import type { ClockGuard } from "./clock-guard.ts";
import type { Store } from "./store.ts";

/** Writes that take their time from this site's clock. */
const STAMPED = [
  "createBucket",
  "putBucketSetting",
  "deleteBucket",
  "changeObject",
  "putObject",
  "appendObject",
  "renameObject",
  "deleteObject",
  "deleteObjects",
  // A clock that is wrong must not expire anything.
  "expireVersions",
  "completeUpload",
  "putAccessKey",
] as const satisfies readonly (keyof Store)[];

type Write = (request: never) => Promise<unknown>;

/** Puts the clock's guard in front of the writes of clients; they are rejected while it says so. */
export function gateWrites(store: Store, guard: Pick<ClockGuard, "refusal">): Store {
  const gated: Record<string, Write> = {};
  for (const name of STAMPED) {
    const write: Write = store[name];
    gated[name] = (request) => {
      const refusal = guard.refusal();
      return refusal === undefined ? write(request) : Promise.reject(refusal);
    };
  }
  return { ...store, ...gated };
}
