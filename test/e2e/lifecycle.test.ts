import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteBucketLifecycleCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type LifecycleRule,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { runProgram } from "../support/run-program.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, startServer, useServer } from "../support/server.ts";

const MAIN = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "dist", "main.cjs");
const DAY_MS = 86_400_000;
const LONG_AGO = new Date("2020-01-01T00:00:00Z");
const EVERYTHING = { ID: "everything", Status: "Enabled", Filter: {} } as const;

/** The midnight UTC that ends so many whole days from now. */
function midnightAfter(days: number, fromMs: number): string {
  return new Date((Math.ceil(fromMs / DAY_MS) + days) * DAY_MS).toUTCString();
}

describe.each(ENGINES)("lifecycles on %s", (engine) => {
  const server = useServer({ engine });
  let s3: S3Client;
  let Bucket = "";

  beforeAll(() => {
    s3 = sdkFor(server());
  });

  beforeEach(async () => {
    Bucket = await makeBucket(s3);
  });

  const configure = (...Rules: LifecycleRule[]) =>
    s3.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }),
    );
  const read = () => s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
  const put = (Key: string, change: { Tagging?: string; Body?: string } = {}) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body: "abc", ...change }));

  async function atoll(...typed: string[]): Promise<Record<string, unknown>> {
    const args = [MAIN, "lifecycle", ...typed, "--data", server().dataDirectory, "--json"];
    const { status, stdout, stderr } = await runProgram(process.execPath, args);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout);
  }

  async function versions(): Promise<string[]> {
    const listed = await s3.send(new ListObjectVersionsCommand({ Bucket }));
    const objects = (listed.Versions ?? []).map(({ Key }) => `${Key}`);
    const markers = (listed.DeleteMarkers ?? []).map(({ Key }) => `${Key} marker`);
    return [...objects, ...markers].sort();
  }

  test("are kept as they were sent, and go when they are deleted", async () => {
    expect(await refusalOf(read())).toBe("404 NoSuchLifecycleConfiguration");
    const Rules: LifecycleRule[] = [
      { ID: "rule1", Status: "Enabled", Filter: { Prefix: "test1/" }, Expiration: { Days: 1 } },
      {
        ID: "rule2",
        Status: "Disabled",
        Filter: {
          And: {
            ...{ Prefix: "a/", ObjectSizeGreaterThan: 1, ObjectSizeLessThan: 9 },
            Tags: [
              { Key: "k", Value: "v" },
              { Key: "a", Value: "" },
            ],
          },
        },
        Expiration: { Date: LONG_AGO },
      },
      {
        ID: "rule3",
        Status: "Enabled",
        Filter: {},
        Expiration: { ExpiredObjectDeleteMarker: true },
        NoncurrentVersionExpiration: { NoncurrentDays: 3, NewerNoncurrentVersions: 5 },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
      },
    ];
    const stored = await configure(...Rules);
    expect(stored.TransitionDefaultMinimumObjectSize).toBe("all_storage_classes_128K");
    const shown = await read();
    expect(shown.Rules).toEqual(Rules);
    expect(shown.TransitionDefaultMinimumObjectSize).toBe("all_storage_classes_128K");
    await s3.send(new DeleteBucketLifecycleCommand({ Bucket }));
    expect(await refusalOf(read())).toBe("404 NoSuchLifecycleConfiguration");
    await s3.send(new DeleteBucketLifecycleCommand({ Bucket }));
  });

  test("are shown to MinIO's clients, which ask for the time of the last change too", async () => {
    const path = `/${Bucket}?lifecycle`;
    const ask = (query: string) => sendSigned(server(), { method: "GET", path: path + query });
    expect((await ask("&withUpdatedAt=true")).code).toBe("NoSuchLifecycleConfiguration");
    await configure({ Status: "Enabled", Prefix: "a/", Expiration: { Days: 3 } });
    const asked = await ask("&withUpdatedAt=true");
    expect([asked.status, asked.body]).toEqual([200, (await ask("")).body]);
  });

  test("in the old form come back in the old form, with a name for each rule", async () => {
    await configure({ Status: "Enabled", Prefix: "a/", Expiration: { Days: 31 } });
    const { Rules = [] } = await read();
    expect(Rules).toEqual([
      { ID: expect.any(String), Status: "Enabled", Prefix: "a/", Expiration: { Days: 31 } },
    ]);
  });

  const DAY = { Expiration: { Days: 1 } };
  const bad: ReadonlyArray<readonly [string, LifecycleRule[], string]> = [
    ["a long id", [{ ...EVERYTHING, ...DAY, ID: "a".repeat(256) }], "400 InvalidArgument"],
    [
      "one id twice",
      [
        { ...EVERYTHING, ...DAY },
        { ...EVERYTHING, ...DAY },
      ],
      "400 InvalidArgument",
    ],
    [
      "another status",
      [{ ...EVERYTHING, ...DAY, Status: "enabled" as "Enabled" }],
      "400 MalformedXML",
    ],
    ["0 days", [{ ...EVERYTHING, Expiration: { Days: 0 } }], "400 InvalidArgument"],
    [
      "a noon",
      [{ ...EVERYTHING, Expiration: { Date: new Date(43_200_000) } }],
      "400 InvalidArgument",
    ],
    [
      "days and a date",
      [{ ...EVERYTHING, Expiration: { Days: 1, Date: LONG_AGO } }],
      "400 MalformedXML",
    ],
    ["nothing to do", [EVERYTHING], "400 InvalidRequest"],
    [
      "a transition",
      [{ ...EVERYTHING, Transitions: [{ Days: 1, StorageClass: "GLACIER" }] }],
      "501 NotImplemented",
    ],
  ];
  test.each(bad)("with %s are refused, and the old ones stay", async (_what, rules, refusal) => {
    await configure({ ...EVERYTHING, Expiration: { Days: 9 } });
    expect(await refusalOf(configure(...rules))).toBe(refusal);
    expect((await read()).Rules).toMatchObject([{ Expiration: { Days: 9 } }]);
  });

  test("are refused without a digest, a body or sense", async () => {
    const body =
      "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/><Expiration><Days>1</Days>" +
      "</Expiration></Rule></LifecycleConfiguration>";
    const send = (text: string, md5: boolean) => {
      const digest = createHash("md5").update(text).digest("base64");
      return sendSigned(server(), {
        ...{ method: "PUT", path: `/${Bucket}?lifecycle`, body: text },
        headers: md5 ? { "Content-MD5": digest } : {},
      });
    };
    expect(await send(body, false)).toMatchObject({ status: 400, code: "InvalidRequest" });
    expect(await send("", true)).toMatchObject({ status: 400, code: "MissingRequestBodyError" });
    expect(await send(body.slice(1), true)).toMatchObject({ status: 400, code: "MalformedXML" });
    expect(await send(body, true)).toMatchObject({ status: 200 });
  });

  test("are told with every object they will end, and with no other", async () => {
    await configure(
      { ID: "old ones", Status: "Enabled", Filter: { Prefix: "logs/" }, Expiration: { Days: 3 } },
      {
        ID: "tagged",
        Status: "Enabled",
        Filter: { Tag: { Key: "tmp", Value: "1" } },
        Expiration: { Days: 1 },
      },
    );
    const expiry = (days: number, rule: string, when: number) =>
      `expiry-date="${midnightAfter(days, when)}", rule-id="${rule}"`;
    const stored = await put("logs/a");
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "logs/a" }));
    const made = head.LastModified?.getTime() ?? 0;
    expect(stored.Expiration).toBe(expiry(3, "old%20ones", made));
    expect(head.Expiration).toBe(stored.Expiration);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "logs/a" }));
    expect(got.Expiration).toBe(stored.Expiration);
    const CopySource = `${Bucket}/logs/a`;
    const copied = await s3.send(new CopyObjectCommand({ Bucket, Key: "logs/b", CopySource }));
    expect(copied.Expiration).toBe(stored.Expiration);
    expect((await put("logs/c", { Tagging: "tmp=1" })).Expiration).toContain('rule-id="tagged"');
    expect((await put("photos/a")).Expiration).toBeUndefined();
  });

  test("are told with uploads they will abort", async () => {
    await configure({ ...EVERYTHING, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 } });
    const target = { Bucket, Key: "parts" };
    const { UploadId, AbortDate, AbortRuleId } = await s3.send(
      new CreateMultipartUploadCommand(target),
    );
    const days = ((AbortDate?.getTime() ?? 0) - Date.now()) / DAY_MS;
    expect(days).toBeGreaterThan(1.9);
    expect(days).toBeLessThanOrEqual(3);
    expect(AbortRuleId).toBe("everything");
    const listed = await s3.send(new ListPartsCommand({ ...target, UploadId }));
    expect(listed.AbortDate).toEqual(AbortDate);
    const part = { ...target, UploadId, PartNumber: 1, Body: "abc" };
    const { ETag } = await s3.send(new UploadPartCommand(part));
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
    await configure({ ...EVERYTHING, Expiration: { Days: 1 } });
    const done = new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload });
    expect((await s3.send(done)).Expiration).toContain('rule-id="everything"');
  });

  test("end what is due when told to run, and tell before what they would do", async () => {
    await put("new/a");
    const rule = { ...EVERYTHING, Filter: { Prefix: "old/" }, Expiration: { Date: LONG_AGO } };
    const told = async () => {
      await put("old/a");
      await put("old/b");
      await configure(rule, { ...EVERYTHING, ID: "later", Expiration: { Days: 5 } });
      return { plan: await atoll("plan", Bucket), left: await versions() };
    };
    let { plan, left } = await told();
    // The server looks by itself, and may have come first: hardly twice, since a minute lies between.
    if (left.length < 3) ({ plan, left } = await told());
    expect(plan).toMatchObject({ bucket: Bucket, due_now: 2, later: 1 });
    expect(plan["actions"]).toMatchObject([
      { action: "expire", key: "old/a", rule: "everything", due: "2020-01-01T00:00:00.000Z" },
      { action: "expire", key: "old/b", rule: "everything" },
      { action: "expire", key: "new/a", rule: "later" },
    ]);
    expect(left).toEqual(["new/a", "old/a", "old/b"]);
    // The server's own look may have come first, so what a run did is not counted here.
    expect(await atoll("run", Bucket)).toMatchObject({ kept: 0 });
    expect(await versions()).toEqual(["new/a"]);
    expect(await atoll("status")).toMatchObject({ running: false });
  });

  test("put delete markers on what is versioned, and remove those that hide nothing", async () => {
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    await put("a");
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "gone" }));
    await configure({ ...EVERYTHING, Expiration: { Date: LONG_AGO } });
    await atoll("run", Bucket);
    expect(await versions()).toEqual(["a", "a marker"]);
    const { VersionId } = await put("b");
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "b" }));
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "b", VersionId }));
    await configure({ ...EVERYTHING, Expiration: { ExpiredObjectDeleteMarker: true } });
    expect(await atoll("run", Bucket)).toMatchObject({ expired: 0 });
    expect(await versions()).toEqual(["a", "a marker"]);
  });

  test("are no matter of the operator where there are none", async () => {
    const args = [MAIN, "lifecycle", "plan", Bucket, "--data", server().dataDirectory];
    const { status, stderr } = await runProgram(process.execPath, args);
    expect([status, stderr]).toEqual([2, expect.stringContaining("has no lifecycle")]);
  });
});

test("what fell due while the server was down is caught up with by itself", async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "atoll-lifecycle-"));
  const first = await startServer({ dataDirectory });
  const Bucket = await makeBucket(sdkFor(first));
  for (const Key of ["old/a", "old/b", "new"]) {
    await sdkFor(first).send(new PutObjectCommand({ Bucket, Key, Body: "abc" }));
  }
  const Rules: LifecycleRule[] = [
    { ...EVERYTHING, Filter: { Prefix: "old/" }, Expiration: { Date: LONG_AGO } },
  ];
  const LifecycleConfiguration = { Rules };
  await sdkFor(first).send(
    new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }),
  );
  await first.stop();
  const second = await startServer({ dataDirectory });
  try {
    const s3 = sdkFor(second);
    let left = 3;
    // The guard of the test against hanging ends this, should nobody look.
    while (left > 1) {
      left = (await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount ?? 0;
      await sleep(200);
    }
    expect(left).toBe(1);
    await s3.send(new HeadObjectCommand({ Bucket, Key: "new" }));
  } finally {
    await second.stop();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
});
