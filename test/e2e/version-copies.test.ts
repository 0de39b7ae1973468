import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  HeadObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { beforeEach, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";
import {
  historyOf,
  makeVersionedBucket,
  putVersion,
  setVersioning,
  textOf,
} from "../support/versions.ts";

const NOBODYS = "0".repeat(32);

describe.each(ENGINES)("versions on %s", (engine) => {
  const server = useServer({ engine });
  const client = () => sdkFor(server());
  let Bucket = "";
  beforeEach(async () => {
    Bucket = await makeVersionedBucket(client());
  });

  describe("as sources of copies", () => {
    const copy = (from: string, Key = "to") =>
      client().send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${from}` }));

    test("the current version is copied unless another one is named", async () => {
      const one = await putVersion(client(), { Bucket, Key: "from" }, "one");
      const two = await putVersion(client(), { Bucket, Key: "from" }, "two");
      const current = await copy("from");
      expect(current.CopySourceVersionId).toBe(two);
      expect(await textOf(client(), { Bucket, Key: "to" })).toBe("two");
      const named = await copy(`from?versionId=${one}`);
      expect(named.CopySourceVersionId).toBe(one);
      expect(named.VersionId).toMatch(/^[0-9a-f]{32}$/);
      expect(await textOf(client(), { Bucket, Key: "to" })).toBe("one");
      const old = { Bucket, Key: "to", VersionId: current.VersionId ?? "" };
      expect(await textOf(client(), old)).toBe("two");
    });

    test("a copy of an older version onto its own key restores it", async () => {
      const one = await putVersion(client(), { Bucket, Key: "k" }, "one");
      const two = await putVersion(client(), { Bucket, Key: "k" }, "two");
      expect(await refusalOf(copy("k", "k"))).toBe("400 InvalidRequest");
      const restored = await copy(`k?versionId=${one}`, "k");
      expect(await textOf(client(), { Bucket, Key: "k" })).toBe("one");
      expect(await historyOf(client(), Bucket)).toEqual([
        `k ${restored.VersionId} latest`,
        `k ${two}`,
        `k ${one}`,
      ]);
    });

    test("the current version can be restored too, by who names it", async () => {
      const one = await putVersion(client(), { Bucket, Key: "k" }, "one");
      const again = await copy(`k?versionId=${one}`, "k");
      expect(await textOf(client(), { Bucket, Key: "k" })).toBe("one");
      expect(await historyOf(client(), Bucket)).toEqual([
        `k ${again.VersionId} latest`,
        `k ${one}`,
      ]);
    });

    test("a large version outlives the key it was copied from", async () => {
      const body = patternBytes(2 * 1024 * 1024).toString("latin1");
      const VersionId = await putVersion(client(), { Bucket, Key: "from" }, body);
      await putVersion(client(), { Bucket, Key: "from" }, "newer");
      await copy(`from?versionId=${VersionId}`);
      await client().send(new DeleteObjectCommand({ Bucket, Key: "from", VersionId }));
      expect((await textOf(client(), { Bucket, Key: "to" })) === body).toBe(true);
    });

    test("a delete marker cannot be copied, whether it is current or named", async () => {
      await putVersion(client(), { Bucket, Key: "from" }, "x");
      const { VersionId = "" } = await client().send(
        new DeleteObjectCommand({ Bucket, Key: "from" }),
      );
      expect(await refusalOf(copy(`from?versionId=${VersionId}`))).toBe("400 InvalidRequest");
      const current = await sendSigned(server(), {
        method: "PUT",
        path: `/${Bucket}/to`,
        headers: { "x-amz-copy-source": `/${Bucket}/from` },
      });
      expect([current.status, current.code]).toEqual([404, "NoSuchKey"]);
      expect(current.headers["x-amz-delete-marker"]).toBe("true");
      expect(current.headers["x-amz-version-id"]).toBe(VersionId);
      expect(current.body).toContain("<Key>from</Key>");
    });

    test.each([
      [`from?versionId=${NOBODYS}`, "404 NoSuchVersion"],
      ["from?versionId=null", "404 NoSuchVersion"],
      ["from?versionId=", "400 InvalidArgument"],
      ["from?versionId=abc", "400 InvalidArgument"],
    ])("%s is refused with %s", async (source, refusal) => {
      await putVersion(client(), { Bucket, Key: "from" }, "x");
      expect(await refusalOf(copy(source))).toBe(refusal);
      expect(await historyOf(client(), Bucket, "to")).toEqual([]);
    });

    test("a source without versions has no version id, and a null version is named", async () => {
      const plain = await makeBucket(client());
      await putVersion(client(), { Bucket: plain, Key: "from" }, "x");
      const request = { Bucket, Key: "to", CopySource: `${plain}/from` };
      const before = await client().send(new CopyObjectCommand(request));
      expect(before.CopySourceVersionId).toBeUndefined();
      await setVersioning(client(), plain, "Suspended");
      const after = await client().send(new CopyObjectCommand(request));
      expect(after.CopySourceVersionId).toBe("null");
      // Into a bucket whose versioning is suspended: the null version is not named.
      const back = { Bucket: plain, Key: "back", CopySource: `${Bucket}/to` };
      const suspended = await client().send(new CopyObjectCommand(back));
      expect(suspended.VersionId).toBeUndefined();
      expect(suspended.CopySourceVersionId).toBe(after.VersionId);
    });
  });

  describe("and multipart uploads", () => {
    test("completing makes a version and leaves the ones before", async () => {
      const target = { Bucket, Key: "k" };
      const one = await putVersion(client(), target, "one");
      const { UploadId } = await client().send(new CreateMultipartUploadCommand(target));
      const part = { ...target, UploadId, PartNumber: 1 };
      const { ETag } = await client().send(new UploadPartCommand({ ...part, Body: "two" }));
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
      const complete = new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload });
      const { VersionId } = await client().send(complete);
      // A retry after an answer that was lost hears of the version that the first one made.
      expect((await client().send(complete)).VersionId).toBe(VersionId);
      expect(VersionId).toMatch(/^[0-9a-f]{32}$/);
      expect(await historyOf(client(), Bucket)).toEqual([`k ${VersionId} latest`, `k ${one}`]);
      const head = await client().send(new HeadObjectCommand(target));
      expect(head.VersionId).toBe(VersionId);
    });

    test("a part can be copied from a version, and from no delete marker", async () => {
      const one = await putVersion(client(), { Bucket, Key: "from" }, "one");
      await putVersion(client(), { Bucket, Key: "from" }, "two");
      const target = { Bucket, Key: "to" };
      const { UploadId } = await client().send(new CreateMultipartUploadCommand(target));
      const copyPart = (versionId: string) =>
        client().send(
          new UploadPartCopyCommand({
            ...{ ...target, UploadId, PartNumber: 1 },
            CopySource: `${Bucket}/from?versionId=${versionId}`,
          }),
        );
      const part = await copyPart(one);
      expect(part.CopySourceVersionId).toBe(one);
      const { VersionId = "" } = await client().send(
        new DeleteObjectCommand({ Bucket, Key: "from" }),
      );
      expect(await refusalOf(copyPart(VersionId))).toBe("400 InvalidRequest");
      expect(await refusalOf(copyPart("abc"))).toBe("400 InvalidArgument");
      expect(await refusalOf(copyPart(NOBODYS))).toBe("404 NoSuchVersion");
      const Parts = [{ PartNumber: 1, ETag: part.CopyPartResult?.ETag }];
      const MultipartUpload = { Parts };
      await client().send(
        new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload }),
      );
      expect(await textOf(client(), target)).toBe("one");
    });
  });

  describe("deleted many at once", () => {
    const deleteMany = (...Objects: ReadonlyArray<{ Key: string; VersionId?: string }>) =>
      client().send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [...Objects] } }));

    test("each result says what it removed and which marker that was or made", async () => {
      const put = (Key: string) => putVersion(client(), { Bucket, Key }, Key);
      const [a, b] = [await put("a"), await put("b")];
      const { VersionId: marker = "" } = await client().send(
        new DeleteObjectCommand({ Bucket, Key: "b" }),
      );
      const { Deleted = [], Errors } = await deleteMany(
        { Key: "a", VersionId: a },
        { Key: "b", VersionId: marker },
        { Key: "b", VersionId: NOBODYS },
        { Key: "c" },
      );
      expect(Errors).toBeUndefined();
      expect(Deleted.slice(0, 3)).toEqual([
        { Key: "a", VersionId: a },
        { Key: "b", VersionId: marker, DeleteMarker: true, DeleteMarkerVersionId: marker },
        { Key: "b", VersionId: NOBODYS },
      ]);
      const made = Deleted[3];
      expect([made?.Key, made?.VersionId, made?.DeleteMarker]).toEqual(["c", undefined, true]);
      expect(await historyOf(client(), Bucket)).toEqual([
        `b ${b} latest`,
        `c ${made?.DeleteMarkerVersionId} latest marker`,
      ]);
    });

    test("the same key twice is deleted once, with and without a version each for itself", async () => {
      const one = await putVersion(client(), { Bucket, Key: "k" }, "one");
      const named = { Key: "k", VersionId: one };
      const { Deleted = [] } = await deleteMany({ Key: "k" }, { Key: "k" }, named, named);
      expect(Deleted).toHaveLength(2);
      expect(Deleted.map(({ VersionId }) => VersionId)).toEqual([undefined, one]);
      expect(await historyOf(client(), Bucket)).toHaveLength(1);
    });

    test("while versioning is suspended the marker is the null version", async () => {
      const kept = await putVersion(client(), { Bucket, Key: "k" }, "kept");
      await setVersioning(client(), Bucket, "Suspended");
      const { Deleted } = await deleteMany({ Key: "k" });
      expect(Deleted).toEqual([{ Key: "k", DeleteMarker: true, DeleteMarkerVersionId: "null" }]);
      const removed = await deleteMany({ Key: "k", VersionId: "null" });
      expect(removed.Deleted).toEqual([
        { Key: "k", VersionId: "null", DeleteMarker: true, DeleteMarkerVersionId: "null" },
      ]);
      expect(await historyOf(client(), Bucket)).toEqual([`k ${kept} latest`]);
    });

    test("an id that cannot be one fails alone", async () => {
      const one = await putVersion(client(), { Bucket, Key: "k" }, "one");
      const { Deleted, Errors } = await deleteMany(
        { Key: "k", VersionId: "abc" },
        { Key: "k", VersionId: one },
      );
      expect(Errors?.map(({ Key, VersionId, Code }) => [Key, VersionId, Code])).toEqual([
        ["k", "abc", "NoSuchVersion"],
      ]);
      expect(Deleted).toEqual([{ Key: "k", VersionId: one }]);
    });

    test("a bucket can be emptied of all its versions and then deleted", async () => {
      for (const Key of ["a", "b"]) {
        await putVersion(client(), { Bucket, Key }, "1");
        await putVersion(client(), { Bucket, Key }, "2");
        await client().send(new DeleteObjectCommand({ Bucket, Key }));
      }
      const history = await historyOf(client(), Bucket);
      expect(history).toHaveLength(6);
      const all = history.map((line) => {
        const [Key = "", VersionId = ""] = line.split(" ");
        return { Key, VersionId };
      });
      const { Deleted } = await deleteMany(...all);
      expect(Deleted).toHaveLength(6);
      expect(await historyOf(client(), Bucket)).toEqual([]);
      const gone = await sendSigned(server(), { method: "DELETE", path: `/${Bucket}` });
      expect(gone.status).toBe(204);
    });
  });
});
