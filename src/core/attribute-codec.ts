import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import type { ObjectAttributes } from "./records.ts";
import { FieldReader, readText } from "./tagged-fields.ts";

/*
 * Attributes, as fields of an object, or of a record of their own in an upload:
 *
 * | tag | value                                                                  |
 * | --- | ---------------------------------------------------------------------- |
 * | 11  | system headers: pairs of name and value, each text behind its length   |
 * | 13  | user metadata: pairs, as above                                         |
 * | 15  | tags: pairs, as above                                                  |
 * | 17  | storage class: text                                                    |
 */
export const ATTRIBUTE_TAGS = { system: 11, user: 13, tags: 15, storageClass: 17 } as const;

export type Pairs = ReadonlyArray<readonly [string, string]>;

const scratch = new ByteWriter();

/** Writes a field of pairs; an empty list is left out. */
export function writePairsField(writer: ByteWriter, tag: number, pairs: Pairs): void {
  if (pairs.length === 0) return;
  scratch.reset();
  for (const [name, value] of pairs) scratch.text(name).text(value);
  writer.varint(tag).sized(scratch.view());
}

/** Reads the pairs that fill the field. */
export function readPairs(fields: FieldReader): Pairs {
  if (!fields.more()) throw new LayoutError("an empty list is left out");
  const pairs: [string, string][] = [];
  while (fields.more()) pairs.push([readText(fields.reader), readText(fields.reader)]);
  return pairs;
}

/** Writes the attributes' fields among those of another record. */
export function writeAttributeFields(writer: ByteWriter, attributes: ObjectAttributes): void {
  writePairsField(writer, ATTRIBUTE_TAGS.system, attributes.system);
  writePairsField(writer, ATTRIBUTE_TAGS.user, attributes.user);
  writePairsField(writer, ATTRIBUTE_TAGS.tags, attributes.tags);
  if (attributes.storageClass !== undefined) {
    writer.varint(ATTRIBUTE_TAGS.storageClass).text(attributes.storageClass);
  }
}

/** Reads attributes that stand alone. Throws LayoutError, or StorageFault for unknown fields. */
export function decodeAttributes(bytes: Uint8Array): ObjectAttributes {
  const fields = new FieldReader(new ByteReader(bytes), bytes.length);
  let system: Pairs = [];
  let user: Pairs = [];
  let tags: Pairs = [];
  let storageClass: string | undefined;
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    switch (tag) {
      case ATTRIBUTE_TAGS.system:
        system = readPairs(fields);
        break;
      case ATTRIBUTE_TAGS.user:
        user = readPairs(fields);
        break;
      case ATTRIBUTE_TAGS.tags:
        tags = readPairs(fields);
        break;
      case ATTRIBUTE_TAGS.storageClass:
        storageClass = fields.text();
        break;
      default:
        fields.passUnknown(tag);
    }
  }
  return { system, user, tags, storageClass };
}
