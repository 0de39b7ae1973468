import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { ENGINES, startServer } from "../support/server.ts";

describe.each(ENGINES)("starting again on %s", (engine) => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "atoll-restart-"));
  afterAll(() => rmSync(dataDirectory, { recursive: true, force: true }));

  test("what was stored is there after a stop and after a kill", async () => {
    const sizes = [0, 100, 200 * 1024, 5 * 1024 * 1024];
    const first = await startServer({ engine, dataDirectory });
    const Bucket = await makeBucket(sdkFor(first));
    for (const size of sizes) {
      const Body = patternBytes(size, size + 1);
      await sdkFor(first).send(new PutObjectCommand({ Bucket, Key: `before-${size}`, Body }));
    }
    expect(await first.stop()).toBe(0);

    const second = await startServer({ engine, dataDirectory });
    for (const size of sizes) {
      const Body = patternBytes(size, size + 1);
      await sdkFor(second).send(new PutObjectCommand({ Bucket, Key: `later-${size}`, Body }));
    }
    await second.kill("SIGKILL");

    const third = await startServer({ engine, dataDirectory });
    for (const size of sizes) {
      for (const Key of [`before-${size}`, `later-${size}`]) {
        const got = await sdkFor(third).send(new GetObjectCommand({ Bucket, Key }));
        const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
        expect(bytes.equals(patternBytes(size, size + 1))).toBe(true);
      }
    }
    expect(await third.stop()).toBe(0);
  });

  test("a second server on the same data directory is turned away with a reason", async () => {
    const first = await startServer({ engine, dataDirectory });
    await expect(startServer({ engine, dataDirectory })).rejects.toThrow(
      /ended while starting.*\n.*in use by process/,
    );
    await first.stop();
  });

  test("a server whose port is taken ends with a sentence that says so", async () => {
    const first = await startServer({ engine, dataDirectory });
    const flags = ["--listen", first.host];
    await expect(startServer({ engine, flags })).rejects.toThrow(
      /ended while starting.*\n.*cannot listen on/,
    );
    await first.stop();
  });
});
