import { rmSync } from "node:fs";
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
  type Tag,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { arn, makeOtherKey, putPolicy } from "../support/access.ts";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, startServer, useServer } from "../support/server.ts";

const DENIED = "403 AccessDenied";

function tagsOf(record: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(record).map(([Key, Value]) => ({ Key, Value }));
}

describe.each(ENGINES)("tags of objects on %s", (engine) => {
  const server = useServer({ engine });

  async function stage(Tagging?: string): Promise<{ s3: S3Client; Bucket: string; Key: string }> {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const put = { Bucket, Key: "a", Body: "body", ...(Tagging === undefined ? {} : { Tagging }) };
    await s3.send(new PutObjectCommand(put));
    return { s3, Bucket, Key: "a" };
  }

  test("are replaced as a whole, shown sorted, counted, and taken away", async () => {
    const { s3, Bucket, Key } = await stage("old=1");
    const before = await s3.send(new HeadObjectCommand({ Bucket, Key }));
    const TagSet = tagsOf({ b: "2", a: "1", empty: "" });
    for (let again = 0; again < 2; again++) {
      const put = new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet } });
      expect((await s3.send(put)).$metadata.httpStatusCode).toBe(200);
    }
    const got = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }));
    expect(got.TagSet).toEqual(tagsOf({ a: "1", b: "2", empty: "" }));
    const after = await s3.send(new HeadObjectCommand({ Bucket, Key }));
    expect(after.ETag).toBe(before.ETag);
    expect(after.LastModified).toEqual(before.LastModified);
    expect(after.TagCount).toBe(3);
    for (let again = 0; again < 2; again++) {
      const gone = await s3.send(new DeleteObjectTaggingCommand({ Bucket, Key }));
      expect(gone.$metadata.httpStatusCode).toBe(204);
    }
    const none = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }));
    expect(none.TagSet).toEqual([]);
  });

  test.each([
    ["<Tagging><TagSet></TagSet></Tagging>", "200"],
    ["<Tagging/>", "400 MalformedXML"],
    ["<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", "400 MalformedXML"],
    ["<Tagging><TagSet><Other/></TagSet></Tagging>", "400 MalformedXML"],
    ["no XML", "400 MalformedXML"],
    ["", "400 MissingRequestBodyError"],
    [
      document([
        ["a", "1"],
        ["a", "2"],
      ]),
      "400 InvalidTag",
    ],
    [document([["", "1"]]), "400 InvalidTag"],
    [document([["a", "<".repeat(1)]]), "400 InvalidTag"],
    [document([["aws:a", "1"]]), "400 InvalidTag"],
    [document([["k".repeat(129), "1"]]), "400 InvalidTag"],
    [document([["k".repeat(128), "v".repeat(256)]]), "200"],
    [document([["a", "v".repeat(257)]]), "400 InvalidTag"],
    [document(Array.from({ length: 10 }, (_, at) => [`k${at}`, ""])), "200"],
    [document(Array.from({ length: 11 }, (_, at) => [`k${at}`, ""])), "400 BadRequest"],
  ])("%j is %s, and what is refused changes nothing", async (body, expected) => {
    const { s3, Bucket, Key } = await stage("old=1");
    const path = `/${Bucket}/${Key}?tagging`;
    const answer = await sendSigned(server(), { method: "PUT", path, body });
    expect(`${answer.status} ${answer.code}`.trim()).toBe(expected);
    const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }));
    if (expected !== "200") expect(TagSet).toEqual(tagsOf({ old: "1" }));
  });

  test("of what is not there are not there either", async () => {
    const { s3, Bucket } = await stage();
    const Tagging = { TagSet: tagsOf({ a: "1" }) };
    const place = { Bucket, Key: "none" };
    const put = s3.send(new PutObjectTaggingCommand({ ...place, Tagging }));
    expect(await refusalOf(put)).toBe("404 NoSuchKey");
    const got = s3.send(new GetObjectTaggingCommand(place));
    expect(await refusalOf(got)).toBe("404 NoSuchKey");
    const removed = s3.send(new DeleteObjectTaggingCommand(place));
    expect(await refusalOf(removed)).toBe("404 NoSuchKey");
    const nowhere = { Bucket: "no-such-bucket-here", Key: "a", Tagging };
    const refused = s3.send(new PutObjectTaggingCommand(nowhere));
    expect(await refusalOf(refused)).toBe("404 NoSuchBucket");
  });

  test("belong to one version", async () => {
    const { s3, Bucket, Key } = await stage();
    const VersioningConfiguration = { Status: "Enabled" as const };
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    const { VersionId } = await s3.send(new PutObjectCommand({ Bucket, Key, Body: "new" }));
    const put = (TagSet: Tag[], version: string | undefined) =>
      s3.send(
        new PutObjectTaggingCommand({
          ...{ Bucket, Key, Tagging: { TagSet } },
          ...(version === undefined ? {} : { VersionId: version }),
        }),
      );
    expect((await put(tagsOf({ of: "null" }), "null")).VersionId).toBe("null");
    expect((await put(tagsOf({ of: "current" }), undefined)).VersionId).toBe(VersionId);
    const old = new GetObjectTaggingCommand({ Bucket, Key, VersionId: "null" });
    expect((await s3.send(old)).TagSet).toEqual(tagsOf({ of: "null" }));
    const current = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }));
    expect([current.TagSet, current.VersionId]).toEqual([tagsOf({ of: "current" }), VersionId]);
    await s3.send(new DeleteObjectTaggingCommand({ Bucket, Key, VersionId: "null" }));
    expect((await s3.send(old)).TagSet).toEqual([]);
    expect(await refusalOf(put([], "0".repeat(32)))).toBe("404 NoSuchVersion");
    const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key }));
    expect(await refusalOf(put([], marker.VersionId))).toBe("405 MethodNotAllowed");
    for (const VersionId of [marker.VersionId, undefined]) {
      const read = new GetObjectTaggingCommand({ Bucket, Key, VersionId });
      expect(await refusalOf(s3.send(read))).toBe("405 MethodNotAllowed");
    }
  });

  test("are set by who may, and only such as policies take", async () => {
    const { s3, Bucket, Key } = await stage("class=open");
    const other = await makeOtherKey(server());
    const put = (tags: Readonly<Record<string, string>>) =>
      other.s3.send(
        new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet: tagsOf(tags) } }),
      );
    expect(await refusalOf(put({ class: "secret" }))).toBe(DENIED);
    const nowhere = { Bucket: "no-such-bucket-here", Key, Tagging: { TagSet: [] } };
    const unknown = other.s3.send(new PutObjectTaggingCommand(nowhere));
    expect(await refusalOf(unknown)).toBe(DENIED);
    const allow = { Effect: "Allow", Principal: "*", Action: "s3:PutObjectTagging" };
    await putPolicy(s3, Bucket, {
      ...{ ...allow, Resource: arn(Bucket, "*") },
      Condition: {
        StringEquals: { "s3:RequestObjectTag/class": ["open", "secret"] },
        "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": ["class", "team"] },
      },
    });
    await put({ class: "secret", team: "a" });
    expect(await refusalOf(put({ class: "other" }))).toBe(DENIED);
    expect(await refusalOf(put({ team: "a" }))).toBe(DENIED);
    expect(await refusalOf(put({ class: "open", more: "a" }))).toBe(DENIED);
    const version = {
      Bucket,
      Key,
      VersionId: "null",
      Tagging: { TagSet: tagsOf({ class: "open" }) },
    };
    const named = other.s3.send(new PutObjectTaggingCommand(version));
    expect(await refusalOf(named)).toBe(DENIED);
    const got = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }));
    expect(got.TagSet).toEqual(tagsOf({ class: "secret", team: "a" }));
  });

  test("go along with a copy, or are replaced by those it comes with", async () => {
    const { s3, Bucket, Key } = await stage();
    const TagSet = tagsOf({ a: "1" });
    await s3.send(new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet } }));
    const copy = { Bucket, CopySource: `${Bucket}/${Key}` };
    await s3.send(new CopyObjectCommand({ ...copy, Key: "b" }));
    const replaced = { TaggingDirective: "REPLACE" as const, Tagging: "b=2" };
    await s3.send(new CopyObjectCommand({ ...copy, Key: "c", ...replaced }));
    for (const [key, tags] of [
      ["b", { a: "1" }],
      ["c", { b: "2" }],
    ] as const) {
      const got = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: key }));
      expect(got.TagSet).toEqual(tagsOf(tags));
    }
  });
});

test("tags outlive a kill", async () => {
  let server = await startServer();
  const s3 = sdkFor(server);
  const Bucket = await makeBucket(s3);
  const place = { Bucket, Key: "a" };
  await s3.send(new PutObjectCommand({ ...place, Body: "x" }));
  const TagSet = tagsOf({ kept: "yes" });
  await s3.send(new PutObjectTaggingCommand({ ...place, Tagging: { TagSet } }));
  const { dataDirectory } = server;
  await server.kill("SIGKILL");
  server = await startServer({ dataDirectory });
  const got = await sdkFor(server).send(new GetObjectTaggingCommand(place));
  expect(got.TagSet).toEqual(TagSet);
  await server.stop();
  rmSync(dataDirectory, { recursive: true, force: true });
});

function document(tags: ReadonlyArray<readonly string[]>): string {
  const list = tags.map(([key = "", value = ""]) => {
    const text = value.replaceAll("<", "&lt;");
    return `<Tag><Key>${key}</Key><Value>${text}</Value></Tag>`;
  });
  return `<Tagging><TagSet>${list.join("")}</TagSet></Tagging>`;
}
