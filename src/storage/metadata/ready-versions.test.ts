import { expect, test } from "vitest";
import { parseHlc } from "../../core/hlc.ts";
import type { BucketName, ObjectKey, OriginId } from "../../core/names.ts";
import { versionKeyOf } from "./key-versions.ts";
import { ReadyVersions } from "./ready-versions.ts";
import { TABLES, VALUE_HEADER_BYTES } from "./rows.ts";

const NAME = { bucket: "bucket" as BucketName, key: "a/key" as ObjectKey };
const ORIGIN = "0123456789abcdef" as OriginId;

/** The beginning of a row's value: header and flags, then the stamp. */
function rowOf(hlc: bigint): Buffer {
  const value = Buffer.alloc(VALUE_HEADER_BYTES + 1 + 16 + 3, 7);
  value.writeBigUInt64LE(hlc, VALUE_HEADER_BYTES + 1);
  value.write(ORIGIN, VALUE_HEADER_BYTES + 9, "hex");
  return value;
}

function keyAt(reading: bigint): string {
  const hlc = parseHlc(reading);
  if (hlc === undefined) throw new Error("not a reading");
  return TABLES.version.prefix + versionKeyOf(NAME, { hlc, origin: ORIGIN });
}

test("versions get the keys that they have in the index, newest first, and keep their values", () => {
  const versions = new ReadyVersions(4096);
  const name = Buffer.from(`o${NAME.bucket}\0${NAME.key}, and more`);
  const nameBytes = name.length - ", and more".length;
  const readings = [5n, 0xfedc_ba98_7654_3210n, 0x1_0000n];
  for (const reading of readings) versions.add(name, nameBytes, rowOf(reading));
  const rows = [...versions.parts(2)];
  expect(rows.map((part) => part.length)).toEqual([2, 1]);
  const newestFirst = [0xfedc_ba98_7654_3210n, 0x1_0000n, 5n];
  expect(rows.flat().map(({ key }) => Buffer.from(key).toString())).toEqual(newestFirst.map(keyAt));
  for (const [place, { value }] of rows.flat().entries()) {
    expect(rowOf(newestFirst[place] ?? 0n).equals(value ?? Buffer.alloc(0))).toBe(true);
  }
  versions.clear();
  expect([...versions.parts(2)]).toEqual([]);
});

test("there is room for so many versions, and for so many bytes of them", () => {
  const versions = new ReadyVersions(1000);
  expect(versions.isFull(900, 67)).toBe(false);
  expect(versions.isFull(900, 68)).toBe(true);
  const name = Buffer.from("o");
  while (!versions.isFull(1, 30)) versions.add(name, 1, rowOf(1n));
  expect(versions.count).toBe(Math.ceil(1000 / 128));
});
