import { isUtf8 } from "node:buffer";
import { type ByteReader, type ByteWriter, LayoutError } from "./bytes.ts";
import { StorageFault } from "./faults.ts";

/*
 * Tagged fields, the inside of operations, objects and local records:
 *
 * | part   | bytes         | meaning                                                    |
 * | ------ | ------------- | ---------------------------------------------------------- |
 * | tag    | varint        | from 1; low bit 1: critical, a reader that does not know   |
 * |        |               | the tag must refuse; low bit 0: optional, it may go on     |
 * | length | varint        | bytes of the value                                         |
 * | value  | length        | as the tag says                                            |
 *
 * Tags ascend and none repeats; a field whose value is absent (or an empty list) is left out. So
 * one value has one encoding, and hashes over it are stable.
 */

/** Walks tagged fields. Every read stays inside its field and throws LayoutError otherwise. */
export class FieldReader {
  readonly reader: ByteReader;
  readonly #end: number;
  #tag = 0;
  #fieldEnd: number;

  /** @param end offset in the reader's input where the fields end. */
  constructor(reader: ByteReader, end: number) {
    this.reader = reader;
    this.#end = end;
    this.#fieldEnd = reader.offset;
  }

  /** Moves to the next field and gives its tag, or 0 at the end. */
  next(): number {
    const reader = this.reader;
    if (reader.offset !== this.#fieldEnd) throw new LayoutError("a field has another length");
    if (reader.offset === this.#end) return 0;
    const tag = reader.varint();
    if (tag <= this.#tag) throw new LayoutError("tags do not ascend");
    const length = reader.varint();
    this.#tag = tag;
    this.#fieldEnd = reader.offset + length;
    if (this.#fieldEnd > this.#end) throw new LayoutError("a field ends behind its record");
    return tag;
  }

  /** Whether the field has bytes left: the condition of a list's loop. */
  more(): boolean {
    return this.reader.offset < this.#fieldEnd;
  }

  /** Bytes of the field not read yet; negative when a read went past its end. */
  bytesLeft(): number {
    return this.#fieldEnd - this.reader.offset;
  }

  /** The rest of the field, copied, so that it outlives the input. */
  copy(): Buffer {
    return Buffer.from(this.view());
  }

  /** The rest of the field, sharing memory with the input. */
  view(): Buffer {
    return this.reader.bytes(this.bytesLeft());
  }

  /** The rest of the field as UTF-8 text. */
  text(): string {
    return textOf(this.view());
  }

  /** Passes over a field this program does not know. Critical ones are refused. */
  passUnknown(tag: number): void {
    if (tag % 2 === 1) {
      throw new StorageFault("unsupported", `a record has the unknown critical field ${tag}`, {
        hint: "A newer release of Atoll wrote it: run that release or a later one.",
      });
    }
    this.view();
  }
}

/** UTF-8 text; bytes that are not UTF-8 would not be written back the same, and are refused. */
function textOf(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  if (text.includes("\ufffd") && !isUtf8(bytes)) throw new LayoutError("text is not UTF-8");
  return text;
}

/** Whether `textOf` takes bytes that are no ASCII. */
export function isText(bytes: Uint8Array): boolean {
  return isUtf8(bytes);
}

/** UTF-8 text behind its length. */
export function readText(reader: ByteReader): string {
  return textOf(reader.bytes(reader.varint()));
}

/** The items that fill a field, each read by `readItem`; a list that is there is never empty. */
export function readList<Item>(
  fields: FieldReader,
  readItem: (fields: FieldReader) => Item,
): Item[] {
  if (!fields.more()) throw new LayoutError("an empty list is left out");
  const items: Item[] = [];
  while (fields.more()) items.push(readItem(fields));
  return items;
}

/** Bytes that a varint takes. */
export function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count++;
  return count;
}

/** Writes a field whose value is one varint. */
export function writeVarintField(writer: ByteWriter, tag: number, value: number): void {
  writer.varint(tag).u8(varintBytes(value)).varint(value);
}

/** What a record cannot do without. */
export function required<Value>(value: Value | undefined, name: string): Value {
  if (value === undefined) throw new LayoutError(`${name} is missing or not valid`);
  return value;
}
