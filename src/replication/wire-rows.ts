import { z } from "zod";
import { parseHex, toHex } from "../core/bytes.ts";
import { formatHlc, parseHlc } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import { parseBucketName, parseClusterId, parseObjectKey, parseSiteId } from "../core/names.ts";
import type { LogStart } from "../core/records.ts";
import type { RowRange, SettledWrite } from "../storage/logical-rows.ts";
import { type KnownHead, knownHeadsSchema, showKnown } from "./wire-pages.ts";
import { json, origin, type Parsed, parsed, parseWith, seq, vector } from "./wire-values.ts";

/*
 * The JSON of peers that take over each other's rows, or compare them. Positions are texts; where a
 * range is open or a walk has ended, it says null.
 */

const HASH_BYTES = 32;

const hash = parsed((text) => parseHex(text, HASH_BYTES));
const hlc = parsed((text) =>
  /^[0-9a-f]{16}$/.test(text) ? parseHlc(BigInt(`0x${text}`)) : undefined,
);
/** Longer than any: a bucket, a key, a version and what stands behind it. */
const position = z
  .string()
  .max(LIMITS.rowPositionCharsMax)
  .refine((text) => text.isWellFormed());
const end = position.nullable().transform((text) => text ?? undefined);
const range = z.object({ from: position, to: end });
const count = z.number().int().min(0);
const rowsRequest = z.object({
  range,
  /** Only these of them; all when it is empty. */
  positions: z.array(position).max(LIMITS.rowsAskedMax).readonly(),
  bytesMax: z.number().int().min(1).max(LIMITS.replicationPageBytes),
  /** Whether small bodies come along. */
  bodies: z.boolean(),
});
const rowsHead = z.object({ next: end, refused: z.array(position).readonly() });

const rangesRequest = z.object({
  ranges: z.array(range).min(1).max(LIMITS.rowRangesMax).readonly(),
  /** A range with more rows is hashed as far as these go. */
  rowsMax: z.number().int().min(1).max(LIMITS.rowsHashedMax),
});
const rangesAnswer = z.object({
  ranges: z
    .array(z.object({ hash, count, next: end }))
    .max(LIMITS.rowRangesMax)
    .readonly(),
});

const listRequest = z.object({ range });
const listAnswer = z.object({
  rows: z
    .array(z.tuple([position, hash]))
    .max(LIMITS.rowsListedMax)
    .readonly(),
  next: end,
  /** What the site had applied when it read them. */
  applied: vector,
});

const logHeads = z
  .array(z.tuple([origin, seq, hlc, hash, vector]))
  .max(LIMITS.replicationOriginsMax)
  .transform((heads): LogStart[] =>
    heads.map(([from, at, reading, chain, seen]) => {
      return { origin: from, seq: at, hlc: reading, chain, vector: seen };
    }),
  );
const settledWrites = z
  .array(z.tuple([parsed(parseBucketName), parsed(parseObjectKey), hlc, origin, seq]))
  .max(LIMITS.settledWritesMax)
  .transform((all): SettledWrite[] =>
    all.map(([bucket, key, reading, from, at]) => {
      return { bucket, key, write: { hlc: reading, origin: from, seq: at } };
    }),
  );
const startRequest = z.object({
  lease: z.string().max(64).nullable(),
  /** What is known of the logs of the site that is asked; older programs do not tell. */
  known: knownHeadsSchema.default([]),
});
const startAnswer = z.object({
  lease: z.string().min(1).max(64),
  /** About how many rows there are, and bytes of their bodies; older programs tell rows alone. */
  rows: count,
  bytes: count.default(0),
  heads: logHeads,
  /** Writes that these do not cover, and that will be no conflicts when they come. */
  settled: settledWrites.default([]),
});

/** What stands in front of the rows in an archive; pages by the position that each begins at. */
const archiveHead = z.object({
  format: z.literal(1),
  cluster: parsed(parseClusterId),
  site: parsed(parseSiteId),
  rows: count,
  heads: logHeads,
  settled: settledWrites.default([]),
  pages: z.array(position).min(1).readonly(),
  /** SHA-256 of the file of each page; those of older programs have none. */
  digests: z.array(z.string().regex(/^[0-9a-f]{64}$/)).default([]),
});

export type RowsRequest = Readonly<z.output<typeof rowsRequest>>;
export type RowsHead = Readonly<z.output<typeof rowsHead>>;
export type RangesRequest = Readonly<z.output<typeof rangesRequest>>;
export type RangesAnswer = Readonly<z.output<typeof rangesAnswer>>;
export type RangeHash = RangesAnswer["ranges"][number];
export type ListAnswer = Readonly<z.output<typeof listAnswer>>;
export type ArchiveHead = Readonly<Omit<z.output<typeof archiveHead>, "format">>;
export type StartRequest = Readonly<z.output<typeof startRequest>>;
export type StartAnswer = Readonly<z.output<typeof startAnswer>>;

/** Reads which rows a peer asks for. */
export function parseRowsRequest(body: Uint8Array): Parsed<RowsRequest> {
  return parseWith(rowsRequest, body);
}

/** Reads what stands in front of a page of rows. */
export function parseRowsHead(body: Uint8Array): Parsed<RowsHead> {
  return parseWith(rowsHead, body);
}

/** Reads which ranges a peer wants to compare; never more than it may ask for at once. */
export function parseRangesRequest(body: Uint8Array): Parsed<RangesRequest> {
  return parseWith(rangesRequest, body);
}

/** Reads hashes of ranges, in the order in which they were asked for. */
export function parseRangesAnswer(body: Uint8Array): Parsed<RangesAnswer> {
  return parseWith(rangesAnswer, body);
}

/** Reads which short range a peer wants to see row by row. */
export function parseListRequest(body: Uint8Array): Parsed<{ readonly range: RowRange }> {
  return parseWith(listRequest, body);
}

/** Reads rows by position and hash (32 bytes each). */
export function parseListAnswer(body: Uint8Array): Parsed<ListAnswer> {
  return parseWith(listAnswer, body);
}

/** Reads whether a peer begins a bootstrap (no lease) or goes on with one. */
export function parseStartRequest(body: Uint8Array): Parsed<StartRequest> {
  return parseWith(startRequest, body);
}

/** Reads where the logs of a peer stood before its first row was read. */
export function parseStartAnswer(body: Uint8Array): Parsed<StartAnswer> {
  return parseWith(startAnswer, body);
}

/** Reads the head of an archive; one that was not written to its end has none. */
export function parseArchiveHead(bytes: Uint8Array): Parsed<ArchiveHead> {
  return parseWith(archiveHead, bytes);
}

/** The head of an archive, as it stands on the disk. */
export function writeArchiveHead({ heads, settled, ...rest }: ArchiveHead): Buffer {
  const shown = { heads: heads.map(showHead), settled: settled.map(showSettled) };
  return json({ format: 1, ...rest, ...shown });
}

function showRange({ from, to }: RowRange): { from: string; to: string | null } {
  return { from, to: to ?? null };
}

/** A request for rows, as it travels. */
export function writeRowsRequest(request: RowsRequest): Buffer {
  return json({ ...request, range: showRange(request.range) });
}

/** What stands in front of a page of rows, as it travels. */
export function writeRowsHead({ next, refused }: RowsHead): Buffer {
  return json({ next: next ?? null, refused });
}

/** A request for hashes of ranges, as it travels. */
export function writeRangesRequest({ ranges, rowsMax }: RangesRequest): Buffer {
  return json({ ranges: ranges.map(showRange), rowsMax });
}

/** Hashes of ranges, as they travel: hexadecimal, in the order of the request. */
export function writeRangesAnswer({ ranges }: RangesAnswer): Buffer {
  const shown = ranges.map((one) => {
    return { hash: toHex(one.hash), count: one.count, next: one.next ?? null };
  });
  return json({ ranges: shown });
}

/** A request for the rows of a short range, as it travels. */
export function writeListRequest(wanted: RowRange): Buffer {
  return json({ range: showRange(wanted) });
}

/** Rows by position and hash, with what the site had applied by then, as they travel. */
export function writeListAnswer({ rows, next, applied }: ListAnswer): Buffer {
  const shown = rows.map(([at, digest]) => [at, toHex(digest)]);
  return json({ rows: shown, next: next ?? null, applied: [...applied] });
}

/** Begins a bootstrap, or renews its lease when one is given. */
export function writeStartRequest({ lease, known }: StartWish): Buffer {
  return json({ lease: lease ?? null, ...(known.length > 0 && { known: showKnown(known) }) });
}

type StartWish = {
  readonly lease: string | undefined;
  readonly known: readonly KnownHead[];
};

/** Where every log stands, as it travels: chains and readings in hexadecimal. */
export function writeStartAnswer({ heads, settled, ...rest }: StartAnswer): Buffer {
  return json({ ...rest, heads: heads.map(showHead), settled: settled.map(showSettled) });
}

function showSettled({ bucket, key, write }: SettledWrite): unknown[] {
  return [bucket, key, formatHlc(write.hlc), write.origin, write.seq];
}

function showHead(head: LogStart): unknown[] {
  const own = [head.origin, head.seq, formatHlc(head.hlc), toHex(head.chain)];
  return [...own, [...head.vector]];
}
