import type { Hlc } from "./hlc.ts";
import type { OriginId, Seq, SiteId } from "./names.ts";

/** How far the log of one origin is here, and what its last operation says. */
export type OriginState = {
  readonly origin: OriginId;
  readonly seq: Seq;
  /** Hash chain after that operation: 32 bytes. */
  readonly chain: Uint8Array;
  readonly hlc: Hlc;
  /** What the origin had received of others when it issued that operation. */
  readonly vector: ReadonlyMap<OriginId, Seq>;
};

/** A position in an origin's log that the origin's site has signed. */
export type SignedHead = {
  readonly origin: OriginId;
  readonly site: SiteId;
  readonly seq: Seq;
  readonly chain: Uint8Array;
  readonly signature: Uint8Array;
};

type OriginDot = { readonly origin: OriginId; readonly seq: Seq };

/** What a site remembers about the logs of other origins; local records like any other. */
export type OriginRecord =
  /**
   * In the first batch of a commit-lane segment, once other origins are known: the state of every
   * log before it, our own included, so that it is known after older segments have been dropped.
   */
  | { readonly kind: "origin-heads"; readonly heads: readonly OriginState[] }
  /** These operations of the same batch came without their bytes: they are not applied. */
  | {
      readonly kind: "operations-parked";
      readonly operations: ReadonlyArray<OriginDot & { readonly reason: string }>;
    }
  /**
   * These operations of the same batch will never be applied: their bytes exist nowhere, and nobody
   * misses them.
   */
  | { readonly kind: "operations-void"; readonly operations: readonly OriginDot[] }
  /** These operations were parked, and follow in the same batch again, with their bytes. */
  | {
      readonly kind: "operations-unparked";
      /** With what its origin had received of others: the log has moved on since. */
      readonly operations: ReadonlyArray<
        OriginDot & { readonly vector: ReadonlyMap<OriginId, Seq> }
      >;
    }
  | { readonly kind: "heads-signed"; readonly heads: readonly SignedHead[] }
  /** What another site said that it has applied, and when it was last heard of. */
  | {
      readonly kind: "peer-applied";
      readonly site: SiteId;
      readonly heardMs: number;
      readonly applied: ReadonlyMap<OriginId, Seq>;
    };

export type OriginRecordKind = OriginRecord["kind"];
