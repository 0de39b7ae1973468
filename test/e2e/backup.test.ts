import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { startServer } from "../support/server.ts";

const SIZES = [0, 100, 200 * 1024, 5 * 1024 * 1024];

describe("the backup of docs/OPERATIONS.md: stop and copy", () => {
  const scratch = mkdtempSync(join(tmpdir(), "atoll-backup-"));
  const original = join(scratch, "original");
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  let Bucket = "";

  async function expectEverything(dataDirectory: string): Promise<void> {
    const server = await startServer({ dataDirectory });
    const s3 = sdkFor(server);
    const listed = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(listed.KeyCount).toBe(SIZES.length);
    for (const size of SIZES) {
      const got = await s3.send(new GetObjectCommand({ Bucket, Key: `of-${size}` }));
      const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
      expect(bytes.equals(patternBytes(size, size + 1))).toBe(true);
    }
    expect(await server.stop()).toBe(0);
  }

  test("a copy serves what the original held, with its index and without", async () => {
    const server = await startServer({ dataDirectory: original });
    const s3 = sdkFor(server);
    Bucket = await makeBucket(s3);
    for (const size of SIZES) {
      const Body = patternBytes(size, size + 1);
      await s3.send(new PutObjectCommand({ Bucket, Key: `of-${size}`, Body }));
    }
    expect(await server.stop()).toBe(0);
    const whole = join(scratch, "whole");
    cpSync(original, whole, { recursive: true });
    await expectEverything(whole);
    const lean = join(scratch, "lean");
    const leftOut = ["index", "checkpoint"];
    cpSync(original, lean, {
      recursive: true,
      filter: (path) => !leftOut.includes(basename(path)),
    });
    await expectEverything(lean);
    await expectEverything(original);
  });
});
