import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterEach, expect, test } from "vitest";
import { patternBytes } from "../support/sdk.ts";
import { PATIENCE_MS, type RunningSite, startCluster, until } from "../support/sites.ts";

const MIB = 1024 * 1024;
const LARGE_BYTES = 24 * MIB;
const SMALL = 20;

type Figures = { readonly operations_behind?: number; readonly bytes_behind?: number };
type Peer = Figures & {
  readonly state: string;
  readonly operations_ahead?: number;
  readonly bytes_ahead?: number;
  readonly buckets: Readonly<Record<string, Figures>>;
};

let sites: RunningSite[] = [];

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

async function peerOf(site: RunningSite, name: string): Promise<Peer | undefined> {
  const { peers } = (await site.told("repl-status")) as { peers: Record<string, Peer> };
  return peers[name];
}

test(
  "while a large object is on its way, that one is behind, and not what arrived after it",
  async () => {
    // A line on which the large object takes a while, so that there is time to look.
    const flags = ["--peer-bandwidth", "1MiB"];
    sites = await startCluster([{ name: "berlin" }, { name: "paris", flags }]);
    const [berlin, paris] = sites;
    if (berlin === undefined || paris === undefined) throw new Error("two sites");
    const s3 = berlin.s3();
    for (const Bucket of ["videos", "notes"]) await s3.send(new CreateBucketCommand({ Bucket }));
    const Body = patternBytes(LARGE_BYTES, 7);
    await s3.send(new PutObjectCommand({ Bucket: "videos", Key: "large", Body }));
    for (let at = 0; at < SMALL; at++) {
      await s3.send(new PutObjectCommand({ Bucket: "notes", Key: `${at}`, Body: `note ${at}` }));
    }
    const behind = await until("nothing but the large object is behind", async () => {
      const peer = await peerOf(berlin, "paris");
      if (peer?.operations_behind === 0) throw new Error("the large object was never behind alone");
      return peer?.operations_behind === 1 && peer.bytes_behind !== undefined ? peer : undefined;
    });
    const large = { operations_behind: 1, bytes_behind: LARGE_BYTES };
    expect(behind).toMatchObject({ state: "catching-up", ...large });
    expect(behind.buckets).toEqual({ videos: expect.objectContaining(large) });
    expect(await peerOf(paris, "berlin")).toMatchObject({
      ...{ state: "catching-up", operations_ahead: 1, bytes_ahead: LARGE_BYTES },
    });
  },
  PATIENCE_MS,
);
