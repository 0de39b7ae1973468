import type { Hlc } from "../core/hlc.ts";

/*
 * What a store counts about itself, as its users see it. Import it from store.ts.
 */

export type Usage = {
  /** Keys whose newest version is an object. */
  readonly objects: number;
  /** Of all versions. */
  readonly bytes: number;
  /** Versions that are objects, current ones included. */
  readonly versions: number;
  readonly deleteMarkers: number;
  /** Writes that lost to others which did not know of them; in none of the counts above. */
  readonly conflicts: number;
  readonly prefixes: ReadonlyMap<string, { readonly objects: number; readonly bytes: number }>;
};

export type StoreStats = {
  readonly objects: number;
  readonly bytes: number;
  readonly versions: number;
  readonly deleteMarkers: number;
  readonly conflicts: number;
  readonly multipartUploads: number;
  readonly segments: {
    readonly count: number;
    readonly open: number;
    readonly liveBytes: number;
    readonly deadBytes: number;
    readonly pinnedBytes: number;
  };
  readonly commit: {
    readonly batches: number;
    readonly operations: number;
    readonly syncMs: { readonly p50: number; readonly p99: number };
    readonly directIo: boolean;
  };
  readonly index: {
    readonly applied: string;
    readonly replayedOperations: number;
    readonly bytes: number;
  };
  readonly hlc: Hlc;
};

export type HouseReport = {
  readonly segmentsSealed: number;
  readonly segmentsDropped: number;
  readonly bytesFreed: number;
  readonly resultsExpired: number;
  readonly checkpointTaken: boolean;
};
