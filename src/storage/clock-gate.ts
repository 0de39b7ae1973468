import type { ClockGuard } from "./clock-guard.ts";
import type { Conflicts } from "./conflict-wishes.ts";
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
  "resealAccessKey",
] as const satisfies readonly (keyof Store)[];

type Gate = Pick<ClockGuard, "refusal">;

/** Puts the clock's guard in front of the writes of clients; they are rejected while it says so. */
export function gateWrites(store: Store, guard: Gate): Store {
  const gated: Record<string, (...request: never[]) => Promise<unknown>> = {};
  for (const name of STAMPED) gated[name] = gate<never[], unknown>(guard, store[name]);
  const { conflicts } = store;
  // A conflict that is restored is written anew, over what no lock keeps by this clock.
  const resolve = gate(guard, (...wish: Parameters<Conflicts["resolve"]>) => {
    return conflicts.resolve(...wish);
  });
  return { ...store, ...gated, conflicts: { ...conflicts, resolve } };
}

function gate<Given extends unknown[], Result>(
  guard: Gate,
  write: (...given: Given) => Promise<Result>,
): (...given: Given) => Promise<Result> {
  return (...given) => {
    const refusal = guard.refusal();
    return refusal === undefined ? write(...given) : Promise.reject(refusal);
  };
}
