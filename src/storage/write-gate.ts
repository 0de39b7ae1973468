import type { ClockGuard } from "./clock-guard.ts";
import type { Conflicts } from "./conflict-wishes.ts";
import type { Store } from "./store.ts";
import { WriteHold } from "./write-hold.ts";

/** Writes that take their time from this site's clock, and a place in its log. */
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

type Gate = {
  readonly guard: Pick<ClockGuard, "refusal">;
  readonly hold: Pick<WriteHold, "waiting">;
};
type Gates = {
  readonly guard: Gate["guard"];
  readonly hold: WriteHold;
  /** Whether a write would go through at once. */
  readonly areOpen: () => boolean;
};

/** What writes have to pass: the clock must be believed, and the end of the log be known. */
export function makeGates(guard: Gate["guard"]): Gates {
  const hold = new WriteHold();
  return {
    guard,
    hold,
    areOpen: () => hold.waiting === undefined && guard.refusal() === undefined,
  };
}

/**
 * Puts a gate in front of the writes of clients: they wait while the hold lasts, and are rejected
 * while the clock is not believed.
 */
export function gateWrites(store: Store, gates: Gate): Store {
  const gated: Record<string, (...request: never[]) => Promise<unknown>> = {};
  for (const name of STAMPED) gated[name] = gate<never[], unknown>(gates, store[name]);
  const { conflicts } = store;
  // A conflict that is restored is written anew, over what no lock keeps by this clock.
  const resolve = gate(gates, (...wish: Parameters<Conflicts["resolve"]>) => {
    return conflicts.resolve(...wish);
  });
  return { ...store, ...gated, conflicts: { ...conflicts, resolve } };
}

function gate<Given extends unknown[], Result>(
  { guard, hold }: Gate,
  write: (...given: Given) => Promise<Result>,
): (...given: Given) => Promise<Result> {
  const judge: typeof write = (...given) => {
    const refusal = guard.refusal();
    return refusal === undefined ? write(...given) : Promise.reject(refusal);
  };
  return (...given) => {
    const { waiting } = hold;
    return waiting === undefined ? judge(...given) : waiting.then(() => judge(...given));
  };
}
