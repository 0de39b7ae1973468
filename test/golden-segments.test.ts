import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { decodeLocal } from "../src/core/local-codec.ts";
import { decodeManifest } from "../src/core/manifest-codec.ts";
import { decodeOperation } from "../src/core/operation-codec.ts";
import { batchRecords } from "../src/storage/segment/batch.ts";
import {
  footerBatches,
  footerChunks,
  footerFindKey,
} from "../src/storage/segment/footer-reader.ts";
import { decodeRecord } from "../src/storage/segment/record.ts";
import { crc32 } from "./support/crc.ts";
import {
  GOLDEN_CONFLICT_LOCALS,
  GOLDEN_CONFLICT_OPERATIONS,
  goldenConflictFiles,
} from "./support/golden-conflicts.ts";
import { GOLDEN_ORIGIN_LOCALS, goldenOriginFiles } from "./support/golden-origins.ts";
import {
  GOLDEN_LOCALS,
  GOLDEN_MANIFEST,
  GOLDEN_NAME,
  GOLDEN_OPERATIONS,
} from "./support/golden-records.ts";
import { GOLDEN_ROW_LOCALS, goldenRowFiles } from "./support/golden-rows.ts";
import { GOLDEN_PAYLOADS, goldenFiles } from "./support/golden-segments.ts";
import { GOLDEN_SITE_OPERATIONS, goldenSiteFiles } from "./support/golden-sites.ts";
import {
  GOLDEN_LOCKED_UPLOAD,
  GOLDEN_VERSION_OPERATIONS,
  goldenVersionFiles,
} from "./support/golden-versions.ts";
import { footerOf, partsOf } from "./support/segment-parts.ts";

const DIRECTORY = join(import.meta.dirname, "golden", "format-1");

if (process.env["WRITE_GOLDEN"] === "1") {
  mkdirSync(DIRECTORY, { recursive: true });
  for (const [name, bytes] of await allFiles()) writeFileSync(join(DIRECTORY, name), bytes);
}

async function allFiles(): Promise<ReadonlyMap<string, Buffer>> {
  const later = [
    ...goldenVersionFiles(),
    ...goldenSiteFiles(),
    ...goldenOriginFiles(),
    ...goldenRowFiles(),
    ...goldenConflictFiles(),
  ];
  return new Map([...(await goldenFiles()), ...later]);
}

function golden(name: string): Buffer {
  return readFileSync(join(DIRECTORY, name));
}

function payloadsOf(name: string): Buffer[] {
  return [...batchRecords(golden(name), crc32)].map((record) => record.payload);
}

describe("the golden files of format 1", () => {
  test("are what this program writes, byte for byte", async () => {
    const files = await allFiles();
    expect(readdirSync(DIRECTORY).toSorted()).toEqual([...files.keys()].toSorted());
    for (const [name, bytes] of files) {
      const same = golden(name).equals(bytes);
      expect(same, `${name}: the format changed; see docs/FORMAT.md for what that needs`).toBe(
        true,
      );
    }
  });

  test("are read as what they were written from", () => {
    expect(payloadsOf("ops.bin").map(decodeOperation)).toEqual(GOLDEN_OPERATIONS);
    expect(payloadsOf("locals.bin").map(decodeLocal)).toEqual(GOLDEN_LOCALS);
    expect(payloadsOf("manifest.bin").map(decodeManifest)).toEqual([GOLDEN_MANIFEST]);
    expect(payloadsOf("row.bin").map(decodeOperation)).toEqual(GOLDEN_OPERATIONS.slice(1, 2));
    expect(payloadsOf("version-ops.bin").map(decodeOperation)).toEqual(GOLDEN_VERSION_OPERATIONS);
    expect(payloadsOf("site-ops.bin").map(decodeOperation)).toEqual(GOLDEN_SITE_OPERATIONS);
    expect(payloadsOf("origin-locals.bin").map(decodeLocal)).toEqual(GOLDEN_ORIGIN_LOCALS);
    const conflicts = payloadsOf("conflict-ops.bin").map(decodeOperation);
    expect(conflicts).toEqual(GOLDEN_CONFLICT_OPERATIONS);
    expect(payloadsOf("conflict-locals.bin").map(decodeLocal)).toEqual(GOLDEN_CONFLICT_LOCALS);
    expect(payloadsOf("row-locals.bin").map(decodeLocal)).toEqual(GOLDEN_ROW_LOCALS);
    expect(payloadsOf("version-locals.bin").map(decodeLocal)).toEqual([GOLDEN_LOCKED_UPLOAD]);
    expect(payloadsOf("body.bin").map(String)).toEqual(["the bytes of a small object"]);
  });

  test("have footers that list what is in front of them", () => {
    const commit = footerOf(golden("commit-segment.bin"));
    expect([...footerBatches(commit)].map((batch) => batch.operations)).toEqual([2, 6]);
    expect(commit).toMatchObject({ operations: 8, firstSeq: 1, lastSeq: 8, keyCount: 3 });
    const { bucket, key } = GOLDEN_NAME;
    const offsets = footerFindKey(commit, bucket, key);
    expect(offsets).toHaveLength(3);
    const found = offsets.map((offset) =>
      decodeRecord(golden("commit-segment.bin"), offset, crc32),
    );
    expect(found.map((record) => record.outcome === "record" && record.kind)).toEqual([
      "op",
      "op",
      "op",
    ]);
    const bulk = footerOf(golden("bulk-segment.bin"));
    expect([...footerChunks(bulk)].map((chunk) => chunk.bytes)).toEqual(
      GOLDEN_PAYLOADS.map((payload) => payload.length),
    );
  });

  test.each([
    ["commit-segment.bin", 1 + 2 * 3 + 2],
    ["bulk-segment.bin", 1 + 2 + 2],
  ])("%s: any flipped bit is noticed by the part it is in", (name, count) => {
    const file = golden(name);
    const parts = partsOf(file);
    expect(parts).toHaveLength(count);
    for (const { name: part, start, end, isWhole } of parts) {
      expect(isWhole(file), part).toBe(true);
      for (let bit = start * 8; bit < end * 8; bit++) {
        const at = bit >> 3;
        file[at] = (file[at] ?? 0) ^ (1 << (bit & 7));
        if (isWhole(file)) expect.fail(`${part}: bit ${bit - start * 8} can be flipped unnoticed`);
        file[at] = (file[at] ?? 0) ^ (1 << (bit & 7));
      }
    }
  });
});
