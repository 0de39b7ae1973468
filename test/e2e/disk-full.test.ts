import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, startServer } from "../support/server.ts";

describe.each(ENGINES)("a full disk on %s", (engine) => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "atoll-full-"));
  afterAll(() => rmSync(dataDirectory, { recursive: true, force: true }));

  test("refuses writes before it is full, while reads and deletes go on", async () => {
    const roomy = await startServer({ engine, dataDirectory });
    const Bucket = await makeBucket(sdkFor(roomy));
    const stored = { Bucket, Key: "stored" };
    await sdkFor(roomy).send(new PutObjectCommand({ ...stored, Body: "before" }));
    await roomy.stop();

    // A reserve that no disk has room for stands for a disk that is full up to its reserve.
    const flags = ["--free-reserve", "1000TiB"];
    const full = await startServer({ engine, dataDirectory, flags });
    const s3 = sdkFor(full, { maxAttempts: 1 });
    for (const Body of [Buffer.from("small"), patternBytes(1024 * 1024)]) {
      const put = s3.send(new PutObjectCommand({ Bucket, Key: "new", Body }));
      expect(await refusalOf(put)).toMatch(/^507 /);
    }
    const upload = s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "new" }));
    expect(await refusalOf(upload)).toMatch(/^507 /);
    const got = await s3.send(new GetObjectCommand(stored));
    expect(await got.Body?.transformToString()).toBe("before");
    const missing = s3.send(new GetObjectCommand({ Bucket, Key: "new" }));
    expect(await refusalOf(missing)).toBe("404 NoSuchKey");
    await s3.send(new DeleteObjectCommand(stored));
    expect(await refusalOf(s3.send(new GetObjectCommand(stored)))).toBe("404 NoSuchKey");
    expect(await full.stop()).toBe(0);

    const roomyAgain = await startServer({ engine, dataDirectory });
    await sdkFor(roomyAgain).send(new PutObjectCommand({ ...stored, Body: "after" }));
    expect(await roomyAgain.stop()).toBe(0);
  });
});
