import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketTaggingCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketTaggingCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterEach, describe, expect, test } from "vitest";
import { patternBytes, sdkFor } from "../support/sdk.ts";
import { ENGINES } from "../support/server.ts";
import { joinTo, type RunningSite, startCluster, startSite, until } from "../support/sites.ts";
import { setVersioning } from "../support/versions.ts";

const BUCKET = "photos";
/** A moment to start servers and to wait for them. */
const TIMEOUT_MS = 240_000;
const MIB = 1024 * 1024;

let sites: RunningSite[] = [];

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

async function open(...names: readonly string[]): Promise<RunningSite[]> {
  sites = await startCluster(names.map((name) => ({ name })));
  return sites;
}

/** What another site answers, as soon as it does not fail any more. */
function answered<Answer>(what: string, ask: () => Promise<Answer>): Promise<Answer> {
  return until(what, async () => {
    try {
      return await ask();
    } catch (failure) {
      if (failure instanceof Error && "$metadata" in failure) return undefined;
      throw failure;
    }
  });
}

async function bytesOf(s3: S3Client, Key: string, VersionId?: string): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key, VersionId }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function same(s3: S3Client, key: string, body: Uint8Array): Promise<void> {
  const bytes = await answered(`${key} is there`, () => bytesOf(s3, key));
  expect(bytes.equals(body), `${key} has the same bytes`).toBe(true);
}

async function putLarge(s3: S3Client, Key: string, parts: readonly Buffer[]): Promise<void> {
  const object = { Bucket: BUCKET, Key };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(object));
  const Parts = [];
  for (const [at, Body] of parts.entries()) {
    const PartNumber = at + 1;
    const part = new UploadPartCommand({ ...object, UploadId, PartNumber, Body });
    const { ETag } = await s3.send(part);
    Parts.push({ ETag, PartNumber });
  }
  const MultipartUpload = { Parts };
  await s3.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload }));
}

describe("what is written at one site", () => {
  test(
    "is at the other: objects of every size, buckets, tags, versions and deletes",
    async () => {
      const [berlin, paris] = (await open("berlin", "paris")).map((site) => site.s3());
      if (berlin === undefined || paris === undefined) throw new Error("two sites");
      await berlin.send(new CreateBucketCommand({ Bucket: BUCKET }));
      const TagSet = [{ Key: "team", Value: "blue" }];
      await berlin.send(new PutBucketTaggingCommand({ Bucket: BUCKET, Tagging: { TagSet } }));
      const bodies = [0, 1, 4096, 131_072, 131_073, 5 * MIB, 13 * MIB].map((size) =>
        patternBytes(size, size),
      );
      for (const Body of bodies) {
        const Metadata = { owner: "team blue", size: String(Body.length) };
        const Key = `size-${Body.length}`;
        await berlin.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, Metadata }));
      }
      await putLarge(berlin, "parts", [patternBytes(5 * MIB, 3), patternBytes(100, 4)]);
      for (const body of bodies) await same(paris, `size-${body.length}`, body);
      await same(paris, "parts", Buffer.concat([patternBytes(5 * MIB, 3), patternBytes(100, 4)]));

      const head = (s3: S3Client, Key: string) =>
        s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key, PartNumber: 1 }));
      for (const Key of ["size-4096", "parts"]) {
        const [here, there] = [await head(berlin, Key), await head(paris, Key)];
        for (const what of ["ETag", "LastModified", "Metadata", "PartsCount"] as const) {
          expect(there[what]).toEqual(here[what]);
        }
      }
      const tags = await answered("the bucket's tags", () =>
        paris.send(new GetBucketTaggingCommand({ Bucket: BUCKET })),
      );
      expect(tags.TagSet).toEqual(TagSet);

      await paris.send(
        new PutObjectTaggingCommand({ Bucket: BUCKET, Key: "size-1", Tagging: { TagSet } }),
      );
      await until("tags set at the other site", async () => {
        const object = { Bucket: BUCKET, Key: "size-1" };
        const { TagSet: found } = await berlin.send(new GetObjectTaggingCommand(object));
        return found?.length === 1 ? true : undefined;
      });
      await paris.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: "size-1" }));
      await until("the delete", async () => {
        const { Contents = [] } = await berlin.send(new ListObjectsV2Command({ Bucket: BUCKET }));
        return Contents.some(({ Key }) => Key === "size-1") ? undefined : true;
      });
      await berlin.send(new CreateBucketCommand({ Bucket: "empty" }));
      await answered("another bucket", () =>
        paris.send(new HeadBucketCommand({ Bucket: "empty" })),
      );
      await paris.send(new DeleteBucketCommand({ Bucket: "empty" }));
      await until("the bucket is gone", async () => {
        const gone = await berlin.send(new HeadBucketCommand({ Bucket: "empty" })).catch(() => 1);
        return gone === 1 ? true : undefined;
      });
    },
    TIMEOUT_MS,
  );

  test(
    "has the same versions under the same ids, and uploads in progress stay at home",
    async () => {
      const [first, second] = await open("berlin", "paris");
      if (first === undefined || second === undefined) throw new Error("two sites");
      const [berlin, paris] = [first.s3(), second.s3()];
      await berlin.send(new CreateBucketCommand({ Bucket: BUCKET }));
      await setVersioning(berlin, BUCKET, "Enabled");
      await berlin.send(
        new CreateMultipartUploadCommand({ Bucket: BUCKET, Key: "not finished yet" }),
      );
      const ids: (string | undefined)[] = [];
      for (const Body of ["one", "two", "three"]) {
        const put = new PutObjectCommand({ Bucket: BUCKET, Key: "a", Body });
        ids.push((await berlin.send(put)).VersionId);
      }
      await berlin.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: "a" }));
      await berlin.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: "a", VersionId: ids[1] }));
      const lines = async (s3: S3Client): Promise<string[]> => {
        const list = await s3.send(new ListObjectVersionsCommand({ Bucket: BUCKET }));
        const all = [...(list.Versions ?? []), ...(list.DeleteMarkers ?? [])];
        return all.map(({ VersionId, IsLatest }) => `${VersionId} ${IsLatest}`).sort();
      };
      const here = await lines(berlin);
      expect(here.length).toBe(3);
      await until("the same versions", async () =>
        JSON.stringify(await lines(paris).catch(() => [])) === JSON.stringify(here)
          ? true
          : undefined,
      );
      expect((await bytesOf(paris, "a", ids[0])).toString()).toBe("one");
      const uploads = await paris.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
      expect(uploads.Uploads ?? []).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "can be done with the same access keys, until one is revoked anywhere",
    async () => {
      const [berlin, paris] = await open("berlin", "paris");
      if (berlin === undefined || paris === undefined) throw new Error("two sites");
      await berlin.s3().send(new CreateBucketCommand({ Bucket: BUCKET }));
      const made = await berlin.told("keys", "create", "--grant", "read-write");
      const credentials = {
        accessKeyId: String(made["access_key"]),
        secretAccessKey: String(made["secret_key"]),
      };
      const s3 = sdkFor(paris.server(), { credentials, maxAttempts: 1 });
      await answered("a key made elsewhere", () =>
        s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: "a", Body: "x" })),
      );
      await paris.told("keys", "delete", credentials.accessKeyId);
      const again = sdkFor(berlin.server(), { credentials, maxAttempts: 1 });
      await until("the key is revoked", async () => {
        const get = new GetObjectCommand({ Bucket: BUCKET, Key: "a" });
        const failure = await again.send(get).catch((error: unknown) => error);
        return failure instanceof Error && failure.name === "InvalidAccessKeyId" ? true : undefined;
      });
    },
    TIMEOUT_MS,
  );
});

describe.each(ENGINES)("on the engine %s", (engine) => {
  test(
    "nothing is lost or taken twice when a site is killed while operations come in",
    async () => {
      sites = await startCluster([
        { name: "berlin", engine },
        { name: "paris", engine },
      ]);
      const [berlin, paris] = sites;
      if (berlin === undefined || paris === undefined) throw new Error("two sites");
      const s3 = berlin.s3();
      await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
      const body = (at: number) => patternBytes(at % 10 === 0 ? 300_000 : 3000, at);
      const write = async (from: number, to: number): Promise<void> => {
        for (let at = from; at < to; at++) {
          await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `key-${at}`, Body: body(at) }));
        }
      };
      for (let round = 0; round < 3; round++) {
        const writing = write(round * 100, round * 100 + 100);
        await until("something has come", async () => {
          const list = new ListObjectsV2Command({ Bucket: BUCKET });
          const { KeyCount = 0 } = await paris
            .s3()
            .send(list)
            .catch(() => ({ KeyCount: 0 }));
          return KeyCount > round * 100 ? true : undefined;
        });
        await paris.kill();
        await paris.start();
        await writing;
      }
      await putLarge(s3, "large", [patternBytes(6 * MIB, 1), patternBytes(6 * MIB, 2)]);
      await paris.kill();
      await paris.start();
      const pushed = await berlin.told("repl-push", "--wait", "120");
      expect(pushed["peers"]).toMatchObject([{ name: "paris", operations_behind: 0 }]);
      const { peers } = await paris.told("repl-pull", "--peer", "berlin");
      expect(peers).toEqual([expect.not.objectContaining({ problem: expect.anything() })]);
      for (let at = 0; at < 300; at++) await same(paris.s3(), `key-${at}`, body(at));
      await same(
        paris.s3(),
        "large",
        Buffer.concat([patternBytes(6 * MIB, 1), patternBytes(6 * MIB, 2)]),
      );
    },
    TIMEOUT_MS,
  );
});

describe("a site between two others", () => {
  test(
    "hands on what it was given, also when who wrote it can be reached no more",
    async () => {
      const [berlin, paris] = await open("berlin", "paris");
      if (berlin === undefined || paris === undefined) throw new Error("two sites");
      await berlin.s3().send(new CreateBucketCommand({ Bucket: BUCKET }));
      const body = patternBytes(3 * MIB, 5);
      const put = new PutObjectCommand({ Bucket: BUCKET, Key: "from berlin", Body: body });
      await berlin.s3().send(put);
      const CopySource = `${BUCKET}/from%20berlin`;
      await berlin.s3().send(new CopyObjectCommand({ Bucket: BUCKET, Key: "copy", CopySource }));
      await berlin.s3().send(new PutObjectCommand({ Bucket: BUCKET, Key: "small", Body: "b" }));
      await same(paris.s3(), "copy", body);
      await same(paris.s3(), "small", Buffer.from("b"));
      berlin.wire.set("refuses");
      const rome = await startSite({ name: "rome" });
      sites.push(rome);
      await joinTo(paris, rome);
      await same(rome.s3(), "from berlin", body);
      await same(rome.s3(), "copy", body);
      await same(rome.s3(), "small", Buffer.from("b"));
      await rome.s3().send(new PutObjectCommand({ Bucket: BUCKET, Key: "from rome", Body: "r" }));
      // Berlin still reaches the others: what it cannot give, it can get.
      await same(berlin.s3(), "from rome", Buffer.from("r"));
    },
    TIMEOUT_MS,
  );
});

describe("an object whose bytes the other site has", () => {
  test(
    "costs less than 2 KiB on the wire, written again or copied",
    async () => {
      const [berlin, paris] = await open("berlin", "paris");
      if (berlin === undefined || paris === undefined) throw new Error("two sites");
      const s3 = berlin.s3();
      await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
      const Body = patternBytes(9 * MIB, 5);
      await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: "first", Body }));
      await same(paris.s3(), "first", Body);
      const sent = (): number => berlin.wire.bytes() + paris.wire.bytes();
      /** Waits until nobody says anything any more: both wait for the other's next word. */
      const settle = async (): Promise<number> => {
        let [before, quiet] = [sent(), 0];
        await until("the wire is quiet", async () => {
          const now = sent();
          quiet = now === before ? quiet + 1 : 0;
          before = now;
          return quiet >= 20 ? true : undefined;
        });
        return before;
      };
      const CopySource = `${BUCKET}/first`;
      const writes = [
        () => s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: "again", Body })),
        () => s3.send(new CopyObjectCommand({ Bucket: BUCKET, Key: "copied", CopySource })),
      ];
      const costs: number[] = [];
      for (const [at, write] of writes.entries()) {
        const before = await settle();
        await write();
        await same(paris.s3(), at === 0 ? "again" : "copied", Body);
        costs.push((await settle()) - before);
      }
      // A wait for news may end meanwhile and begin anew; then what was written costs no more.
      expect(Math.min(...costs), `bytes on the wire: ${costs}`).toBeLessThan(2048);
    },
    TIMEOUT_MS,
  );
});
