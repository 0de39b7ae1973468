import { StorageFault } from "../core/faults.ts";
import type { SiteId } from "../core/names.ts";
import type { ManifestRef } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import type { IncomingManifest } from "../storage/replica.ts";
import type { FetchedBody } from "./body-fetch.ts";

export type BroughtBytesDeps = {
  readonly clock: Pick<Clock, "sleep">;
  /** Fetches the missing bytes of one body from any site, asking the named one first. */
  readonly ask: (manifest: ManifestRef, first: SiteId, signal: AbortSignal) => Promise<FetchedBody>;
};

/** Tries for one part, with a rest in between: a short break of the link costs one part. */
const TRIES_MAX = 4;
const REST_MS = 1000;

/**
 * Fetches the missing bytes of the parts of an upload that another site has, one after the other.
 * When the rest cannot be had, what was staged is discarded.
 *
 * @throws StorageFault "unreachable".
 */
export async function bringParts(
  deps: BroughtBytesDeps,
  refs: readonly ManifestRef[],
  from: SiteId,
  signal: AbortSignal,
): Promise<readonly IncomingManifest[]> {
  const fetched: IncomingManifest[] = [];
  const distinct = new Map(refs.map((ref) => [ref.hash, ref]));
  try {
    for (const ref of distinct.values()) fetched.push(...(await fetchOne(deps, ref, from, signal)));
    return fetched;
  } catch (failure) {
    for (const { staged } of fetched) staged?.discard();
    throw failure;
  }
}

async function fetchOne(
  { clock, ask }: BroughtBytesDeps,
  ref: ManifestRef,
  from: SiteId,
  signal: AbortSignal,
): Promise<readonly IncomingManifest[]> {
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted();
    const body = await ask(ref, from, signal);
    if (body.outcome === "whole") return body.manifests;
    if (body.outcome === "gone" || tries === TRIES_MAX) {
      throw new StorageFault("unreachable", "bytes of an upload stand at another site only", {
        hint: body.outcome === "gone" ? "No site has them." : body.reason,
      });
    }
    await clock.sleep(REST_MS, signal);
  }
}
