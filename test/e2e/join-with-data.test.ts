import { readdirSync } from "node:fs";
import { join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterEach, expect, test } from "vitest";
import { patternBytes } from "../support/sdk.ts";
import { joinTo, type RunningSite, startSite, until, untilInSync } from "../support/sites.ts";

/*
 * Sites that were alone, each with data of its own, and whose logs do not reach back to their
 * beginnings any more: when they meet, all of them get everything, and nobody has to lend a hand.
 */

const TIMEOUT_MS = 300_000;
const LARGE = patternBytes(300_000, 7);

const sites: RunningSite[] = [];

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

async function open(name: string): Promise<RunningSite> {
  const site = await startSite({ name });
  sites.push(site);
  return site;
}

async function put(site: RunningSite, Key: string, Body: string | Buffer): Promise<void> {
  await site.s3().send(new PutObjectCommand({ Bucket: site.name, Key, Body }));
}

function segmentsOf({ dataDirectory }: RunningSite): string[] {
  return readdirSync(join(dataDirectory, "segments")).filter((name) => name.endsWith(".atoll"));
}

/** A site that has data, and has given back the space of what was overwritten. */
async function openTrimmed(name: string): Promise<RunningSite> {
  const site = await open(name);
  await site.s3().send(new CreateBucketCommand({ Bucket: name }));
  for (const key of ["a", "b/c", "d"]) await put(site, key, `${name} has ${key}`);
  await put(site, "large", LARGE);
  await site.kill();
  await site.start();
  for (let version = 0; version < 3; version++) await put(site, "changing", `version ${version}`);
  const before = segmentsOf(site);
  await site.kill();
  await site.start();
  await put(site, "changing", `the last of ${name}`);
  await until(`${name} drops what nobody needs`, async () => {
    const now = segmentsOf(site);
    return before.every((segment) => now.includes(segment)) ? undefined : true;
  });
  return site;
}

async function keysOf(site: RunningSite, Bucket: string): Promise<string[]> {
  const { Contents = [] } = await site.s3().send(new ListObjectsV2Command({ Bucket }));
  return Contents.map(({ Key, ETag, Size }) => `${Key} ${ETag} ${Size}`);
}

async function bytesOf(site: RunningSite, Bucket: string, Key: string): Promise<Buffer> {
  const { Body } = await site.s3().send(new GetObjectCommand({ Bucket, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

test(
  "sites that meet with data whose logs have been trimmed hand it to each other by themselves",
  async () => {
    const [berlin, paris] = await Promise.all([openTrimmed("berlin"), openTrimmed("paris")]);
    const oslo = await open("oslo");
    await joinTo(berlin, oslo);
    await untilInSync([berlin, oslo]);
    await joinTo(berlin, paris);
    let isDone = false;
    const reads = (async () => {
      // Who had all that it had has it all along.
      while (!isDone) for (const site of [berlin, paris]) await keysOf(site, site.name);
    })();
    const all = [berlin, paris, oslo];
    await untilInSync(all).finally(() => {
      isDone = true;
    });
    await reads;
    for (const site of all) {
      for (const bucket of ["berlin", "paris"]) {
        const keys = await keysOf(site, bucket);
        expect(keys).toHaveLength(5);
        expect(keys).toEqual(await keysOf(berlin, bucket));
        expect((await bytesOf(site, bucket, "large")).equals(LARGE)).toBe(true);
        const changed = await bytesOf(site, bucket, "changing");
        expect(changed.toString()).toBe(`the last of ${bucket}`);
      }
      expect(site.server().log()).not.toContain("atoll repl-bootstrap");
    }
    // Otherwise nothing was tried here: the logs reached back to where they begin.
    for (const site of all) {
      expect(site.server().log()).toContain("all rows of a peer have been taken over");
    }
    await put(paris, "later", "goes by the log");
    await untilInSync(all);
    for (const peer of ["paris", "oslo"]) {
      const verified = await berlin.atoll("repl-verify", "--peer", peer, "--deep");
      expect([verified.status, verified.stdout]).toEqual([
        0,
        expect.stringContaining("no difference"),
      ]);
    }
  },
  TIMEOUT_MS,
);
