import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterEach, expect, test } from "vitest";
import {
  joinTo,
  type RunningSite,
  startCluster,
  startSite,
  until,
  untilInSync,
} from "../support/sites.ts";

const TIMEOUT_MS = 300_000;
const BIG = Buffer.alloc(20 * 1024 * 1024, 7);
/** The line of the one that is left is so thin that the big one cannot have come before the fire. */
const THIN = ["--peer-bandwidth", "64KiB"];

let sites: RunningSite[] = [];

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

async function get(site: RunningSite, Key: string): Promise<number | string> {
  try {
    const { Body } = await site.s3().send(new GetObjectCommand({ Bucket: "photos", Key }));
    return (await Body?.transformToByteArray())?.length ?? 0;
  } catch (failure) {
    return (failure as Error).name;
  }
}

async function untilParked(site: RunningSite, count: number): Promise<void> {
  await until(`${count} are parked at ${site.name}`, async () =>
    (await site.asked("repl-status"))["parked"] === count ? true : undefined,
  );
}

test(
  "what burnt before its bytes were handed on is given up, and keeps nobody any more",
  async () => {
    const [berlin, paris] = await startCluster([
      { name: "berlin", flags: THIN },
      { name: "paris" },
    ]);
    if (berlin === undefined || paris === undefined) throw new Error("two");
    const oslo = await startSite({ name: "oslo" });
    sites = [berlin, paris, oslo];
    await paris.s3().send(new CreateBucketCommand({ Bucket: "photos" }));
    await paris.s3().send(new PutObjectCommand({ Bucket: "photos", Key: "kept", Body: "small" }));
    await untilInSync([berlin, paris]);
    await paris.s3().send(new PutObjectCommand({ Bucket: "photos", Key: "big", Body: BIG }));
    await untilParked(berlin, 1);
    await paris.kill();

    // As long as it may come back, nothing is given up.
    const early = await berlin.atoll("repl-parked", "--give-up");
    expect([early.status, early.stdout]).toEqual([1, expect.stringMatching(/^0 ended, 1 stay/)]);
    await berlin.told("repl-remove", "paris");
    const { writes } = await berlin.told("repl-parked");
    expect(writes).toEqual([
      expect.objectContaining({ bucket: "photos", key: "big", version: "null", bytes: BIG.length }),
    ]);
    await joinTo(berlin, oslo);
    await untilParked(oslo, 1);
    // Who waits for bytes gives its rows, and who takes them over waits as well.
    const rows = await oslo.told("repl-bootstrap", "--from", "berlin");
    expect(rows).toMatchObject({ state: "done", skipped: 0 });
    await untilParked(oslo, 1);

    expect(await berlin.told("repl-parked", "--give-up")).toMatchObject({ ended: 1, kept: 0 });
    await untilParked(berlin, 0);
    await untilParked(oslo, 0);
    await untilInSync([berlin, oslo]);
    for (const site of [berlin, oslo]) {
      expect(await get(site, "kept")).toBe("small".length);
      expect(await get(site, "big")).toBe("NoSuchKey");
    }
    expect((await oslo.atoll("repl-verify", "--peer", "berlin")).status).toBe(0);
    const none = await berlin.atoll("repl-parked");
    expect([none.status, none.stdout]).toEqual([0, "Nothing is parked.\n"]);
  },
  TIMEOUT_MS,
);
