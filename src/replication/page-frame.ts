import { ByteReader, ByteWriter, LayoutError } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { packParts, unpackBytes } from "../core/packed-bytes.ts";
import type { LogEntry } from "../storage/replica.ts";

/*
 * A page of operations as it travels. The operations and their small bodies stand apart: the first
 * shrink well, the second seldom do.
 *
 * | offset     | bytes | meaning                                                              |
 * | ---------- | ----- | -------------------------------------------------------------------- |
 * | 0          | 4     | magic "ATPG"                                                         |
 * | 4          | 1     | format, 1                                                            |
 * | 5          | 4     | bytes of the head, h                                                 |
 * | 9          | 4     | bytes of the operations, packed, o                                   |
 * | 13         | 4     | bytes of the bodies, packed, b                                       |
 * | 17         | h     | head, JSON                                                           |
 * | 17 + h     | o     | for each: operation (sized), bytes of its inline body + 1, or 0      |
 * | 17 + h + o | b     | inline bodies, one after the other                                   |
 *
 * How bytes are packed stands in core/packed-bytes.ts.
 */
const MAGIC = 0x4750_5441;
const FORMAT = 1;
/**
 * Bytes of an operation's envelope alone: they bound how many operations a page can claim to have.
 */
const OPERATION_BYTES_MIN = 61;
/**
 * When the bodies of a page are larger than its operations by more than this factor, the operations
 * travel uncompressed: deflating them would save a twentieth of the page, and cost more than all
 * other work of the two sites on it.
 */
const WORTH_BODIES = 8;

/**
 * Pages are put together here, one after the other: new memory for each would be megabytes of
 * garbage, for which V8 runs full collections.
 */
const scratch = { operations: new ByteWriter(64 * 1024), bodies: new ByteWriter(64 * 1024) };

export type PageFrame = { readonly head: Uint8Array; readonly entries: readonly LogEntry[] };

/** Writes a page. */
export function encodePage({ head, entries }: PageFrame, compress: boolean): Buffer {
  const { operations, bodies } = scratch;
  operations.reset();
  bodies.reset();
  for (const { encoded, inline } of entries) {
    operations.sized(encoded).varint(inline === undefined ? 0 : inline.length + 1);
    if (inline !== undefined) bodies.bytes(inline);
  }
  const packedBodies = packParts(bodies.view(), compress);
  const isWorth = compress && lengthOf(packedBodies) <= operations.length * WORTH_BODIES;
  const packedOperations = packParts(operations.view(), isWorth);
  const front = new ByteWriter(64).u32(MAGIC).u8(FORMAT).u32(head.length);
  front.u32(lengthOf(packedOperations)).u32(lengthOf(packedBodies));
  return Buffer.concat([front.view(), head, ...packedOperations, ...packedBodies]);
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/**
 * Reads a page; what it gives shares memory with the input or with what was unpacked.
 *
 * @throws LayoutError when the bytes do not fit the layout or are more than a page may be.
 */
export function decodePage(bytes: Uint8Array): PageFrame {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== MAGIC || reader.u8() !== FORMAT) throw new LayoutError("not a page");
  const headBytes = reader.u32();
  const operationBytes = reader.u32();
  const bodyBytes = reader.u32();
  const head = reader.bytes(headBytes);
  const operations = unpackBytes(reader.bytes(operationBytes), LIMITS.replicationAnswerBytesMax);
  const bodies = unpackBytes(reader.bytes(bodyBytes), LIMITS.replicationAnswerBytesMax);
  reader.end();
  return { head, entries: readEntries(new ByteReader(operations), new ByteReader(bodies)) };
}

function readEntries(operations: ByteReader, bodies: ByteReader): LogEntry[] {
  const entries: LogEntry[] = [];
  while (operations.remaining > 0) {
    const encoded = operations.sized();
    if (encoded.length < OPERATION_BYTES_MIN) throw new LayoutError("an operation ends early");
    const length = operations.varint();
    if (length > LIMITS.inlineBodyBytesMax + 1) throw new LayoutError("an inline body is too long");
    entries.push({ encoded, inline: length === 0 ? undefined : bodies.bytes(length - 1) });
  }
  bodies.end();
  return entries;
}
