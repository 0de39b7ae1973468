import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { runProgram } from "../support/run-program.ts";
import { makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { MAIN, startServer } from "../support/server.ts";

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

  test("a command that names a copy does nothing to the server whose LOCK is in it", async () => {
    const server = await startServer({ dataDirectory: original });
    const copy = join(scratch, "live");
    // As in a snapshot of the file system that is mounted beside the original.
    cpSync(original, copy, { recursive: true, filter: (path) => !path.endsWith(".sock") });
    const create = ["keys", "create", "--grant", "read", "--data"];
    const refused = await runProgram(process.execPath, [MAIN, ...create, copy]);
    expect([refused.status, refused.stderr]).toEqual([4, expect.stringContaining("is in use by")]);
    const status = await runProgram(process.execPath, [MAIN, "status", "--data", copy]);
    expect([status.status, status.stderr]).toEqual([
      4,
      expect.stringContaining("its LOCK is that of a server elsewhere. It is a copy"),
    ]);
    const link = join(scratch, "link");
    symlinkSync(original, link);
    for (const own of [original, link]) {
      const listed = await runProgram(process.execPath, [MAIN, "keys", "list", "--data", own]);
      expect([listed.status, listed.stdout]).toEqual([
        0,
        expect.stringContaining("no access keys"),
      ]);
    }
    expect(await server.stop()).toBe(0);
  });
});
