import { GetObjectCommand, HeadBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { type RunningSite, startCluster, until, untilInSync } from "../support/sites.ts";

let sites: RunningSite[] = [];
beforeAll(async () => {
  sites = await startCluster([
    { name: "berlin", engine: "uws" },
    { name: "paris", engine: "node" },
  ]);
});
afterAll(async () => {
  for (const site of sites) await site.close();
});

function pair(): [RunningSite, RunningSite] {
  return sites as [RunningSite, RunningSite];
}

function readAt(site: RunningSite, Bucket: string, Key: string): Promise<Buffer | undefined> {
  return site
    .s3()
    .send(new GetObjectCommand({ Bucket, Key }))
    .then(
      async ({ Body }) => Buffer.from((await Body?.transformToByteArray()) ?? []),
      () => undefined,
    );
}

test("what one site seals with a key that it has just made, the other opens", async () => {
  const [berlin, paris] = pair();
  const bucket = await makeBucket(berlin.s3());
  const body = patternBytes(300_000, 5);
  const before = await berlin.told("keys", "ring", "list");
  for (const [site, Key] of [
    [berlin, "from-berlin"],
    [paris, "from-paris"],
  ] as const) {
    await untilInSync(sites);
    await site.told("keys", "ring", "rotate");
    const put = { Bucket: bucket, Key, Body: body, ServerSideEncryption: "AES256" } as const;
    await site.s3().send(new PutObjectCommand(put));
  }
  for (const site of sites) {
    for (const key of ["from-berlin", "from-paris"]) {
      const got = await until(`${key} at ${site.name}`, () => readAt(site, bucket, key));
      expect(got.equals(body)).toBe(true);
    }
  }
  const rings = await Promise.all(sites.map((site) => site.told("keys", "ring", "list")));
  expect(rings[0]).not.toEqual(before);
  expect(rings[1]).toEqual(rings[0]);
});

test("an access key made at one site works at the other until it is deleted at either", async () => {
  const [berlin, paris] = pair();
  const bucket = await makeBucket(berlin.s3());
  const key = await berlin.told("keys", "create", "--grant", "read-write");
  const credentials = {
    accessKeyId: String(key["access_key"]),
    secretAccessKey: String(key["secret_key"]),
  };
  const head = new HeadBucketCommand({ Bucket: bucket });
  const asks = (site: RunningSite) =>
    sdkFor(site.server(), { credentials, maxAttempts: 1 })
      .send(head)
      .then(
        () => "yes" as const,
        () => undefined,
      );
  await until("the key works at paris", () => asks(paris));
  await paris.told("keys", "delete", credentials.accessKeyId);
  await until("the key works at berlin no more", async () =>
    (await asks(berlin)) === undefined ? true : undefined,
  );
});
