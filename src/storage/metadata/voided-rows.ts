import { ByteReader, ByteWriter, LayoutError } from "../../core/bytes.ts";
import { addUnseen, hasSeen, NOTHING_SEEN, sameDot, type Witness } from "../../core/causality.ts";
import type { Hlc } from "../../core/hlc.ts";
import { laterStamp } from "../../core/lww.ts";
import type { Dot } from "../../core/records.ts";
import { decodeMetaRow, encodeMetaRow, type MetaRow } from "./meta-rows.ts";
import {
  readOrigin,
  readSeq,
  readStamp,
  readVector,
  STAMP_BYTES,
  writeStamp,
  writeVector,
} from "./stamp.ts";
import { decodeVersion, encodeVersion, type VersionRow } from "./version-rows.ts";

/** A delete of one version, with what its origin had received. */
export type VersionDelete = Witness & { readonly hlc: Hlc; readonly home: number };

/** A delete that is void, and the segment of the record that said so. */
export type VoidMark = Dot & { readonly home: number };

/**
 * Deletes of one version that no other delete has seen. A delete that is concurrent with a lock on
 * the version is void for ever. While other sites may still tell of such a lock, the deleted
 * version is `kept`, with its changes.
 */
export type VoidedRow = {
  readonly deletes: readonly VersionDelete[];
  readonly voids: readonly VoidMark[];
  readonly kept?:
    | {
        /** The segment of the record that said so. */
        readonly home: number;
        readonly version?: VersionRow | undefined;
        readonly meta?: MetaRow | undefined;
      }
    | undefined;
};

export const NO_DELETES: VoidedRow = { deletes: [], voids: [] };

/**
 * The row with one more delete; one that has been superseded need not be void any more. One that is
 * written once more rests on where that was.
 */
export function withDelete(row: VoidedRow, next: VersionDelete): VoidedRow {
  const deletes = addUnseen(row.deletes, next).map((one) =>
    sameDot(one, next) ? { ...one, home: next.home } : one,
  );
  const voids = row.voids.filter((mark) => !deletes.some((one) => hasSeen(one, mark)));
  return { ...row, deletes, voids };
}

/** The row with one more delete that is void. */
export function withVoid(row: VoidedRow, next: VoidMark): VoidedRow {
  const isKnown = row.voids.some((mark) => sameDot(mark, next));
  if (isKnown || row.deletes.some((one) => hasSeen(one, next))) return row;
  const voids = [...row.voids, next].sort((left, right) =>
    left.origin === right.origin ? left.seq - right.seq : left.origin < right.origin ? -1 : 1,
  );
  return { ...row, voids };
}

/** The deletes that count. */
export function validDeletes({ deletes, voids }: VoidedRow): VersionDelete[] {
  return deletes.filter((one) => !voids.some((mark) => sameDot(mark, one)));
}

/** The last of a row's deletes; undefined when the row only says what is to be kept. */
export function lastDelete({ deletes }: VoidedRow): VersionDelete | undefined {
  let last: VersionDelete | undefined;
  for (const one of deletes) if (last === undefined || laterStamp(one, last)) last = one;
  return last;
}

/** Whether the version is gone. */
export function isDeleted(row: VoidedRow): boolean {
  return validDeletes(row).length > 0;
}

const PLAIN_BYTES = STAMP_BYTES + 4;
const scratch = new ByteWriter();

function encodeVoided(writer: ByteWriter, { deletes, voids, kept }: VoidedRow): void {
  const [only] = deletes;
  const isPlain = kept === undefined && voids.length === 0 && deletes.length === 1;
  if (isPlain && only !== undefined && only.vector.size === 0) {
    // As older programs write it.
    writeStamp(writer, only);
    writer.u32(only.home);
    return;
  }
  writer.varint(deletes.length);
  for (const one of deletes) {
    writeStamp(writer, one);
    writeVector(writer.u32(one.home), one.vector);
  }
  writer.varint(voids.length);
  for (const { origin, seq, home } of voids) writer.hex(origin).u64(seq).u32(home);
  writer.u8(kept === undefined ? 0 : 1);
  if (kept === undefined) return;
  writer.u32(kept.home);
  const { version, meta } = kept;
  writeSized(writer, version && ((inner) => encodeVersion(inner, version)));
  writeSized(writer, meta && ((inner) => encodeMetaRow(inner, meta)));
}

/** Writes the length of what `write` writes, and that; only a zero without `write`. */
function writeSized(writer: ByteWriter, write: ((inner: ByteWriter) => void) | undefined): void {
  scratch.reset();
  write?.(scratch);
  writer.sized(scratch.view());
}

function decodeVoided(reader: ByteReader): VoidedRow {
  if (reader.remaining === PLAIN_BYTES) {
    const only = { ...readStamp(reader), home: reader.u32(), vector: NOTHING_SEEN };
    return { deletes: [only], voids: [] };
  }
  const deletes: VersionDelete[] = [];
  for (let count = reader.varint(); count > 0; count--) {
    const stamp = readStamp(reader);
    deletes.push({ ...stamp, home: reader.u32(), vector: readVector(reader) });
  }
  const voids: VoidMark[] = [];
  for (let count = reader.varint(); count > 0; count--) {
    voids.push({ origin: readOrigin(reader), seq: readSeq(reader), home: reader.u32() });
  }
  const form = reader.u8();
  if (form > 1) throw new LayoutError("unknown form of a deleted version");
  if (form === 0) return { deletes, voids };
  const home = reader.u32();
  const version = reader.sized();
  const meta = reader.sized();
  return {
    deletes,
    voids,
    kept: {
      home,
      version: version.length === 0 ? undefined : decodeVersion(new ByteReader(version)),
      meta: meta.length === 0 ? undefined : decodeMetaRow(new ByteReader(meta)),
    },
  };
}

/** Versions that were deleted, by key and version: one that comes later is nothing. */
export const VOIDED_TABLE = { prefix: "e", encode: encodeVoided, decode: decodeVoided } as const;
