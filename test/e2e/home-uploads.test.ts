import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type RunningSite, startCluster, until, untilInSync } from "../support/sites.ts";

/** A moment to start servers and to wait for them. */
const TIMEOUT_MS = 240_000;
const Bucket = "films";
const MIB = 1024 * 1024;
const IfNoneMatch = "*";

let sites: RunningSite[] = [];
/** The home of the bucket. */
let berlin: RunningSite;
let paris: RunningSite;

beforeEach(async () => {
  sites = await startCluster([{ name: "berlin" }, { name: "paris", engine: "node" }]);
  const [first, second] = sites;
  if (first === undefined || second === undefined) throw new Error("two sites");
  [berlin, paris] = [first, second];
  await berlin.s3().send(new CreateBucketCommand({ Bucket }));
  await berlin.told("repl-home", "set", Bucket, "berlin");
  await untilInSync(sites);
}, TIMEOUT_MS);

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

/** The status of an answer, whether it is one that clients throw or not. */
async function statusOf(sent: Promise<unknown>): Promise<number | undefined> {
  const answer = await sent.catch((failure: unknown) => failure);
  return (answer as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

async function expectBytes(site: RunningSite, Key: string, body: Buffer): Promise<void> {
  const got = await site.s3().send(new GetObjectCommand({ Bucket, Key }));
  const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
  expect(bytes.equals(body)).toBe(true);
}

type Upload = { readonly Key: string; readonly UploadId: string; readonly Parts: CompletedPart[] };

async function upload(
  site: RunningSite,
  Key: string,
  parts: readonly Buffer[],
  more: {
    readonly ServerSideEncryption?: "AES256";
    readonly Metadata?: Record<string, string>;
  } = {},
): Promise<Upload> {
  const begun = await site.s3().send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }));
  const UploadId = begun.UploadId ?? "";
  const Parts: CompletedPart[] = [];
  for (const [at, Body] of parts.entries()) {
    const part = { Bucket, Key, UploadId, PartNumber: at + 1, Body };
    const { ETag } = await site.s3().send(new UploadPartCommand(part));
    Parts.push({ PartNumber: at + 1, ETag });
  }
  return { Key, UploadId, Parts };
}

function complete(site: RunningSite, { Key, UploadId, Parts }: Upload) {
  const MultipartUpload = { Parts };
  return site
    .s3()
    .send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload, IfNoneMatch }),
    );
}

async function uploadsAt(site: RunningSite): Promise<number> {
  const { Uploads = [] } = await site.s3().send(new ListMultipartUploadsCommand({ Bucket }));
  return Uploads.length;
}

/** A body of which the second half comes when `more` is called. */
function inHalves(body: Buffer): { readonly stream: Readable; readonly more: () => void } {
  let more: () => void = () => undefined;
  const rest = new Promise<void>((resolve) => {
    more = resolve;
  });
  const half = body.length / 2;
  const stream = Readable.from(
    (async function* () {
      for (let at = 0; at < body.length; at += MIB) {
        if (at === half) await rest;
        yield body.subarray(at, at + MIB);
      }
    })(),
  );
  return { stream, more: () => more() };
}

describe("a large body with a condition, away from home", () => {
  test(
    "is stored once, whichever of the sites many clients speak to",
    async () => {
      const bodies = [0, 1, 2, 3].map(() => randomBytes(12 * MIB));
      const sent = bodies.map((Body, at) =>
        statusOf(
          (at % 2 === 0 ? paris : berlin)
            .s3()
            .send(new PutObjectCommand({ Bucket, Key: "one", Body, IfNoneMatch })),
        ),
      );
      const statuses = await Promise.all(sent);
      expect(statuses.toSorted()).toEqual([200, 412, 412, 412]);
      const winner = bodies[statuses.indexOf(200)] ?? Buffer.of();
      await expectBytes(berlin, "one", winner);
      await untilInSync(sites);
      await expectBytes(paris, "one", winner);
      const { ETag } = await paris.s3().send(new HeadObjectCommand({ Bucket, Key: "one" }));
      const next = { Bucket, Key: "one", Body: randomBytes(20 * MIB), IfMatch: ETag };
      const stored = await paris.s3().send(new PutObjectCommand(next));
      expect(stored.ChecksumCRC32).toMatch(/^.{8}$/);
      expect(await statusOf(paris.s3().send(new PutObjectCommand(next)))).toBe(412);
      await expectBytes(berlin, "one", next.Body);
    },
    TIMEOUT_MS,
  );

  test(
    "outlasts a link that breaks for a moment; a home that dies is told to its client",
    async () => {
      const body = randomBytes(16 * MIB);
      const send = (Key: string, Body: Readable) => {
        const put = { Bucket, Key, Body, ContentLength: body.length, IfNoneMatch };
        return statusOf(paris.s3().send(new PutObjectCommand(put)));
      };
      // Nothing else may travel while it is counted: bodies of the test before still do.
      await untilInSync(sites);
      const before = berlin.wire.bytes();
      const first = inHalves(body);
      const sent = send("cut", first.stream);
      const hasBegun = async () => (berlin.wire.bytes() > before + 4 * MIB ? true : undefined);
      await until("some of it has travelled", hasBegun);
      berlin.wire.set("refuses");
      first.more();
      berlin.wire.set("whole");
      expect(await sent).toBe(200);
      await expectBytes(berlin, "cut", body);

      await untilInSync(sites);
      const half = berlin.wire.bytes();
      const second = inHalves(body);
      const lost = send("dead", second.stream);
      await until("some of it has travelled", async () =>
        berlin.wire.bytes() > half + 4 * MIB ? true : undefined,
      );
      await berlin.kill();
      await berlin.start();
      second.more();
      expect(await lost).toBe(503);
      expect(await statusOf(berlin.s3().send(new HeadObjectCommand({ Bucket, Key: "dead" })))).toBe(
        404,
      );
      await until("paris reaches berlin again", async () =>
        (await send("dead", Readable.from([body]))) === 200 ? true : undefined,
      );
      await expectBytes(berlin, "dead", body);
    },
    TIMEOUT_MS,
  );
});

describe("an upload that is completed with a condition, away from home", () => {
  test(
    "is one object at both sites, and its bytes travel once",
    async () => {
      const parts = [randomBytes(8 * MIB), randomBytes(6 * MIB), randomBytes(MIB)];
      const more = { ServerSideEncryption: "AES256", Metadata: { colour: "red" } } as const;
      const one = await upload(paris, "reel", parts, more);
      const two = await upload(paris, "reel", parts.toReversed().slice(1));
      const before = paris.wire.bytes() + berlin.wire.bytes();
      const done = await complete(paris, one);
      expect(done).toMatchObject({ Bucket, Key: "reel", ServerSideEncryption: "AES256" });
      expect(done.ETag).toMatch(/^".*-3"$/);
      expect((await complete(paris, one)).ETag).toBe(done.ETag);
      expect(await statusOf(complete(paris, two))).toBe(412);
      await untilInSync(sites);
      const travelled = paris.wire.bytes() + berlin.wire.bytes() - before;
      expect(travelled).toBeGreaterThan(15 * MIB);
      expect(travelled).toBeLessThan(18 * MIB);
      for (const site of sites) {
        await expectBytes(site, "reel", Buffer.concat(parts));
        const head = new HeadObjectCommand({ Bucket, Key: "reel", PartNumber: 2 });
        const { ContentLength, Metadata, PartsCount } = await site.s3().send(head);
        expect([ContentLength, Metadata, PartsCount]).toEqual([6 * MIB, { colour: "red" }, 3]);
      }
      expect([await uploadsAt(paris), await uploadsAt(berlin)]).toEqual([1, 0]);
    },
    TIMEOUT_MS,
  );

  test(
    "has one winner, and the same answer after either site has died",
    async () => {
      const parts = [randomBytes(9 * MIB), randomBytes(MIB)];
      const [here, there] = [
        await upload(paris, "race", parts),
        await upload(berlin, "race", parts.toReversed().slice(0, 1)),
      ];
      const [first, second] = await Promise.all([
        statusOf(complete(paris, here)),
        statusOf(complete(berlin, there)),
      ]);
      expect([first, second].toSorted()).toEqual([200, 412]);

      const late = await upload(paris, "late", parts);
      const lost = statusOf(complete(paris, late));
      await berlin.kill();
      await berlin.start();
      // Answered before it died, or by the one that was started then, or not.
      expect([200, 503]).toContain(await lost);
      const again = await until("it is completed", async () =>
        (await statusOf(complete(paris, late))) === 200 ? true : undefined,
      );
      expect(again).toBe(true);
      const { ETag } = await complete(paris, late);
      await paris.kill();
      await paris.start();
      expect((await complete(paris, late)).ETag).toBe(ETag);

      await untilInSync(sites);
      const large = [8, 8, 8].map((size) => randomBytes(size * MIB));
      const last = await upload(paris, "last", large);
      const before = paris.wire.bytes();
      const unheard = statusOf(complete(paris, last));
      await until("its bytes travel", async () =>
        paris.wire.bytes() > before + MIB ? true : undefined,
      );
      await paris.kill();
      // It died before its client heard of it, or right behind that: 24 MiB travel in a moment.
      expect([undefined, 200]).toContain(await unheard);
      await paris.start();
      await until("it is completed", async () =>
        (await statusOf(complete(paris, last))) === 200 ? true : undefined,
      );
      await untilInSync(sites);
      for (const site of sites) {
        await expectBytes(site, "late", Buffer.concat(parts));
        await expectBytes(site, "last", Buffer.concat(large));
      }
      // Of those that were refused their client has still to say that it gives them up.
      expect((await uploadsAt(paris)) + (await uploadsAt(berlin))).toBe(1);
    },
    TIMEOUT_MS,
  );
});
