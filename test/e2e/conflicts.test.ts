import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterEach, describe, expect, test } from "vitest";
import { patternBytes, refusalOf } from "../support/sdk.ts";
import { type RunningSite, startCluster, until, untilInSync } from "../support/sites.ts";

const BUCKET = "photos";
const KEY = "cat é.jpg";
const OBJECT = { Bucket: BUCKET, Key: KEY };
/** A moment to start servers and to wait for them. */
const TIMEOUT_MS = 240_000;

let sites: RunningSite[] = [];

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

async function open(): Promise<[RunningSite, RunningSite]> {
  sites = await startCluster([
    { name: "berlin", engine: "uws" },
    { name: "paris", engine: "node" },
  ]);
  const [berlin, paris] = sites;
  if (berlin === undefined || paris === undefined) throw new Error("two sites");
  await berlin.s3().send(new CreateBucketCommand({ Bucket: BUCKET }));
  await paris.s3().send(new CreateBucketCommand({ Bucket: "other" }));
  await untilInSync(sites);
  return [berlin, paris];
}

/** Lets the sites do something while neither hears of the other. */
async function apart(work: () => Promise<void>): Promise<void> {
  for (const { wire } of sites) wire.set("refuses");
  await work();
  for (const { wire } of sites) wire.set("whole");
  await untilInSync(sites);
}

async function bytesOf(site: RunningSite, VersionId?: string): Promise<Buffer> {
  const { Body } = await site.s3().send(new GetObjectCommand({ ...OBJECT, VersionId }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

type Conflict = { readonly version: string; readonly size: number; readonly key: string };

async function conflictsOf(site: RunningSite): Promise<readonly Conflict[]> {
  return (await site.told("conflicts", "list", BUCKET))["conflicts"] as Conflict[];
}

describe("two writes of one key that did not know of each other", () => {
  test.each([900, 300_000])(
    "leave the earlier as a conflict of %s bytes, which is read, and settled at every site",
    async (size) => {
      const [berlin, paris] = await open();
      const [first, second] = [patternBytes(size, 1), patternBytes(size + 1, 2)];
      await apart(async () => {
        await berlin.s3().send(new PutObjectCommand({ ...OBJECT, Body: first }));
        await paris.s3().send(new PutObjectCommand({ ...OBJECT, Body: second }));
      });
      const found = await conflictsOf(berlin);
      expect(found).toMatchObject([{ key: KEY, size }]);
      expect(await conflictsOf(paris)).toEqual(found);
      const version = found[0]?.version ?? "";
      for (const site of sites) {
        expect((await bytesOf(site)).equals(second)).toBe(true);
        expect((await bytesOf(site, version)).equals(first)).toBe(true);
        const head = new HeadObjectCommand({ ...OBJECT, VersionId: version });
        head.middlewareStack.add(
          (next) => async (args) => {
            const done = await next(args);
            const { headers } = done.response as { headers: Record<string, string> };
            expect(headers["x-atoll-conflict"]).toBe("true");
            return done;
          },
          { step: "deserialize" },
        );
        expect(await site.s3().send(head)).toMatchObject({ VersionId: version });
        const { Versions } = await site
          .s3()
          .send(new ListObjectVersionsCommand({ Bucket: BUCKET }));
        expect(Versions).toHaveLength(1);
        const shown = await site.atoll("conflicts", "show", BUCKET, KEY, version);
        expect(shown.stdout).toContain(version);
        expect(site.server().log().split("lost to one that").length).toBe(2);
      }
      const CopySource = `${BUCKET}/${encodeURIComponent(KEY)}?versionId=${version}`;
      await paris.s3().send(new CopyObjectCommand({ Bucket: "other", Key: "copy", CopySource }));
      const settled = await paris.told("conflicts", "restore", BUCKET, KEY, version);
      expect(settled).toMatchObject({ settled: 1 });
      await untilInSync(sites);
      for (const site of sites) {
        expect(await conflictsOf(site)).toEqual([]);
        expect((await bytesOf(site)).equals(first)).toBe(true);
        expect(await refusalOf(bytesOf(site, version))).toContain("NoSuchVersion");
      }
      const again = await paris.atoll("conflicts", "discard", BUCKET, KEY, version);
      expect(again.status).not.toBe(0);
      expect(again.stderr).toContain("no such conflict");
    },
    TIMEOUT_MS,
  );

  test(
    "leave none where one knew of the other, also over a restart, and none that is kept",
    async () => {
      const [berlin, paris] = await open();
      await apart(async () => {
        for (const text of ["one", "two", "three"]) {
          await berlin.s3().send(new PutObjectCommand({ ...OBJECT, Body: text }));
        }
        await paris.s3().send(new PutObjectCommand({ ...OBJECT, Body: "four" }));
        await paris.s3().send(new DeleteObjectCommand(OBJECT));
      });
      const found = await conflictsOf(berlin);
      expect(found.map(({ size }) => size)).toEqual([5]);
      await berlin.kill();
      await berlin.start();
      expect(await conflictsOf(berlin)).toEqual(found);
      expect((await bytesOf(berlin, found[0]?.version)).toString()).toBe("three");
      expect(await berlin.told("conflicts", "keep", BUCKET, KEY)).toMatchObject({ settled: 1 });
      await untilInSync(sites);
      expect(await conflictsOf(paris)).toEqual([]);
      expect(await refusalOf(bytesOf(paris))).toContain("NoSuchKey");
    },
    TIMEOUT_MS,
  );
});

test(
  "a bucket that was deleted stays for an object that was put beside, and goes with it",
  async () => {
    const [berlin, paris] = await open();
    await apart(async () => {
      await paris.s3().send(new PutObjectCommand({ ...OBJECT, Body: "beside" }));
      await berlin.s3().send(new DeleteBucketCommand({ Bucket: BUCKET }));
    });
    for (const site of sites) expect((await bytesOf(site)).toString()).toBe("beside");
    await berlin.s3().send(new DeleteObjectCommand(OBJECT));
    for (const site of sites) {
      await until(`the bucket is gone at ${site.name}`, async () => {
        const head = site.s3().send(new HeadBucketCommand({ Bucket: BUCKET }));
        return (await head.then(() => undefined).catch(() => true)) ? true : undefined;
      });
    }
    await paris.s3().send(new CreateBucketCommand({ Bucket: BUCKET }));
    await untilInSync(sites);
    await berlin.s3().send(new HeadBucketCommand({ Bucket: BUCKET }));
  },
  TIMEOUT_MS,
);
