import type { BucketName, ContentHash, ObjectKey } from "../core/names.ts";
import type { LocalRecord, LogStart, Operation, RowName, WriteStamp } from "../core/records.ts";
import type { RemoteBodies } from "./remote-bodies.ts";
import type { IncomingManifest } from "./replica.ts";
import type { StoredObject } from "./stored.ts";

/**
 * One fact of the index as the operation that states it, with that operation's dot and clock
 * reading, outside any hash chain. Two sites that agree have the same logical rows.
 */
export type LogicalRow = {
  /**
   * Its place in the order of all rows, which is the same at every site: compared by UTF-8 bytes.
   */
  readonly position: string;
  readonly operation: Operation;
  /** The object whose bytes belong to the row. */
  readonly stored: StoredObject | undefined;
};

/** A stretch of positions: from `from` up to but not including `to`, which may be open. */
export type RowRange = {
  readonly from: string;
  readonly to: string | undefined;
  /**
   * Whether versions that are kept behind their deletes stand in front of those, as if they had not
   * been deleted: whoever takes all rows over has to keep them too. Sites that agree about all else
   * may differ in what they keep, so nothing else asks for them.
   */
  readonly withKept?: true;
};

export type RowStep = {
  readonly rows: readonly LogicalRow[];
  /** Where the next step begins; undefined at the end of the range. */
  readonly next: string | undefined;
};

/** A row of another site on its way into the log, with those of its bytes that are not here yet. */
export type IncomingRow = {
  /** The encoding of its operation. */
  readonly encoded: Uint8Array;
  readonly inline: Uint8Array | undefined;
  readonly manifests: readonly IncomingManifest[];
  /** Its bucket is metadata-first: bytes that it names and that are not here may stay away. */
  readonly remote?: true;
};

export type Bootstrap = Omit<Extract<LocalRecord, { kind: "bootstrap" }>, "kind">;

/**
 * A write that is overwritten or settled, and may still arrive by its log: it will be no conflict.
 */
export type SettledWrite = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly write: WriteStamp;
};

/** What whoever takes over all rows of a site has to know before it reads the first. */
export type RowStart = {
  /** Behind these the logs go on. */
  readonly heads: readonly LogStart[];
  /** Writes that the logs bring there, and that are overwritten or settled already. */
  readonly settled: readonly SettledWrite[];
};

/** What is done in one commit of an import. */
export type ImportStep = {
  readonly rows: readonly IncomingRow[];
  /** Rows that are here and were removed at the other site. */
  readonly removed: readonly RowName[];
  /** Writes that the other site's logs will still bring, but that are settled there already. */
  readonly settled?: readonly SettledWrite[];
  /** How far the bootstrap has come with this step; undefined outside a bootstrap. */
  readonly progress: Bootstrap | undefined;
  /**
   * Whether versions that are here already are written again with their bytes, because their copy
   * is damaged.
   */
  readonly rewrite: boolean;
};

export type ImportOutcome = {
  readonly imported: number;
  /**
   * Rows whose bytes disappeared meanwhile: the others were taken, and the bootstrap's progress was
   * not noted. Or rows too far in the future, and then nothing was taken.
   */
  readonly refused: ReadonlyArray<{
    readonly row: IncomingRow;
    readonly operation: Operation;
    readonly why: "bytes" | "clock";
  }>;
};

/** Bytes of this site that do not verify. */
export type Damage =
  | { readonly kind: "chunk"; readonly hash: ContentHash; readonly bytes: number }
  | { readonly kind: "inline"; readonly object: StoredObject };

/**
 * Fetches the right bytes for damaged ones; undefined when no site has them. The caller checks
 * chunks against their hash; small bodies are believed.
 */
export type RepairSource = (damage: Damage) => Promise<Uint8Array | undefined>;

/** Called with what was mended, or why it could not be. */
export type MendTold = (damage: Damage, failure: unknown) => void;

/**
 * The contents of a store row by row and without its history: what a bootstrap takes over, and what
 * two sites compare. Whatever a promise resolves with is durable and visible.
 */
export interface LogicalRows {
  /** Bodies that rows name and whose bytes are not here. */
  readonly remote: RemoteBodies;
  /** Rows of a range in order of position, within this turn; at most `rowsMax`, at least 1. */
  read(range: RowRange, rowsMax: number): RowStep;
  /** About how many rows there are, and bytes of their bodies; from usage, not by a walk. */
  sum(): { readonly rows: number; readonly bytes: number };
  /** The verified bytes of an inline body; undefined when they are damaged or were removed. */
  inlineBody(stored: StoredObject): Promise<Uint8Array | undefined>;
  /** Takes rows over, in one commit. @throws StorageFault "disk-full", "busy" or "closed". */
  import(step: ImportStep): Promise<ImportOutcome>;
  /** How far the unfinished bootstrap has come; undefined when there is none. */
  bootstrap(): Bootstrap | undefined;
  /** Where the logs begin that came as rows, by origin. */
  floors(): readonly LogStart[];
  /** Positions of rows that a bootstrap had to leave out: their bytes could not be had. */
  owed(): readonly string[];
  /** Notes which of them are owed no more. */
  settleOwed(settled: ReadonlySet<string>): Promise<void>;
  /** Reads every byte of a body and hashes it anew; tells what of it is not right. */
  check(stored: StoredObject): Promise<readonly Damage[]>;
  /** From now on damaged bytes are fetched from this source, served, and written anew. */
  repairFrom(source: RepairSource, told: MendTold): void;
  /**
   * Writes the right bytes anew in place of damaged ones; false when they are not needed any more.
   */
  mend(damage: Damage, bytes: Uint8Array): Promise<boolean>;
  /** Copies that have been written anew since the start. */
  mended(): number;
  /** Where every log stands now, our own included. */
  heads(): readonly LogStart[];
  /** Settled writes that those heads do not cover, read in the same turn. */
  settled(): readonly SettledWrite[];
  /**
   * What whoever takes over all rows from now on begins with; or why it cannot do that here now.
   * `begun` is told the heads in the turn in which the logs stand there: nothing behind them may be
   * dropped from then on. In front of an operation that waits for its bytes a log stands still.
   */
  start(
    begun: (heads: readonly LogStart[]) => void,
  ): Promise<RowStart | { readonly problem: string }>;
  /**
   * Ends a bootstrap: logs go on behind these heads, and what is parked here up to them is over.
   */
  setFloors(heads: readonly LogStart[]): Promise<void>;
}
