import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { objectRecords } from "../../../test/support/record-arbitraries.ts";
import { damaged } from "../../../test/support/value-arbitraries.ts";
import { ByteWriter } from "../../core/bytes.ts";
import { decodeObject, encodeObject } from "../../core/object-codec.ts";
import type { ObjectRecord } from "../../core/records.ts";
import { readPlainObject } from "./plain-object.ts";

const PLAIN: ObjectRecord = {
  size: 4096,
  etag: "0123456789abcdef".repeat(2),
  lastModifiedMs: 1_700_000_000_000,
  attributes: {
    system: [["content-type", "text/plain"]],
    user: [],
    storageClass: undefined,
    tags: [],
  },
  checksums: [{ algorithm: "CRC32", type: "FULL_OBJECT", value: "AAAAAA==" }],
  parts: [],
  encryption: undefined,
  body: { kind: "inline", bytes: 4100 },
};

function encoded(record: ObjectRecord): Buffer {
  const writer = new ByteWriter();
  encodeObject(writer, record);
  return writer.finish();
}

function read(bytes: Buffer): { size: number; inlineBytes: number } | undefined {
  const around = Buffer.concat([Buffer.of(1, 2, 3), bytes, Buffer.of(11, 2, 1, 97)]);
  const found = readPlainObject(around, 3, 3 + bytes.length);
  if (found === undefined) return undefined;
  const { size, inlineBytes } = found;
  return { size, inlineBytes };
}

test("reads size and inline bytes of an object in the usual form", () => {
  expect(read(encoded(PLAIN))).toEqual({ size: 4096, inlineBytes: 4100 });
  const empty = { ...PLAIN, size: 0, checksums: [], body: { kind: "inline", bytes: 0 } } as const;
  expect(read(encoded(empty))).toEqual({ size: 0, inlineBytes: 0 });
});

test("leaves parts, manifests, locks and unusual forms to the decoder", () => {
  const others: ObjectRecord[] = [
    { ...PLAIN, parts: [{ partNumber: 1, size: 4096, checksums: [] }] },
    { ...PLAIN, body: { kind: "manifests", manifests: [] } },
    { ...PLAIN, lock: { retention: undefined, legalHold: true } },
    { ...PLAIN, etag: `${PLAIN.etag}-2` },
    { ...PLAIN, attributes: { ...PLAIN.attributes, user: [["name", "\u00e9"]] } },
  ];
  for (const other of others) expect(read(encoded(other))).toBeUndefined();
});

test("takes only what decoding and encoding gives back byte for byte", () => {
  const whole = fc.oneof(objectRecords, fc.constant(PLAIN)).map(encoded);
  fc.assert(
    fc.property(fc.oneof(whole, damaged(whole)), (bytes) => {
      const found = read(bytes);
      if (found === undefined) return;
      const record = decodeObject(bytes);
      expect(encoded(record).equals(bytes)).toBe(true);
      expect(found.size).toBe(record.size);
      expect(record.body).toEqual({ kind: "inline", bytes: found.inlineBytes });
    }),
    { numRuns: 2000 },
  );
});
