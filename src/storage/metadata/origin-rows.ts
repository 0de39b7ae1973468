import { type ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import type { Hlc } from "../../core/hlc.ts";
import {
  type BucketName,
  type ObjectKey,
  parseBucketName,
  parseObjectKey,
  parseSiteId,
  type SiteId,
} from "../../core/names.ts";
import type { OriginState, SignedHead } from "../../core/origin-records.ts";
import type { Vector } from "../../core/records.ts";
import { readHlc, readSeq, readVector, writeVector } from "./stamp.ts";

/** How far the log of another origin is here; its key names the origin. */
export type OriginHeadRow = Omit<OriginState, "origin">;
type Slot = { readonly bucket: BucketName; readonly key: ObjectKey };
/** An operation in the log whose bytes nobody could give; its key is that of a run of one. */
export type ParkedRow = {
  readonly home: number;
  readonly hlc: Hlc;
  /** What its origin had received of others. */
  readonly vector: Vector;
  readonly reason: string;
  /** The null slot that it writes; undefined: none, or an older program wrote the row. */
  readonly slot?: Slot | undefined;
  /** The id of the group that it belongs to. */
  readonly group?: string | undefined;
};
export type SignedHeadRow = Pick<SignedHead, "site" | "chain" | "signature"> & {
  readonly home: number;
};
/** What another site said last that it has applied; its key names the site. */
export type AcknowledgedRow = {
  readonly home: number;
  readonly heardMs: number;
  readonly applied: Vector;
};

const CHAIN_BYTES = 32;

function readSite(reader: ByteReader): SiteId {
  const site = parseSiteId(reader.hex(8));
  if (site === undefined) throw new LayoutError("not a site id");
  return site;
}

/** A slot; two empty texts for none. */
function readSlot(reader: ByteReader): Slot | undefined {
  const [bucketText, keyText] = [reader.text(), reader.text()];
  if (bucketText === "" && keyText === "") return undefined;
  const bucket = parseBucketName(bucketText);
  const key = parseObjectKey(keyText);
  if (bucket === undefined || key === undefined) throw new LayoutError("not an object key");
  return { bucket, key };
}

/** Tables about other origins; a site that never heard of any has no row in them. */
export const ORIGIN_TABLES = {
  originHead: {
    prefix: "r",
    encode: (writer: ByteWriter, row: OriginHeadRow) => {
      writer.u64(row.seq).bytes(row.chain).bigU64(row.hlc);
      writeVector(writer, row.vector);
    },
    decode: (reader: ByteReader): OriginHeadRow => ({
      seq: readSeq(reader),
      chain: Buffer.from(reader.bytes(CHAIN_BYTES)),
      hlc: readHlc(reader),
      vector: readVector(reader),
    }),
  },
  parked: {
    prefix: "P",
    encode: (writer: ByteWriter, row: ParkedRow) => {
      writer.u32(row.home).bigU64(row.hlc).text(row.reason);
      writeVector(writer, row.vector);
      const { slot, group } = row;
      if (slot === undefined && group === undefined) return;
      writer.text(slot?.bucket ?? "").text(slot?.key ?? "");
      if (group !== undefined) writer.text(group);
    },
    decode: (reader: ByteReader): ParkedRow => {
      const at = { home: reader.u32(), hlc: readHlc(reader) };
      const row = { ...at, reason: reader.text(), vector: readVector(reader) };
      if (reader.remaining === 0) return row;
      const slot = readSlot(reader);
      return { ...row, slot, group: reader.remaining === 0 ? undefined : reader.text() };
    },
  },
  /** Signatures go when their segment goes: they are kept for operations that can be relayed. */
  signedHead: {
    prefix: "i",
    encode: (writer: ByteWriter, row: SignedHeadRow) => {
      writer.u32(row.home).hex(row.site).bytes(row.chain).sized(row.signature);
    },
    decode: (reader: ByteReader): SignedHeadRow => ({
      home: reader.u32(),
      site: readSite(reader),
      chain: Buffer.from(reader.bytes(CHAIN_BYTES)),
      signature: Buffer.from(reader.sized()),
    }),
  },
  acknowledged: {
    prefix: "A",
    encode: (writer: ByteWriter, row: AcknowledgedRow) => {
      writer.u32(row.home).u64(row.heardMs);
      writeVector(writer, row.applied);
    },
    decode: (reader: ByteReader): AcknowledgedRow => ({
      home: reader.u32(),
      heardMs: reader.u64(),
      applied: readVector(reader),
    }),
  },
} as const;
