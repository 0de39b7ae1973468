import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterEach, expect, test } from "vitest";
import { patternBytes, refusalOf } from "../support/sdk.ts";
import { joinTo, type RunningSite, startSite, until, untilInSync } from "../support/sites.ts";
import { setVersioning } from "../support/versions.ts";

/*
 * All of a site's rows at another one: taken over while both go on and the taker is killed, merged
 * with what is there, compared, and mended.
 */

const TIMEOUT_MS = 300_000;
const BUCKET = "photos";
const OWN = "drawings";

const sites: RunningSite[] = [];

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

async function open(name: string, flags: readonly string[] = []): Promise<RunningSite> {
  const site = await startSite({ name, flags });
  sites.push(site);
  return site;
}

function bodyOf(number: number): Buffer {
  return patternBytes(number % 400 === 0 ? 300_000 : 50 + (number % 3000), number);
}

async function putAll(s3: S3Client, from: number, to: number): Promise<void> {
  const numbers = Array.from({ length: to - from }, (_, at) => from + at);
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        const Key = `album/${number % 150}`;
        await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: bodyOf(number) }));
      }
    }),
  );
}

async function outcomeOf(request: Promise<unknown>): Promise<string> {
  return await refusalOf(request).catch(() => "answered");
}

async function bytesOf(s3: S3Client, Key: string, Bucket = BUCKET): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function versionsOf(s3: S3Client, Bucket: string): Promise<string[]> {
  const shown: string[] = [];
  let markers: { KeyMarker?: string; VersionIdMarker?: string } = {};
  for (let more = true; more; ) {
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket, ...markers }));
    for (const { Key, VersionId, ETag, IsLatest } of page.Versions ?? []) {
      shown.push(`${Key} ${VersionId} ${ETag} ${IsLatest}`);
    }
    for (const { Key, VersionId, IsLatest } of page.DeleteMarkers ?? []) {
      shown.push(`${Key} ${VersionId} deleted ${IsLatest}`);
    }
    more = page.IsTruncated === true;
    const { NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = page;
    markers = {
      ...(KeyMarker === undefined ? {} : { KeyMarker }),
      ...(VersionIdMarker === undefined ? {} : { VersionIdMarker }),
    };
  }
  return shown.sort();
}

/** Overwrites, in the files of a running site, the bytes of a body wherever they stand. */
function punch(site: RunningSite, body: Buffer): number {
  const directory = join(site.dataDirectory, "segments");
  const sample = body.subarray(40, 140);
  let holes = 0;
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const bytes = readFileSync(path);
    for (let at = bytes.indexOf(sample); at >= 0; at = bytes.indexOf(sample, at + 1)) {
      const file = openSync(path, "r+");
      writeSync(file, Buffer.alloc(sample.length), 0, sample.length, at);
      closeSync(file);
      holes += 1;
    }
  }
  return holes;
}

test(
  "a site with data of its own takes over a peer, killed three times while writes go on",
  async () => {
    const berlin = await open("berlin");
    const paris = await open("paris", ["--peer-bandwidth", "150000"]);
    await berlin.s3().send(new CreateBucketCommand({ Bucket: BUCKET }));
    await setVersioning(berlin.s3(), BUCKET, "Enabled");
    await putAll(berlin.s3(), 0, 1200);
    for (let number = 0; number < 150; number += 7) {
      await berlin.s3().send(new DeleteObjectCommand({ Bucket: BUCKET, Key: `album/${number}` }));
    }
    await paris.s3().send(new CreateBucketCommand({ Bucket: OWN }));
    await paris.s3().send(new PutObjectCommand({ Bucket: OWN, Key: "own", Body: "mine" }));
    await joinTo(berlin, paris);

    const begun = await paris.told("repl-bootstrap", "--from", "berlin", "--background");
    expect(begun).toMatchObject({ schema_version: 1, state: "running" });
    // What is not here yet is not said to be missing.
    const list = (): Promise<unknown> =>
      paris.s3().send(new ListObjectVersionsCommand({ Bucket: OWN }));
    await until("lists are put off while rows are on their way", async () =>
      (await outcomeOf(list())) === "503 SlowDown" ? true : undefined,
    );
    const missing = paris.s3().send(new GetObjectCommand({ Bucket: OWN, Key: "missing" }));
    expect(await outcomeOf(missing)).toBe("503 SlowDown");
    expect((await bytesOf(paris.s3(), "own", OWN)).toString()).toBe("mine");
    let written = 1200;
    for (let kill = 0; kill < 3; kill++) {
      await putAll(berlin.s3(), written, written + 20);
      written += 20;
      await paris.kill();
      await paris.start();
    }
    // It went on by itself; asking for it again does no harm, and tells when it is done.
    const done = await paris.told("repl-bootstrap", "--from", "berlin");
    expect(done).toMatchObject({ state: "done", skipped: 0 });
    await untilInSync([berlin, paris]);
    expect(await versionsOf(paris.s3(), BUCKET)).toEqual(await versionsOf(berlin.s3(), BUCKET));
    expect(await versionsOf(berlin.s3(), OWN)).toEqual(await versionsOf(paris.s3(), OWN));
    for (const [site, peer] of [
      [berlin, "paris"],
      [paris, "berlin"],
    ] as const) {
      const { status, stdout } = await site.atoll("repl-verify", "--peer", peer, "--deep");
      expect([status, stdout]).toEqual([0, expect.stringContaining("no difference")]);
    }
    for (const number of [1199, 1230, 1240]) {
      const key = `album/${number % 150}`;
      expect((await bytesOf(paris.s3(), key)).equals(await bytesOf(berlin.s3(), key))).toBe(true);
    }
  },
  TIMEOUT_MS,
);

test(
  "an empty site that joins says of nothing that it is not there until it has all, killed or not",
  async () => {
    const berlin = await open("berlin");
    const paris = await open("paris", ["--peer-bandwidth", "150000"]);
    await berlin.s3().send(new CreateBucketCommand({ Bucket: BUCKET }));
    await putAll(berlin.s3(), 0, 410);
    await joinTo(berlin, paris);
    const seen = new Set<string>();
    const list = async (): Promise<void> => {
      await versionsOf(paris.s3(), BUCKET);
    };
    const look = async (): Promise<boolean> => {
      const before = await outcomeOf(list());
      const answers = [before, await outcomeOf(bytesOf(paris.s3(), "album/101"))];
      for (const answer of answers) seen.add(answer);
      return before === "answered";
    };
    await look();
    await paris.kill();
    await paris.start();
    await until("paris has what berlin has", async () => ((await look()) ? true : undefined));
    for (const answer of seen) expect(["503 SlowDown", "answered"]).toContain(answer);
    expect(await versionsOf(paris.s3(), BUCKET)).toEqual(await versionsOf(berlin.s3(), BUCKET));
  },
  TIMEOUT_MS,
);

test(
  "damaged bytes are read as a peer has them, and mended; a comparison finds the rest and heals it",
  async () => {
    const berlin = await open("berlin");
    const paris = await open("paris");
    await joinTo(berlin, paris);
    await berlin.s3().send(new CreateBucketCommand({ Bucket: BUCKET }));
    const bodies = { small: patternBytes(5000, 1), large: patternBytes(6_000_000, 2) };
    const [third, fourth] = [patternBytes(7000, 3), patternBytes(400_000, 4)];
    for (const [Key, Body] of Object.entries({ ...bodies, third, fourth })) {
      await berlin.s3().send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
    }
    await untilInSync([berlin, paris]);

    for (const [key, body] of Object.entries(bodies)) {
      expect(punch(paris, body)).toBe(1);
      expect((await bytesOf(paris.s3(), key)).equals(body), key).toBe(true);
    }
    await until("both copies were written anew", async () => {
      const count = paris.server().log().split("damaged bytes were written anew").length - 1;
      return count >= 2 ? true : undefined;
    });

    expect(punch(paris, third) + punch(paris, fourth)).toBe(2);
    const verify = (...flags: string[]) => paris.atoll("repl-verify", "--peer", "berlin", ...flags);
    expect((await verify()).status).toBe(0);
    const found = await verify("--deep");
    expect([found.status, found.stdout]).toEqual([3, expect.stringContaining("2 differences")]);
    expect(found.stdout).toContain('object "photos/third"');
    const mended = await verify("--repair", "--bucket", BUCKET);
    expect([mended.status, mended.stdout]).toEqual([0, expect.stringContaining("2 mended")]);
    expect((await verify("--deep")).status).toBe(0);

    // Alone, and after a restart, everything is read from what stands here.
    await berlin.kill();
    await paris.server().stop();
    await paris.start();
    for (const [key, body] of Object.entries({ ...bodies, third, fourth })) {
      expect((await bytesOf(paris.s3(), key)).equals(body), key).toBe(true);
    }
  },
  TIMEOUT_MS,
);

test(
  "a disk that travels brings everything, and what was written since comes by the log",
  async () => {
    const berlin = await open("berlin");
    const paris = await open("paris");
    await berlin.s3().send(new CreateBucketCommand({ Bucket: BUCKET }));
    await putAll(berlin.s3(), 0, 100);
    await joinTo(berlin, paris);
    const box = join(mkdtempSync(join(tmpdir(), "atoll-box-")), "box");
    try {
      expect(await berlin.told("repl-bootstrap", "--export", box)).toMatchObject({ skipped: 0 });
      await putAll(berlin.s3(), 100, 140);
      const again = await berlin.atoll("repl-bootstrap", "--export", box);
      expect([again.status, again.stderr]).toEqual([1, expect.stringContaining("not empty")]);
      const done = await paris.told("repl-bootstrap", "--import", box);
      expect(done).toMatchObject({ state: "done", skipped: 0 });
    } finally {
      rmSync(join(box, ".."), { recursive: true });
    }
    await untilInSync([berlin, paris]);
    expect(await versionsOf(paris.s3(), BUCKET)).toEqual(await versionsOf(berlin.s3(), BUCKET));
    const verified = await paris.atoll("repl-verify", "--deep");
    expect([verified.status, verified.stdout]).toEqual([
      0,
      expect.stringContaining("no difference"),
    ]);
    const stranger = await open("oslo");
    const none = await stranger.atoll("repl-bootstrap", "--import", box);
    expect([none.status, none.stderr]).toEqual([1, expect.stringContaining("no whole archive")]);
  },
  TIMEOUT_MS,
);

test(
  "what cannot be is refused by name",
  async () => {
    const berlin = await open("berlin");
    const nobody = await berlin.atoll("repl-bootstrap", "--from", "nobody");
    expect([nobody.status, nobody.stderr]).toEqual([2, expect.stringContaining("no peer nobody")]);
    expect((await berlin.atoll("repl-bootstrap")).status).toBe(2);
    const file = join(berlin.dataDirectory, "site.json");
    for (const [how, directory, errno] of [
      ["--export", "/proc/none/box", "ENOENT"],
      ["--import", file, "ENOTDIR"],
    ] as const) {
      const told = await berlin.atoll("repl-bootstrap", how, directory);
      expect([told.status, told.stderr]).toEqual([1, expect.stringContaining(errno)]);
    }
    const alone = await berlin.atoll("repl-verify");
    expect([alone.status, alone.stdout]).toEqual([0, expect.stringContaining("no peers")]);
    expect((await berlin.atoll("repl-verify", "--peer", "x")).status).toBe(2);
    const position = await berlin.atoll("repl-verify", "--continue", "QQ");
    expect([position.status, position.stderr]).toEqual([2, expect.stringContaining("--peer")]);
  },
  TIMEOUT_MS,
);
