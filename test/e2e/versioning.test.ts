import {
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";
import {
  historyOf,
  makeVersionedBucket,
  putVersion,
  setVersioning,
  textOf,
} from "../support/versions.ts";

const NOBODYS = "0".repeat(32);

describe.each(ENGINES)("versioning on %s", (engine) => {
  const server = useServer({ engine });

  // The answer to a HEAD has a length and no body: its end is the end of the connection.
  const send = (method: string, path: string, headers = {}, body?: string) =>
    sendSigned(server(), {
      ...{ method, path },
      headers: method === "HEAD" ? { ...headers, Connection: "close" } : headers,
      ...(body === undefined ? {} : { body }),
    });

  describe("of a bucket", () => {
    test("is unknown at first, then enabled, then suspended, and back again", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const state = async () => {
        const { Status, MFADelete } = await s3.send(new GetBucketVersioningCommand({ Bucket }));
        return [Status, MFADelete];
      };
      expect(await state()).toEqual([undefined, undefined]);
      for (const status of ["Enabled", "Suspended", "Suspended", "Enabled"] as const) {
        await setVersioning(s3, Bucket, status);
        expect(await state()).toEqual([status, undefined]);
      }
    });

    test.each([
      ["", "400 MissingRequestBodyError"],
      ["<VersioningConfiguration/>", "400 IllegalVersioningConfigurationException"],
      ["<Status>Enabled</Status>", "400 MalformedXML"],
      [
        "<VersioningConfiguration><Status>on</Status></VersioningConfiguration>",
        "400 MalformedXML",
      ],
      [
        "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>" +
          "</VersioningConfiguration>",
        "403 AccessDenied",
      ],
    ])("%j changes nothing and is answered %s", async (body, refusal) => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const answer = await send("PUT", `/${Bucket}?versioning`, {}, body);
      expect(`${answer.status} ${answer.code}`).toBe(refusal);
      expect((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBeUndefined();
    });

    test("a digest that does not fit the document is refused", async () => {
      const Bucket = await makeBucket(sdkFor(server()));
      const xml = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
      const headers = { "Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA==" };
      const answer = await send("PUT", `/${Bucket}?versioning`, headers, xml);
      expect(`${answer.status} ${answer.code}`).toBe("400 BadDigest");
    });

    test("there is none of a bucket that is not there", async () => {
      const s3 = sdkFor(server());
      const VersioningConfiguration = { Status: "Enabled" } as const;
      const put = { Bucket: "not-there", VersioningConfiguration };
      expect(await refusalOf(s3.send(new PutBucketVersioningCommand(put)))).toBe(
        "404 NoSuchBucket",
      );
    });

    test("keeps the bucket from being deleted while any version or marker is left", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const VersionId = await putVersion(s3, { Bucket, Key: "k" }, "1");
      const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key: "k" }));
      const remove = () => s3.send(new DeleteBucketCommand({ Bucket }));
      expect(await refusalOf(remove())).toBe("409 BucketNotEmpty");
      await s3.send(new DeleteObjectCommand({ Bucket, Key: "k", VersionId }));
      expect(await refusalOf(remove())).toBe("409 BucketNotEmpty");
      await expect(remove()).rejects.toThrow(/You must delete all versions in the bucket/);
      const last = { Bucket, Key: "k", VersionId: marker.VersionId };
      await s3.send(new DeleteObjectCommand(last));
      await remove();
    });
  });

  describe("of an object", () => {
    test("a bucket that was never versioned does not speak of versions", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const target = { Bucket, Key: "k" };
      expect(await putVersion(s3, target, "1")).toBe("");
      expect((await s3.send(new HeadObjectCommand(target))).VersionId).toBeUndefined();
      expect(await textOf(s3, { ...target, VersionId: "null" })).toBe("1");
      const named = await s3.send(new HeadObjectCommand({ ...target, VersionId: "null" }));
      expect(named.VersionId).toBeUndefined();
      const gone = await s3.send(new DeleteObjectCommand(target));
      expect([gone.VersionId, gone.DeleteMarker]).toEqual([undefined, undefined]);
      const missing = await send("GET", `/${Bucket}/k`);
      expect(missing.status).toBe(404);
      expect(missing.headers).not.toHaveProperty("x-amz-delete-marker");
      expect(missing.headers).not.toHaveProperty("x-amz-version-id");
      expect(await historyOf(s3, Bucket)).toEqual([]);
    });

    test("each write makes a version, and each can be read by its id", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const target = { Bucket, Key: "k" };
      const ids = [];
      for (const text of ["one", "two", "three"]) ids.push(await putVersion(s3, target, text));
      expect(new Set(ids).size).toBe(3);
      expect(await textOf(s3, target)).toBe("three");
      const [one = "", two = "", three = ""] = ids;
      expect(await textOf(s3, { ...target, VersionId: one })).toBe("one");
      const head = await s3.send(new HeadObjectCommand({ ...target, VersionId: two }));
      expect([head.VersionId, head.ContentLength]).toEqual([two, 3]);
      expect((await s3.send(new HeadObjectCommand(target))).VersionId).toBe(three);
      const asked = { ...target, VersionId: one, ObjectAttributes: ["ObjectSize"] } as const;
      const attributes = await s3.send(
        new GetObjectAttributesCommand({ ...asked, ObjectAttributes: ["ObjectSize"] }),
      );
      expect([attributes.VersionId, attributes.ObjectSize]).toEqual([one, 3]);
      expect(await historyOf(s3, Bucket)).toEqual([`k ${three} latest`, `k ${two}`, `k ${one}`]);
    });

    test("a delete puts a marker in front, and taking that away brings the object back", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const target = { Bucket, Key: "k" };
      const VersionId = await putVersion(s3, target, "one");
      const deleted = await s3.send(new DeleteObjectCommand(target));
      expect(deleted.DeleteMarker).toBe(true);
      const id = deleted.VersionId ?? "";
      expect(id).toMatch(/^[0-9a-f]{32}$/);
      expect(await historyOf(s3, Bucket)).toEqual([`k ${VersionId}`, `k ${id} latest marker`]);
      expect(await textOf(s3, { ...target, VersionId })).toBe("one");

      for (const method of ["GET", "HEAD"]) {
        const current = await send(method, `/${Bucket}/k`);
        expect(current.status).toBe(404);
        expect(current.headers["x-amz-delete-marker"]).toBe("true");
        expect(current.headers["x-amz-version-id"]).toBe(id);
        if (method === "GET") expect(current.code).toBe("NoSuchKey");
        const named = await send(method, `/${Bucket}/k?versionId=${id}`);
        expect(named.status).toBe(405);
        expect(named.headers["x-amz-delete-marker"]).toBe("true");
        expect(named.headers["x-amz-version-id"]).toBe(id);
        expect(named.headers["allow"]).toBe("DELETE");
        expect(Date.parse(named.headers["last-modified"] ?? "")).not.toBeNaN();
        if (method === "GET") {
          expect(named.code).toBe("MethodNotAllowed");
          expect(named.body).toContain("<ResourceType>DeleteMarker</ResourceType>");
        }
      }

      const removed = await s3.send(new DeleteObjectCommand({ ...target, VersionId: id }));
      expect([removed.DeleteMarker, removed.VersionId]).toEqual([true, id]);
      expect(await textOf(s3, target)).toBe("one");
    });

    test("a marker is made for a key that never was, and one more for each delete", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const target = { Bucket, Key: "never" };
      const first = await s3.send(new DeleteObjectCommand(target));
      const second = await s3.send(new DeleteObjectCommand(target));
      expect([first.DeleteMarker, second.DeleteMarker]).toEqual([true, true]);
      expect(first.VersionId).not.toBe(second.VersionId);
      expect(await historyOf(s3, Bucket)).toHaveLength(2);
    });

    test("the newest version that is left is the current one", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const target = { Bucket, Key: "k" };
      const one = await putVersion(s3, target, "one");
      const two = await putVersion(s3, target, "two");
      const removed = await s3.send(new DeleteObjectCommand({ ...target, VersionId: two }));
      expect([removed.DeleteMarker, removed.VersionId]).toEqual([undefined, two]);
      expect(await textOf(s3, target)).toBe("one");
      expect(await refusalOf(textOf(s3, { ...target, VersionId: two }))).toBe("404 NoSuchVersion");
      // Removing it again succeeds, and so does removing what never was.
      for (const VersionId of [two, NOBODYS]) {
        const again = await s3.send(new DeleteObjectCommand({ ...target, VersionId }));
        expect([again.DeleteMarker, again.VersionId]).toEqual([undefined, VersionId]);
      }
      expect(await historyOf(s3, Bucket)).toEqual([`k ${one} latest`]);
      await s3.send(new DeleteObjectCommand({ ...target, VersionId: one }));
      expect(await refusalOf(textOf(s3, target))).toBe("404 NoSuchKey");
      expect(await historyOf(s3, Bucket)).toEqual([]);
    });

    test("what was there before versioning is the null version", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const target = { Bucket, Key: "k" };
      await putVersion(s3, target, "old");
      await setVersioning(s3, Bucket, "Enabled");
      expect((await s3.send(new HeadObjectCommand(target))).VersionId).toBe("null");
      const id = await putVersion(s3, target, "new");
      expect(await textOf(s3, { ...target, VersionId: "null" })).toBe("old");
      expect(await historyOf(s3, Bucket)).toEqual([`k ${id} latest`, "k null"]);
      const removed = await s3.send(new DeleteObjectCommand({ ...target, VersionId: "null" }));
      expect([removed.DeleteMarker, removed.VersionId]).toEqual([undefined, "null"]);
      expect(await refusalOf(textOf(s3, { ...target, VersionId: "null" }))).toBe(
        "404 NoSuchVersion",
      );
      expect(await textOf(s3, target)).toBe("new");
    });

    test("while versioning is suspended only the null version changes", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const target = { Bucket, Key: "k" };
      const kept = await putVersion(s3, target, "kept");
      await setVersioning(s3, Bucket, "Suspended");
      // AWS names no version here, though the object then has one.
      expect(await putVersion(s3, target, "a")).toBe("");
      expect(await putVersion(s3, target, "b")).toBe("");
      expect((await s3.send(new HeadObjectCommand(target))).VersionId).toBe("null");
      expect(await historyOf(s3, Bucket)).toEqual(["k null latest", `k ${kept}`]);

      const deleted = await s3.send(new DeleteObjectCommand(target));
      expect([deleted.DeleteMarker, deleted.VersionId]).toEqual([true, "null"]);
      expect(await historyOf(s3, Bucket)).toEqual([`k ${kept}`, "k null latest marker"]);
      const current = await send("GET", `/${Bucket}/k`);
      expect(current.headers["x-amz-version-id"]).toBe("null");
      expect((await send("GET", `/${Bucket}/k?versionId=null`)).status).toBe(405);

      const removed = await s3.send(new DeleteObjectCommand({ ...target, VersionId: "null" }));
      expect([removed.DeleteMarker, removed.VersionId]).toEqual([true, "null"]);
      expect(await textOf(s3, target)).toBe("kept");
    });

    test("the null version is replaced wherever in the order it lies", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const target = { Bucket, Key: "k" };
      await putVersion(s3, target, "null 1");
      await setVersioning(s3, Bucket, "Enabled");
      const id = await putVersion(s3, target, "versioned");
      await setVersioning(s3, Bucket, "Suspended");
      await putVersion(s3, target, "null 2");
      expect(await historyOf(s3, Bucket)).toEqual(["k null latest", `k ${id}`]);
      expect(await textOf(s3, { ...target, VersionId: "null" })).toBe("null 2");
    });

    test.each([
      ["", "400 InvalidArgument", "Version id cannot be the empty string"],
      ["abc", "400 InvalidArgument", "Invalid version id specified"],
      ["9999999999999999", "400 InvalidArgument", "Invalid version id specified"],
    ])("the version id %j is refused by every operation", async (id, refusal, message) => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      await putVersion(s3, { Bucket, Key: "k" }, "1");
      const ask = { "x-amz-object-attributes": "ETag" };
      const answers = [
        await send("GET", `/${Bucket}/k?versionId=${id}`),
        await send("DELETE", `/${Bucket}/k?versionId=${id}`),
        await send("GET", `/${Bucket}/k?tagging&versionId=${id}`),
        await send("GET", `/${Bucket}/k?acl&versionId=${id}`),
        await send("GET", `/${Bucket}/k?attributes&versionId=${id}`, ask),
      ];
      for (const answer of answers) {
        expect(`${answer.status} ${answer.code}`).toBe(refusal);
        expect(answer.body).toContain(`<Message>${message}</Message>`);
        expect(answer.body).toContain("<ArgumentName>versionId</ArgumentName>");
      }
      expect((await send("HEAD", `/${Bucket}/k?versionId=${id}`)).status).toBe(400);
      expect(await historyOf(s3, Bucket)).toHaveLength(1);
    });

    test("a version of another key, and one of nobody, do not exist", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const other = await putVersion(s3, { Bucket, Key: "other" }, "1");
      await putVersion(s3, { Bucket, Key: "k" }, "1");
      for (const id of [other, NOBODYS]) {
        for (const key of ["k", "missing"]) {
          const answer = await send("GET", `/${Bucket}/${key}?versionId=${id}`);
          expect(`${answer.status} ${answer.code}`).toBe("404 NoSuchVersion");
          expect(answer.body).toContain(`<VersionId>${id}</VersionId>`);
          expect(answer.body).toContain(`<Key>${key}</Key>`);
          expect((await send("HEAD", `/${Bucket}/${key}?versionId=${id}`)).status).toBe(404);
        }
      }
      expect((await send("GET", `/${Bucket}/k?versionId=null`)).code).toBe("NoSuchVersion");
    });

    test("a version cannot be named where one is made", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const VersionId = await putVersion(s3, { Bucket, Key: "k" }, "1");
      const answer = await send("PUT", `/${Bucket}/k?versionId=${VersionId}`, {}, "2");
      expect(`${answer.status} ${answer.code}`).toBe("400 InvalidArgument");
      expect(answer.body).toContain("This operation does not accept a version-id.");
      expect(await historyOf(s3, Bucket)).toHaveLength(1);
    });

    test("a range, a part and an unchanged version name the version they belong to", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const target = { Bucket, Key: "k" };
      const VersionId = await putVersion(s3, target, "hello");
      await putVersion(s3, target, "other");
      const named = { ...target, VersionId };
      const ranged = await s3.send(new GetObjectCommand({ ...named, Range: "bytes=1-2" }));
      expect([await ranged.Body?.transformToString(), ranged.VersionId]).toEqual(["el", VersionId]);
      const { ETag = "" } = await s3.send(new HeadObjectCommand({ ...named, PartNumber: 1 }));
      const path = `/${Bucket}/k?versionId=${VersionId}`;
      const unchanged = await send("GET", path, { "If-None-Match": ETag });
      expect([unchanged.status, unchanged.headers["x-amz-version-id"]]).toEqual([304, VersionId]);
      expect((await send("GET", path, { "If-Match": '"nope"' })).status).toBe(412);
    });
  });

  describe("and conditions", () => {
    test("a delete marker is no object: it may be written over and not matched", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const target = { Bucket, Key: "k" };
      const put = (conditions: object) =>
        s3.send(new PutObjectCommand({ ...target, Body: "x", ...conditions }));
      const first = await put({ IfNoneMatch: "*" });
      expect(await refusalOf(put({ IfNoneMatch: "*" }))).toBe("412 PreconditionFailed");
      await s3.send(new DeleteObjectCommand(target));
      expect(await refusalOf(put({ IfMatch: first.ETag }))).toBe("404 NoSuchKey");
      const remove = new DeleteObjectCommand({ ...target, IfMatch: "*" });
      expect(await refusalOf(s3.send(remove))).toBe("412 PreconditionFailed");
      const again = await put({ IfNoneMatch: "*" });
      expect(again.VersionId).not.toBe(first.VersionId);
      expect(await historyOf(s3, Bucket)).toHaveLength(3);
    });

    test("a delete is conditional on the current version", async () => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const target = { Bucket, Key: "k" };
      const old = await s3.send(new PutObjectCommand({ ...target, Body: "old" }));
      const now = await s3.send(new PutObjectCommand({ ...target, Body: "new" }));
      const remove = (IfMatch: string | undefined, VersionId?: string) =>
        s3.send(new DeleteObjectCommand({ ...target, IfMatch, VersionId }));
      expect(await refusalOf(remove(old.ETag))).toBe("412 PreconditionFailed");
      expect(await refusalOf(remove(old.ETag, old.VersionId))).toBe("412 PreconditionFailed");
      expect((await remove(now.ETag, old.VersionId)).VersionId).toBe(old.VersionId);
      expect((await remove(now.ETag)).DeleteMarker).toBe(true);
    });
  });
});
