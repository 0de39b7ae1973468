import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { keysOf } from "../support/forged-peer.ts";
import { openLyingRelay } from "../support/lying-relay.ts";
import { refusalOf } from "../support/sdk.ts";
import { type RunningSite, startCluster, until, untilInSync } from "../support/sites.ts";

const Bucket = "things";
const Key = "small";
const BODY = "as it was written";

/** A page with its last byte changed, which belongs to the last body (page-frame.ts). */
function withOtherBody(page: Buffer): Buffer {
  const bytes = Buffer.from(page);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  return bytes;
}

/** Bytes of bodies in a page, as its front says. */
function bodiesOf(page: Buffer): number {
  return page.length > 17 ? page.readUInt32LE(13) : 0;
}

test("a small body that a member alters on its way is refused, and comes right later", async () => {
  const sites = await startCluster([{ name: "berlin" }, { name: "paris" }, { name: "rome" }]);
  const [berlin, paris, rome] = sites as [RunningSite, RunningSite, RunningSite];
  // Rome asks on while paris stops at the end.
  const behind = () => (paris.isRunning() ? paris.server().port : undefined);
  const relay = await openLyingRelay(keysOf(paris), behind);
  try {
    await berlin.s3().send(new CreateBucketCommand({ Bucket }));
    await untilInSync(sites);
    await rome.kill();
    await berlin.s3().send(new PutObjectCommand({ Bucket, Key, Body: BODY }));
    await until("paris has what berlin wrote", async () => {
      const got = paris.s3().send(new HeadObjectCommand({ Bucket, Key }));
      return await got.then(() => true as const).catch(() => undefined);
    });
    // From here on rome hears of it from paris alone, which changes it.
    berlin.wire.set("refuses");
    relay.tell(({ path, body }) =>
      path.startsWith("/v1/repl/pull") && bodiesOf(body) > 0
        ? { kind: "signed", body: withOtherBody(body) }
        : { kind: "as-it-is" },
    );
    paris.wire.aim(relay.port);
    await rome.start();
    await until("rome says what is wrong", async () => {
      const { peers } = (await rome.asked("repl-status")) as {
        peers: Record<string, { state: string; last_error: { message: string } | null }>;
      };
      const message = peers["paris"]?.last_error?.message ?? "";
      return message.includes("the body of operation") ? true : undefined;
    });
    const missing = await refusalOf(rome.s3().send(new HeadObjectCommand({ Bucket, Key })));
    expect(missing).toBe("404 NotFound");
    relay.tell(() => ({ kind: "as-it-is" }));
    await until("rome takes what paris says now", async () =>
      (await rome.atoll("repl-pull", "--peer", "paris")).status === 0 ? true : undefined,
    );
    const got = await rome.s3().send(new GetObjectCommand({ Bucket, Key }));
    expect(await got.Body?.transformToString()).toBe(BODY);
  } finally {
    for (const site of sites) await site.close();
    await relay.close();
  }
});
