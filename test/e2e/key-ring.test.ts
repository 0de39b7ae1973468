import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { runProgram } from "../support/run-program.ts";
import { makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { startServer } from "../support/server.ts";

const MAIN = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "dist", "main.cjs");
const CUSTOMER = {
  SSECustomerAlgorithm: "AES256",
  SSECustomerKey: patternBytes(32, 7).toString("base64"),
};

async function json(...typed: string[]): Promise<Record<string, unknown>> {
  const { status, stdout, stderr } = await runProgram(process.execPath, [MAIN, ...typed, "--json"]);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

async function read(s3: S3Client, Bucket: string, Key: string, more: object): Promise<Buffer> {
  const got = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from((await got.Body?.transformToByteArray()) ?? []);
}

test("the key ring is rotated and everything rewrapped, with a server and without", async () => {
  const data = mkdtempSync(join(tmpdir(), "atoll-key-ring-"));
  try {
    let server = await startServer({ dataDirectory: data });
    let s3 = sdkFor(server);
    const Bucket = await makeBucket(s3);
    const bodies = {
      small: {
        Body: patternBytes(100, 1),
        ask: { ServerSideEncryption: "AES256" } as const,
        more: {},
      },
      large: {
        Body: patternBytes(6 * 1024 * 1024, 2),
        ask: { ServerSideEncryption: "AES256" } as const,
        more: {},
      },
      theirs: { Body: patternBytes(200_000, 3), ask: CUSTOMER, more: CUSTOMER },
      plain: { Body: patternBytes(10, 4), ask: {}, more: {} },
    };
    const expectAll = async (): Promise<void> => {
      for (const [Key, { Body, more }] of Object.entries(bodies)) {
        expect((await read(s3, Bucket, Key, more)).equals(Body), Key).toBe(true);
      }
    };
    for (const [Key, { Body, ask }] of Object.entries(bodies)) {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body, ...ask }));
    }
    const place = ["--data", data];
    const key = await json("keys", "create", "--grant", "read", ...place);
    const expectKeyWorks = async (): Promise<void> => {
      const accessKeyId = String(key["access_key"]);
      const secretAccessKey = String(key["secret_key"]);
      const reader = sdkFor(server, { credentials: { accessKeyId, secretAccessKey } });
      expect((await read(reader, Bucket, "small", {})).equals(bodies.small.Body)).toBe(true);
    };
    expect(await json("keys", "ring", "list", ...place)).toMatchObject({ current: "1" });
    expect(await json("keys", "ring", "rotate", ...place)).toMatchObject({
      current: "2",
      keys: [
        { id: "1", current: false },
        { id: "2", current: true },
      ],
    });
    await expectAll();
    await expectKeyWorks();
    const rewrapped = await json("keys", "ring", "rewrap", ...place);
    expect(rewrapped).toMatchObject({ access_keys: 1, seen: 4, rewrapped: 3, unreadable: 0 });
    await expectAll();
    await expectKeyWorks();
    const again = await json("keys", "ring", "rewrap", ...place);
    expect(again).toMatchObject({ access_keys: 0, rewrapped: 0 });
    await server.kill("SIGKILL");

    expect(await json("keys", "ring", "rotate", ...place)).toMatchObject({ current: "3" });
    expect(await json("keys", "ring", "rewrap", ...place)).toMatchObject({ rewrapped: 3 });
    server = await startServer({ dataDirectory: data });
    s3 = sdkFor(server);
    await expectAll();
    await expectKeyWorks();
    await server.stop();
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});
