import type { ByteReader, ByteWriter } from "../../core/bytes.ts";
import type { BucketName } from "../../core/names.ts";
import { readBuckets } from "../../core/remote-record.ts";

/** A manifest that rows name although it is not here; its key is its hash. */
export type RemoteRow = {
  readonly home: number;
  /** Rows that name it. */
  readonly refs: number;
  /** Of the body that it lists. */
  readonly bytes: number;
  /** Buckets whose objects may name it, in ascending order. */
  readonly buckets: readonly BucketName[];
};

export const REMOTE_TABLE = { prefix: "R", encode: encodeRemote, decode: decodeRemote } as const;

/** The key of the one row that sums them up. */
export const REMOTE_SUM_KEY = "sum";

function encodeRemote(writer: ByteWriter, { home, refs, bytes, buckets }: RemoteRow): void {
  writer.u32(home).varint(refs).varint(bytes).varint(buckets.length);
  for (const bucket of buckets) writer.text(bucket);
}

function decodeRemote(reader: ByteReader): RemoteRow {
  const home = reader.u32();
  const refs = reader.varint();
  const bytes = reader.varint();
  return { home, refs, bytes, buckets: readBuckets(reader) };
}
