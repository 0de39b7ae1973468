import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { makeBucket, patternBytes } from "../support/sdk.ts";
import { type RunningSite, startCluster, until, untilInSync } from "../support/sites.ts";

const LOST = patternBytes(1000, 3);

function originOf({ dataDirectory }: RunningSite): string {
  return String(JSON.parse(readFileSync(join(dataDirectory, "site.json"), "utf8")).origin);
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
  const server = site.server();
  while (isAlive(server.pid)) await sleep(20);
  return server.log();
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

test("a site that was set back to a snapshot stops, and gets back what it has lost", async () => {
  const sites = await startCluster([{ name: "berlin" }, { name: "paris" }]);
  const [berlin, paris] = sites as [RunningSite, RunningSite];
  const snapshot = `${paris.dataDirectory}-snapshot`;
  try {
    const bucket = await makeBucket(paris.s3());
    await untilInSync(sites);
    await paris.kill();
    const filter = (path: string): boolean => !path.endsWith(".sock");
    cpSync(paris.dataDirectory, snapshot, { recursive: true, filter });
    await paris.start();
    await paris.s3().send(new PutObjectCommand({ Bucket: bucket, Key: "lost", Body: LOST }));
    await until("berlin has the object", () => readLost(berlin, bucket));
    await paris.kill();
    setBack(paris, snapshot);
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
