import type { BucketName, ContentHash, ObjectKey } from "../core/names.ts";
import type { LocalRecord, LogStart, Operation, RowName, WriteStamp } from "../core/records.ts";
import type { RemoteBodies } from "./remote-bodies.ts";
import type { IncomingManifest } from "./replica.ts";
import type { StoredObject } from "./stored.ts";

/**
 * One fact of the index as the operation that states it: with the dot and the reading of the clock
 * of the operation it came from, outside any chain. Two sites that agree have the same ones.
 */
export type LogicalRow = {
  /** Where it stands among all of them; the same at every site. Order is that of its UTF-8. */
  readonly position: string;
  readonly operation: Operation;
  /** The object, for its bytes. */
  readonly stored: StoredObject | undefined;
};

/** A stretch of positions: from `from` up to but not including `to`, which may be open. */
export type RowRange = { readonly from: string; readonly to: string | undefined };

export type RowStep = {
  readonly rows: readonly LogicalRow[];
  /** Where the next step begins; undefined at the end of the range. */
  readonly next: string | undefined;
};

/** A row of another site on its way into the log, with what of its bytes is not here yet. */
export type IncomingRow = {
  /** The encoding of its operation. */
  readonly encoded: Uint8Array;
  readonly inline: Uint8Array | undefined;
  readonly manifests: readonly IncomingManifest[];
  /** Its bucket shows rows first: what it names and is not here may stay where it is. */
  readonly remote?: true;
};

export type Bootstrap = Omit<Extract<LocalRecord, { kind: "bootstrap" }>, "kind">;

/** A write that is overwritten or settled, and may come by its log yet: it will be no conflict. */
export type SettledWrite = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly write: WriteStamp;
};

/** What to do together with an import, in the same commit. */
export type ImportStep = {
  readonly rows: readonly IncomingRow[];
  /** Rows that are here and were removed there. */
  readonly removed: readonly RowName[];
  /** What the logs hold, behind which the other site's go on, that is settled there already. */
  readonly settled?: readonly SettledWrite[];
  /** How far the bootstrap has come with these; undefined outside one. */
  readonly progress: Bootstrap | undefined;
  /** Writes versions that are here already once more, with their bytes: their copy is damaged. */
  readonly rewrite: boolean;
};

export type ImportOutcome = {
  readonly imported: number;
  /** Rows whose bytes went away meanwhile; or far in the future: then nothing at all was taken. */
  readonly refused: ReadonlyArray<{
    readonly operation: Operation;
    readonly why: "bytes" | "clock";
  }>;
};

/** Bytes that do not verify here. */
export type Damage =
  | { readonly kind: "chunk"; readonly hash: ContentHash; readonly bytes: number }
  | { readonly kind: "inline"; readonly object: StoredObject };

/**
 * Where right bytes may be had when those here are damaged. Undefined: nobody has them. Chunks are
 * checked against their name by who asks; small bodies are believed as they come.
 */
export type RepairSource = (damage: Damage) => Promise<Uint8Array | undefined>;

/** Told of what was mended, or why it could not be. */
export type MendTold = (damage: Damage, failure: unknown) => void;

/**
 * What a store says, row by row and without its history: what bootstrap takes over, and what two
 * sites compare. Everything a promise resolves with is durable and visible.
 */
export interface LogicalRows {
  /** Bodies that rows name and of which bytes are not here. */
  readonly remote: RemoteBodies;
  /** Rows of a range in order of position, within this turn; at most `rowsMax`, at least 1. */
  read(range: RowRange, rowsMax: number): RowStep;
  /** About how many rows there are; counted from usage, not by a walk. */
  count(): number;
  /** The bytes of an inline body, verified; undefined when they are damaged or went away. */
  inlineBody(stored: StoredObject): Promise<Uint8Array | undefined>;
  /** Takes rows over, in one commit. @throws StorageFault "disk-full", "busy" or "closed". */
  import(step: ImportStep): Promise<ImportOutcome>;
  /** How far a bootstrap has come that has not ended. */
  bootstrap(): Bootstrap | undefined;
  /** Where logs begin here that came as rows, by origin. */
  floors(): readonly LogStart[];
  /** Reads every byte of a body and hashes it anew; tells what of it is not right. */
  check(stored: StoredObject): Promise<readonly Damage[]>;
  /** From now on damaged bytes are asked for elsewhere, served, and written anew. */
  repairFrom(source: RepairSource, told: MendTold): void;
  /** Writes right bytes anew in place of damaged ones; false when nobody needs them any more. */
  mend(damage: Damage, bytes: Uint8Array): Promise<boolean>;
  /** Copies that have been written anew since the start. */
  mended(): number;
  /** Where every log stands now, our own too: what the rows that are read next cover. */
  heads(): readonly LogStart[];
  /** What is settled of writes that those do not cover, read in the same turn. */
  settled(): readonly SettledWrite[];
  /** Ends a bootstrap: logs go on behind these heads. */
  setFloors(heads: readonly LogStart[]): Promise<void>;
}
