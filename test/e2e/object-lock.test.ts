import { createHash } from "node:crypto";
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  type ObjectLockRetention,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const LATER = new Date("2140-01-01T00:00:00Z");
const STILL_LATER = new Date("2141-01-01T00:00:00Z");
const GOVERNANCE: ObjectLockRetention = { Mode: "GOVERNANCE", RetainUntilDate: LATER };
const COMPLIANCE: ObjectLockRetention = { Mode: "COMPLIANCE", RetainUntilDate: LATER };
const SUSPEND = { VersioningConfiguration: { Status: "Suspended" } } as const;

let buckets = 0;

function md5(body: string): string {
  return createHash("md5").update(body).digest("base64");
}

describe.each(ENGINES)("object lock on %s", (engine) => {
  const server = useServer({ engine });
  let s3: S3Client;
  let plain = "";
  let Bucket = "";
  const Key = "key";

  async function lockedBucket(): Promise<string> {
    buckets += 1;
    const name = `locked-${process.pid}-${buckets}`;
    await s3.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: true }));
    return name;
  }

  beforeAll(async () => {
    s3 = sdkFor(server());
    plain = await makeBucket(s3);
    Bucket = await lockedBucket();
  });

  /** Puts a version of a key of its own and gives its id. */
  async function put(change: Partial<PutObjectCommand["input"]> = {}): Promise<string> {
    const stored = await s3.send(new PutObjectCommand({ Bucket, Key, Body: "abc", ...change }));
    if (stored.VersionId === undefined) throw new Error("the bucket keeps no versions");
    return stored.VersionId;
  }

  const retain = (VersionId: string, Retention: ObjectLockRetention, bypass = false) =>
    s3.send(
      new PutObjectRetentionCommand({
        ...{ Bucket, Key, VersionId, Retention },
        ...(bypass ? { BypassGovernanceRetention: true } : {}),
      }),
    );

  const hold = (VersionId: string, Status: "ON" | "OFF") =>
    s3.send(new PutObjectLegalHoldCommand({ Bucket, Key, VersionId, LegalHold: { Status } }));

  const remove = (VersionId: string, bypass = false) =>
    s3.send(
      new DeleteObjectCommand({
        ...{ Bucket, Key, VersionId },
        ...(bypass ? { BypassGovernanceRetention: true } : {}),
      }),
    );

  describe("of a bucket", () => {
    test("comes with versions, for ever", async () => {
      const versioning = await s3.send(new GetBucketVersioningCommand({ Bucket }));
      expect(versioning.Status).toBe("Enabled");
      const suspend = new PutBucketVersioningCommand({ Bucket, ...SUSPEND });
      expect(await refusalOf(s3.send(suspend))).toBe("409 InvalidBucketState");
      const { ObjectLockConfiguration } = await s3.send(
        new GetObjectLockConfigurationCommand({ Bucket }),
      );
      expect(ObjectLockConfiguration).toEqual({ ObjectLockEnabled: "Enabled" });
    });

    test("is not found where there is none", async () => {
      const get = new GetObjectLockConfigurationCommand({ Bucket: plain });
      expect(await refusalOf(s3.send(get))).toBe("404 ObjectLockConfigurationNotFoundError");
    });

    test("can be switched on later, once versioning is enabled", async () => {
      const later = await makeBucket(s3);
      const lock = new PutObjectLockConfigurationCommand({
        Bucket: later,
        ObjectLockConfiguration: { ObjectLockEnabled: "Enabled" },
      });
      expect(await refusalOf(s3.send(lock))).toBe("409 InvalidBucketState");
      const VersioningConfiguration = { Status: "Enabled" } as const;
      await s3.send(new PutBucketVersioningCommand({ Bucket: later, VersioningConfiguration }));
      await s3.send(lock);
      const suspend = new PutBucketVersioningCommand({ Bucket: later, ...SUSPEND });
      expect(await refusalOf(s3.send(suspend))).toBe("409 InvalidBucketState");
    });

    test.each([
      [{ Mode: "GOVERNANCE", Days: 1 }, 1],
      [{ Mode: "COMPLIANCE", Years: 2 }, 365],
    ] as const)("gives new versions the default %j", async (DefaultRetention, daysMin) => {
      const name = await lockedBucket();
      const ObjectLockConfiguration = {
        ObjectLockEnabled: "Enabled",
        Rule: { DefaultRetention },
      } as const;
      await s3.send(
        new PutObjectLockConfigurationCommand({ Bucket: name, ObjectLockConfiguration }),
      );
      const read = await s3.send(new GetObjectLockConfigurationCommand({ Bucket: name }));
      expect(read.ObjectLockConfiguration).toEqual(ObjectLockConfiguration);
      const VersionId = await put({ Bucket: name });
      const head = await s3.send(new HeadObjectCommand({ Bucket: name, Key }));
      expect(head.ObjectLockMode).toBe(DefaultRetention.Mode);
      const until = head.ObjectLockRetainUntilDate?.getTime() ?? 0;
      expect(until - Date.now()).toBeGreaterThan((daysMin - 0.1) * 86_400_000);
      const del = new DeleteObjectCommand({ Bucket: name, Key, VersionId });
      expect(await refusalOf(s3.send(del))).toBe("403 AccessDenied");
      expect(await refusalOf(s3.send(new DeleteBucketCommand({ Bucket: name })))).toBe(
        "409 BucketNotEmpty",
      );
      // Nothing says what the body should hash to: AWS takes no such write under retention.
      const bare = { method: "PUT", path: `/${name}/bare`, body: "abc" };
      expect(await sendSigned(server(), bare)).toMatchObject({ code: "InvalidRequest" });
    });

    const RULE = (inside: string) =>
      "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>" +
      `${inside}</DefaultRetention></Rule>`;
    test.each([
      ["<ObjectLockEnabled>Disabled</ObjectLockEnabled>", 400, "MalformedXML"],
      [RULE("<Mode>abc</Mode><Days>1</Days>"), 400, "MalformedXML"],
      [RULE("<Mode>governance</Mode><Days>1</Days>"), 400, "MalformedXML"],
      [RULE("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"), 400, "MalformedXML"],
      [RULE("<Mode>GOVERNANCE</Mode><Days>0</Days>"), 400, "InvalidRetentionPeriod"],
      [RULE("<Mode>GOVERNANCE</Mode><Years>-1</Years>"), 400, "InvalidRetentionPeriod"],
    ])("is not changed by %s", async (inside, status, code) => {
      const body = `<ObjectLockConfiguration>${inside}</ObjectLockConfiguration>`;
      const request = { method: "PUT", path: `/${Bucket}?object-lock`, body };
      const answer = await sendSigned(server(), {
        ...request,
        headers: { "Content-MD5": md5(body) },
      });
      expect([answer.status, answer.code]).toEqual([status, code]);
    });

    test("is not changed by a document without a digest", async () => {
      const body =
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>" +
        "</ObjectLockConfiguration>";
      const request = { method: "PUT", path: `/${Bucket}?object-lock`, body };
      const answer = await sendSigned(server(), request);
      expect([answer.status, answer.code]).toEqual([400, "InvalidRequest"]);
    });
  });

  describe("of a version", () => {
    test("is asked for when it is written, and told to those who read it", async () => {
      const VersionId = await put({
        ...{ ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: LATER },
        ObjectLockLegalHoldStatus: "ON",
      });
      for (const command of [HeadObjectCommand, GetObjectCommand]) {
        const shown = await s3.send(new command({ Bucket, Key, VersionId }));
        expect(shown).toMatchObject({
          ...{ ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: LATER },
          ObjectLockLegalHoldStatus: "ON",
        });
      }
      const retention = await s3.send(new GetObjectRetentionCommand({ Bucket, Key, VersionId }));
      expect(retention.Retention).toEqual(GOVERNANCE);
      const legalHold = await s3.send(new GetObjectLegalHoldCommand({ Bucket, Key, VersionId }));
      expect(legalHold.LegalHold).toEqual({ Status: "ON" });
      expect(await refusalOf(remove(VersionId, true))).toBe("403 AccessDenied");
      await hold(VersionId, "OFF");
      expect(await refusalOf(remove(VersionId))).toBe("403 AccessDenied");
      await remove(VersionId, true);
    });

    test("is asked for by copies and uploads, and never copied", async () => {
      const lock = { ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: LATER } as const;
      await put(lock);
      const CopySource = `${Bucket}/${Key}`;
      await s3.send(new CopyObjectCommand({ Bucket, Key: "bare", CopySource }));
      const bare = await s3.send(new HeadObjectCommand({ Bucket, Key: "bare" }));
      expect(bare.ObjectLockMode).toBeUndefined();
      await s3.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource, ...lock }));
      const target = { Bucket, Key: "parts" };
      const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...target, ...lock }));
      const part = { ...target, UploadId, PartNumber: 1 };
      const { ETag } = await s3.send(new UploadPartCommand({ ...part, Body: "abc" }));
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
      await s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload }));
      for (const name of ["copy", "parts"]) {
        const head = await s3.send(new HeadObjectCommand({ Bucket, Key: name }));
        expect(head).toMatchObject(lock);
        const { VersionId } = head;
        const del = new DeleteObjectCommand({ Bucket, Key: name, VersionId });
        expect(await refusalOf(s3.send(del))).toBe("403 AccessDenied");
      }
    });

    test("lets delete markers be put on it, but not itself be removed", async () => {
      const VersionId = await put();
      await retain(VersionId, GOVERNANCE);
      const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key }));
      expect(marker.DeleteMarker).toBe(true);
      expect(await refusalOf(remove(VersionId))).toBe("403 AccessDenied");
      await remove(marker.VersionId ?? "");
      const del = new DeleteObjectsCommand({
        Bucket,
        Delete: { Objects: [{ Key, VersionId }] },
      });
      const kept = await s3.send(del);
      expect(kept.Errors).toMatchObject([{ Key, VersionId, Code: "AccessDenied" }]);
      const bypassed = await s3.send(
        new DeleteObjectsCommand({ ...del.input, BypassGovernanceRetention: true }),
      );
      expect(bypassed.Deleted).toMatchObject([{ Key, VersionId }]);
    });

    test("can be lengthened by all, and shortened by those who bypass governance", async () => {
      const VersionId = await put();
      await retain(VersionId, { Mode: "GOVERNANCE", RetainUntilDate: LATER });
      await retain(VersionId, { Mode: "GOVERNANCE", RetainUntilDate: STILL_LATER });
      expect(await refusalOf(retain(VersionId, GOVERNANCE))).toBe("403 AccessDenied");
      await retain(VersionId, GOVERNANCE, true);
      expect(await refusalOf(retain(VersionId, COMPLIANCE))).toBe("403 AccessDenied");
      expect(await refusalOf(retain(VersionId, {}))).toBe("403 AccessDenied");
      await retain(VersionId, {}, true);
      const get = new GetObjectRetentionCommand({ Bucket, Key, VersionId });
      expect(await refusalOf(s3.send(get))).toBe("404 NoSuchObjectLockConfiguration");
      await remove(VersionId);
    });

    test("in compliance mode is neither shortened nor bypassed", async () => {
      const VersionId = await put();
      await retain(VersionId, COMPLIANCE);
      const shorter = { ...COMPLIANCE, RetainUntilDate: new Date("2130-01-01T00:00:00Z") };
      expect(await refusalOf(retain(VersionId, shorter, true))).toBe("403 AccessDenied");
      expect(await refusalOf(retain(VersionId, GOVERNANCE, true))).toBe("403 AccessDenied");
      expect(await refusalOf(remove(VersionId, true))).toBe("403 AccessDenied");
      await retain(VersionId, { ...COMPLIANCE, RetainUntilDate: STILL_LATER });
    });

    test("is asked of the version that is named, or the current one", async () => {
      const older = await put();
      const newer = await put();
      const current = { Bucket, Key, LegalHold: { Status: "ON" } } as const;
      await s3.send(new PutObjectLegalHoldCommand(current));
      await hold(older, "OFF");
      expect(await refusalOf(remove(newer, true))).toBe("403 AccessDenied");
      await remove(older);
      await hold(newer, "OFF");
      await remove(newer);
    });
  });

  describe("is a right of its own", () => {
    const lock = { ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: LATER } as const;

    /** A bucket with a locked version, and a policy that denies this to everybody. */
    async function denying(...actions: string[]) {
      const name = await lockedBucket();
      const where = { Bucket: name, Key };
      const put = new PutObjectCommand({ ...where, Body: "abc", ...lock });
      const { VersionId } = await s3.send(put);
      const Statement = [
        { Effect: "Deny", Principal: "*", Action: actions, Resource: `arn:aws:s3:::${name}/*` },
      ];
      const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
      await s3.send(new PutBucketPolicyCommand({ Bucket: name, Policy }));
      return { ...where, VersionId };
    }

    test("to ask for it with a write", async () => {
      const { Bucket: name } = await denying("s3:PutObjectRetention", "s3:PutObjectLegalHold");
      const where = { Bucket: name, Key: "other", Body: "abc" };
      const retained = new PutObjectCommand({ ...where, ...lock });
      expect(await refusalOf(s3.send(retained))).toBe("403 AccessDenied");
      const held = new PutObjectCommand({ ...where, ObjectLockLegalHoldStatus: "ON" });
      expect(await refusalOf(s3.send(held))).toBe("403 AccessDenied");
      await s3.send(new PutObjectCommand(where));
    });

    test("to see it", async () => {
      const named = await denying("s3:GetObjectRetention");
      const get = new GetObjectRetentionCommand(named);
      expect(await refusalOf(s3.send(get))).toBe("403 AccessDenied");
      const head = await s3.send(new HeadObjectCommand(named));
      expect([head.ObjectLockMode, head.ObjectLockRetainUntilDate]).toEqual([undefined, undefined]);
    });

    test("to bypass it", async () => {
      const named = { ...(await denying("s3:BypassGovernanceRetention")) };
      const BypassGovernanceRetention = true;
      const del = new DeleteObjectCommand({ ...named, BypassGovernanceRetention });
      expect(await refusalOf(s3.send(del))).toBe("403 AccessDenied");
      const none = { ...named, Retention: {}, BypassGovernanceRetention };
      const take = new PutObjectRetentionCommand(none);
      expect(await refusalOf(s3.send(take))).toBe("403 AccessDenied");
      expect((await s3.send(new HeadObjectCommand(named))).ObjectLockMode).toBe("GOVERNANCE");
    });
  });

  describe("is refused", () => {
    test("by a bucket without it, whatever is asked", async () => {
      await s3.send(new PutObjectCommand({ Bucket: plain, Key, Body: "abc" }));
      const where = { Bucket: plain, Key };
      const code = "400 InvalidRequest";
      const asked = [
        () => s3.send(new GetObjectRetentionCommand(where)),
        () => s3.send(new GetObjectLegalHoldCommand(where)),
        () => s3.send(new PutObjectRetentionCommand({ ...where, Retention: GOVERNANCE })),
        () => s3.send(new PutObjectLegalHoldCommand({ ...where, LegalHold: { Status: "ON" } })),
        () =>
          s3.send(new PutObjectCommand({ ...where, Body: "x", ObjectLockLegalHoldStatus: "ON" })),
      ];
      for (const ask of asked) expect(await refusalOf(ask())).toBe(code);
      const { Body } = await s3.send(new GetObjectCommand(where));
      expect(await Body?.transformToString()).toBe("abc");
    });

    test.each([
      ["retention", "<Retention><Mode>governance</Mode></Retention>", "MalformedXML"],
      ["retention", "<Retention><Mode>GOVERNANCE</Mode></Retention>", "MalformedXML"],
      [
        "retention",
        "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>soon</RetainUntilDate></Retention>",
        "MalformedXML",
      ],
      [
        "retention",
        "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2020-01-01T00:00:00Z" +
          "</RetainUntilDate></Retention>",
        "InvalidArgument",
      ],
      ["legal-hold", "<LegalHold><Status>abc</Status></LegalHold>", "MalformedXML"],
      ["legal-hold", "<LegalHold/>", "MalformedXML"],
      ["legal-hold", "<Retention/>", "MalformedXML"],
    ])("as ?%s with %s", async (subresource, body, code) => {
      await s3.send(new PutObjectCommand({ Bucket, Key: "bad", Body: "abc" }));
      const request = { method: "PUT", path: `/${Bucket}/bad?${subresource}`, body };
      const headers = { "Content-MD5": md5(body) };
      expect(await sendSigned(server(), { ...request, headers })).toMatchObject({
        ...{ status: 400, code },
      });
    });

    test.each([
      [{ "x-amz-object-lock-mode": "GOVERNANCE" }, "InvalidArgument"],
      [
        {
          "x-amz-object-lock-mode": "GOVERNANCE",
          "x-amz-object-lock-retain-until-date": "2020-01-01T00:00:00Z",
        },
        "InvalidArgument",
      ],
      [{ "x-amz-object-lock-legal-hold": "maybe" }, "InvalidArgument"],
      [{ "x-amz-object-lock-legal-hold": "ON" }, "InvalidRequest"],
    ])("to a write with %j, and nothing is stored", async (headers, code) => {
      const request = { method: "PUT", path: `/${Bucket}/never`, body: "abc", headers };
      expect(await sendSigned(server(), request)).toMatchObject({ status: 400, code });
      const get = await sendSigned(server(), { method: "GET", path: `/${Bucket}/never` });
      expect(get.code).toBe("NoSuchKey");
    });

    test("for what is not there", async () => {
      const where = { Bucket, Key: "missing" };
      const get = new GetObjectRetentionCommand(where);
      expect(await refusalOf(s3.send(get))).toBe("404 NoSuchKey");
      await s3.send(new DeleteObjectCommand(where));
      const onMarker = new PutObjectLegalHoldCommand({ ...where, LegalHold: { Status: "ON" } });
      expect(await refusalOf(s3.send(onMarker))).toBe("405 MethodNotAllowed");
    });
  });
});
