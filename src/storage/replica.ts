import type { Holes } from "../core/applied-set.ts";
import type { Hlc } from "../core/hlc.ts";
import type { ContentHash, OriginId, Seq, SiteId } from "../core/names.ts";
import type { SignedHead } from "../core/origin-records.ts";
import type { Dot, ManifestChunk, ManifestRef, Operation, Vector } from "../core/records.ts";
import type { ChainedEntry } from "./chained-entry.ts";
import type { BodyWriter, StagedBody } from "./stored.ts";

export type { SignedHead } from "../core/origin-records.ts";

/** How far one origin's log is durable here, and the hash chain behind its last operation. */
export type OriginHead = {
  readonly origin: OriginId;
  readonly seq: Seq;
  /** 32 bytes. */
  readonly chain: Uint8Array;
  readonly hlc: Hlc;
};

/** One operation as it travels: its own encoding, and its body when that lies beside it. */
export type LogEntry = {
  readonly encoded: Uint8Array;
  readonly inline: Uint8Array | undefined;
  /**
   * Why this log has it without its bytes: no site could give them, or they exist nowhere any more.
   */
  readonly missing?: "parked" | "void";
};

export type LogPage =
  | {
      readonly outcome: "page";
      /** In this log's order; gap-free per origin, from what the vector says. */
      readonly entries: readonly LogEntry[];
      /** Heads signed by other origins' sites that the page ends at. */
      readonly heads: readonly SignedHead[];
      /** Whether the log holds more behind the page. */
      readonly more: boolean;
    }
  /** The log begins later than the vector asks for: rows must be fetched instead. */
  | { readonly outcome: "below-floor"; readonly origins: readonly OriginId[] };

/** An operation of another origin on its way into the log. */
export type IncomingOperation = LogEntry & {
  /** The same operation, when its place in its origin's log has been checked already. */
  readonly chained?: ChainedEntry;
  /**
   * `whole`: inline body, or all manifests and chunks, are here. `parked`: no peer has its bytes
   * now. `void`: its bytes exist nowhere any more, because a later operation took its place.
   * `remote`: its bucket shows rows first, and what it names of bytes may stay where it is.
   */
  readonly state:
    | { readonly kind: "whole"; readonly manifests: readonly IncomingManifest[] }
    | { readonly kind: "parked"; readonly reason: string }
    | { readonly kind: "void" }
    | { readonly kind: "remote" };
};

/** A manifest that this store lacks, with those of its chunks that were staged. */
export type IncomingManifest = {
  readonly hash: ContentHash;
  readonly chunks: readonly ManifestChunk[];
  readonly staged: StagedBody | undefined;
};

/**
 * Fetches the missing bytes of manifests, staged and verified. Rejects when they cannot be had;
 * everything staged has been discarded then.
 */
export type BringManifests = (
  manifests: readonly ManifestRef[],
) => Promise<readonly IncomingManifest[]>;

/** What became of an operation. After a refusal nothing more of that origin is taken. */
export type IngestOutcome =
  | { readonly outcome: "applied" | "parked" | "void" | "duplicate" }
  | {
      readonly outcome: "refused";
      /**
       * `gap`: an earlier operation is missing. `chain`: the origin has another history here.
       * `clock`: it is too far in the future. `damaged`, `unsupported`: its bytes cannot be read.
       * `bytes`: the bytes that it names are not here.
       */
      readonly reason: "gap" | "chain" | "clock" | "damaged" | "unsupported" | "bytes";
      readonly dot: Dot | undefined;
      readonly message: string;
    };

export type ParkedOperation = {
  readonly dot: Dot;
  readonly hlc: Hlc;
  readonly reason: string;
};

/** So many parked operations of one origin at most, the first ones behind a place in its log. */
export type ParkedPart = {
  readonly origin: OriginId;
  readonly behind: number;
  readonly countMax: number;
};

/**
 * The log as other sites see it: what is in it, in which order, and how operations of other origins
 * come in. Everything a promise resolves with is durable and visible.
 */
export interface Replica {
  readonly origin: OriginId;
  /**
   * Ours, and those of this site's earlier incarnations whose segments are here: this site signs
   * for all of them, because after a restored backup nobody else ever may.
   */
  readonly ownOrigins: ReadonlySet<OriginId>;
  /** How far each origin's operations are durable here, our own included. */
  received(): ReadonlyMap<OriginId, OriginHead>;
  /** How far each origin's operations have been applied without exception, our own included. */
  applied(): Vector;
  /**
   * What is parked behind that, as far as there is room to tell: with `applied` it says which
   * operations have been applied.
   */
  holes(): Holes;
  /** By origin, and in the order of its log; all of them, or a part. There may be very many. */
  parked(part?: ParkedPart): readonly ParkedOperation[];
  /** How many are parked, batches in line included: costs the same, however many there are. */
  parkedCount(): number;
  /** Operations up to these are not in the log any more. */
  floors(): Vector;
  /**
   * Operations beyond a vector, in this log's order, bounded by bytes. Cost follows the page, not
   * the log.
   */
  readLog(after: Vector, bytesMax: number): Promise<LogPage>;
  /** Calls back after every commit that added operations; gives a function that ends it. */
  onCommit(listener: () => void): () => void;
  /** Takes operations in, in order, with the signatures of the heads that they end at. */
  ingest(
    operations: readonly IncomingOperation[],
    heads: readonly SignedHead[],
  ): Promise<readonly IngestOutcome[]>;
  /** An operation that was parked, to be fetched again; undefined when it is not parked. */
  parkedEntry(dot: Dot): Promise<LogEntry | undefined>;
  /**
   * Whether a put is no longer wanted here, because a later operation took its place or its
   * version was deleted for good: then its bytes need not be had any more. `isGone`: every member
   * was asked for them, and none has them; then one that only lost is no conflict anywhere either.
   */
  superseded(operation: Operation, isGone?: boolean): boolean;
  /**
   * Ends a parked put whose bytes no member has any more, at every site: its version is deleted, or
   * what it would have overwritten is written again. Gives whether it was parked, and a put.
   *
   * @throws StorageFault "disk-full", "busy", "clock" or "corrupt".
   */
  giveUp(dot: Dot): Promise<boolean>;
  /**
   * Notes what a peer has applied: what all peers have applied may be trimmed from the log. What it
   * has received is the same unless something waits there for its bytes. Cheap; calls may come in
   * any order.
   */
  acknowledge(site: SiteId, applied: Vector, received?: Vector): void;
  /**
   * Keeps operations beyond the named vectors from being trimmed, until the returned function is
   * called.
   */
  holdLog(vectors: () => readonly Vector[]): () => void;

  manifest(hash: ContentHash): readonly ManifestChunk[] | undefined;
  hasChunk(hash: ContentHash): boolean;
  /** A chunk's bytes from an offset on, verified; undefined when it is not here or damaged. */
  readChunk(hash: ContentHash, offset: number, bytes: number): Promise<Buffer | undefined>;
  /**
   * Keeps the segments of these chunks from being dropped, until the returned function is called.
   */
  leaseChunks(hashes: readonly ContentHash[]): () => void;
  /**
   * Receives chunks of other sites; what is written is cut into chunks and pinned as any large body
   * is.
   */
  stageBody(): Promise<BodyWriter>;
}
