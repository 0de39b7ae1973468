import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { makeBucket, patternBytes } from "../support/sdk.ts";
import type { TestServer } from "../support/server.ts";
import { joinTo, type RunningSite, startCluster, until, untilInSync } from "../support/sites.ts";

/** Against hanging: the way is long, and a look that broke off is repeated after a minute. */
const TIMEOUT = { timeout: 300_000 };

const LOST = patternBytes(1000, 3);

function originOf({ dataDirectory }: RunningSite): string {
  return String(JSON.parse(readFileSync(join(dataDirectory, "site.json"), "utf8")).origin);
}

function takeSnapshot({ dataDirectory }: RunningSite, snapshot: string): void {
  const filter = (path: string): boolean => !path.endsWith(".sock");
  cpSync(dataDirectory, snapshot, { recursive: true, filter });
}

/** Puts back what a snapshot held: the directory stays the one that it is. */
function setBack({ dataDirectory }: RunningSite, snapshot: string): void {
  for (const name of readdirSync(dataDirectory)) {
    rmSync(join(dataDirectory, name), { recursive: true });
  }
  cpSync(snapshot, dataDirectory, { recursive: true });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Starts a site that is expected to stop itself, and gives what it said. */
async function startToStop(site: RunningSite): Promise<string> {
  try {
    await site.start();
  } catch (failure) {
    return String(failure);
  }
  return untilStopped(site.server());
}

/** Waits until a process that is expected to stop itself has done so, and gives what it said. */
async function untilStopped({ pid, log }: TestServer): Promise<string> {
  while (isAlive(pid)) await sleep(20);
  return log();
}

function readLost(site: RunningSite, Bucket: string): Promise<true | undefined> {
  return site
    .s3()
    .send(new GetObjectCommand({ Bucket, Key: "lost" }))
    .then(
      async ({ Body }) =>
        LOST.equals((await Body?.transformToByteArray()) ?? Buffer.alloc(0)) || undefined,
      () => undefined,
    );
}

/** Has a site lose a write that its peer has: it is stopped, and what a snapshot before held. */
async function loseWrite(world: {
  readonly site: RunningSite;
  readonly peer: RunningSite;
  readonly bucket: string;
  readonly snapshot: string;
}): Promise<void> {
  const { site, peer, bucket, snapshot } = world;
  await site.kill();
  takeSnapshot(site, snapshot);
  await site.start();
  await site.s3().send(new PutObjectCommand({ Bucket: bucket, Key: "lost", Body: LOST }));
  await until(`${peer.name} has the object`, () => readLost(peer, bucket));
  await site.kill();
  setBack(site, snapshot);
}

test("a site that was set back to a snapshot stops, and gets back what it has lost", async () => {
  const sites = await startCluster([{ name: "berlin" }, { name: "paris" }]);
  const [berlin, paris] = sites as [RunningSite, RunningSite];
  const snapshot = `${paris.dataDirectory}-snapshot`;
  try {
    const bucket = await makeBucket(paris.s3());
    await untilInSync(sites);
    await loseWrite({ site: paris, peer: berlin, bucket, snapshot });
    const origin = originOf(paris);
    expect(await startToStop(paris)).toContain("it was set back");
    await paris.start();
    expect(originOf(paris)).not.toBe(origin);
    await until("paris has it again", () => readLost(paris, bucket));
    await paris.s3().send(new PutObjectCommand({ Bucket: bucket, Key: "new", Body: LOST }));
    await untilInSync(sites);
  } finally {
    for (const site of sites) await site.close();
    rmSync(snapshot, { recursive: true, force: true });
  }
});

test("a site that was set back acknowledges no write before its peers have told it so", async () => {
  const sites = await startCluster([{ name: "bonn" }, { name: "rome" }]);
  const [bonn, rome] = sites as [RunningSite, RunningSite];
  const snapshot = `${rome.dataDirectory}-snapshot`;
  try {
    const bucket = await makeBucket(rome.s3());
    await untilInSync(sites);
    await loseWrite({ site: rome, peer: bonn, bucket, snapshot });
    bonn.wire.set("refuses");
    await rome.start();
    const put = new PutObjectCommand({ Bucket: bucket, Key: "early", Body: LOST });
    const outcome = rome
      .s3()
      .send(put)
      .then(
        () => "acknowledged",
        () => "refused",
      );
    // Reads do not wait, and this one comes behind the write.
    expect(await readLost(rome, bucket)).toBeUndefined();
    bonn.wire.set("whole");
    expect(await untilStopped(rome.server())).toContain("it was set back");
    expect(await outcome).toBe("refused");
  } finally {
    for (const site of sites) await site.close();
    rmSync(snapshot, { recursive: true, force: true });
  }
});

test("what a site wrote alone, after it was set back, is kept and reaches the others", async () => {
  const sites = await startCluster([{ name: "lima" }, { name: "cuzco" }]);
  const [lima, cuzco] = sites as [RunningSite, RunningSite];
  const snapshot = `${cuzco.dataDirectory}-snapshot`;
  const large = patternBytes(600_000, 5);
  try {
    const bucket = await makeBucket(cuzco.s3());
    await cuzco.s3().send(new PutObjectCommand({ Bucket: bucket, Key: "old", Body: LOST }));
    await untilInSync(sites);
    await loseWrite({ site: cuzco, peer: lima, bucket, snapshot });
    const origin = originOf(cuzco);
    for (const { wire } of sites) wire.set("refuses");
    await cuzco.start();
    // More than was lost, so that its log is the longer one.
    const s3 = cuzco.s3();
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: "early", Body: large }));
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: "small", Body: LOST }));
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: "old" }));
    for (const { wire } of sites) wire.set("whole");
    expect(await untilStopped(cuzco.server())).toContain("it was set back");
    await cuzco.start();
    expect(originOf(cuzco)).not.toBe(origin);
    await until("cuzco has again what it lost", () => readLost(cuzco, bucket));
    await untilInSync(sites);
    for (const site of sites) {
      const listed = await site.s3().send(new ListObjectsV2Command({ Bucket: bucket }));
      expect(listed.Contents?.map(({ Key }) => Key)).toEqual(["early", "lost", "small"]);
      const got = await site.s3().send(new GetObjectCommand({ Bucket: bucket, Key: "early" }));
      expect(large.equals((await got.Body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(true);
    }
  } finally {
    for (const site of sites) await site.close();
    rmSync(snapshot, { recursive: true, force: true });
  }
});

function read(site: RunningSite, bucket: string, key: string): Promise<true | undefined> {
  const get = new GetObjectCommand({ Bucket: bucket, Key: key });
  return site
    .s3()
    .send(get)
    .then(
      () => true,
      () => undefined,
    );
}

test(
  "a third site that took what a set-back site wrote is told, and joins anew",
  TIMEOUT,
  async () => {
    const sites = await startCluster([{ name: "quito" }, { name: "sucre" }, { name: "caracas" }]);
    const [quito, sucre, caracas] = sites as [RunningSite, RunningSite, RunningSite];
    const snapshot = `${sucre.dataDirectory}-snapshot`;
    try {
      const bucket = await makeBucket(sucre.s3());
      const put = (site: RunningSite, Key: string) =>
        site.s3().send(new PutObjectCommand({ Bucket: bucket, Key, Body: LOST }));
      await untilInSync(sites);
      await caracas.kill();
      await loseWrite({ site: sucre, peer: quito, bucket, snapshot });
      await quito.kill();
      await caracas.start();
      await sucre.start();
      await put(sucre, "since");
      await until("caracas has taken it", () => read(caracas, bucket, "since"));
      await quito.start();
      expect(await untilStopped(sucre.server())).toContain("it was set back");
      await sucre.start();
      await until("quito has it by its new name", () => read(quito, bucket, "since"));
      await until("caracas says that it stands apart", async () => {
        const { stdout } = await caracas.atoll("repl-status");
        return stdout.includes("another history") || undefined;
      });
      await put(caracas, "own");
      await quito.told("repl-pull", "--peer", "caracas");
      expect(await read(quito, bucket, "own")).toBe(true);
      await quito.told("repl-remove", "caracas");
      await caracas.kill();
      rmSync(caracas.dataDirectory, { recursive: true });
      await caracas.start();
      await joinTo(quito, caracas);
      await untilInSync(sites);
      for (const site of sites) {
        for (const key of ["lost", "since", "own"])
          expect(await read(site, bucket, key)).toBe(true);
        expect((await site.atoll("conflicts", "list")).stdout).toContain("There are no conflicts.");
      }
    } finally {
      for (const site of sites) await site.close();
      rmSync(snapshot, { recursive: true, force: true });
    }
  },
);

test("a site whose peers cannot be asked takes writes all the same", async () => {
  const sites = await startCluster([{ name: "oslo" }, { name: "riga" }]);
  const [oslo, riga] = sites as [RunningSite, RunningSite];
  try {
    const bucket = await makeBucket(riga.s3());
    await untilInSync(sites);
    await riga.kill();
    oslo.wire.set("swallows");
    await riga.start();
    await riga.s3().send(new PutObjectCommand({ Bucket: bucket, Key: "lost", Body: LOST }));
    oslo.wire.set("whole");
    await untilInSync(sites);
    expect(await readLost(oslo, bucket)).toBe(true);
  } finally {
    for (const site of sites) await site.close();
  }
});
