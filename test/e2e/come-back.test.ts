import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { makeBucket, patternBytes } from "../support/sdk.ts";
import {
  peerStates,
  type RunningSite,
  startCluster,
  until,
  untilInSync,
} from "../support/sites.ts";

const BODY = patternBytes(5000, 8);

function put(site: RunningSite, Bucket: string, Key: string) {
  return site.s3().send(new PutObjectCommand({ Bucket, Key, Body: BODY }));
}

async function has(site: RunningSite, Bucket: string, Key: string): Promise<true | undefined> {
  const got = await site
    .s3()
    .send(new GetObjectCommand({ Bucket, Key }))
    .catch(() => undefined);
  const bytes = await got?.Body?.transformToByteArray();
  return bytes !== undefined && BODY.equals(bytes) ? true : undefined;
}

test("a site that was removed is heard no more, until it comes back with all that it has", async () => {
  const sites = await startCluster([{ name: "berlin" }, { name: "paris" }]);
  const [berlin, paris] = sites as [RunningSite, RunningSite];
  try {
    const bucket = await makeBucket(berlin.s3());
    await berlin.told("repl-home", "set", bucket, "paris");
    await untilInSync(sites);
    const removed = await berlin.atoll("repl-remove", "paris");
    expect(removed.stdout).toContain("paris was removed: nothing it writes is taken now.");
    // What it says is to be typed is typed, with a site in the place of SITE.
    const told = /^atoll (repl-home set \S+) SITE (--force)$/m.exec(removed.stdout);
    const [, before = "", after = ""] = told ?? [];
    expect(before).toBe(`repl-home set ${bucket}`);
    const home = await berlin.told(...before.split(" "), "berlin", after);
    expect(home).toMatchObject({ bucket, name: "berlin", is_here: true });
    await until("berlin asks paris no more", async () => {
      const peers = await peerStates(berlin);
      return peers.has("paris") ? undefined : true;
    });
    await put(berlin, bucket, "from-berlin");
    await put(paris, bucket, "from-paris");
    await until("paris is refused", async () => {
      const { refused_messages: refused } = (await berlin.told("repl-sites")) as {
        refused_messages: Record<string, number>;
      };
      return (refused["removed-site"] ?? 0) > 0 ? true : undefined;
    });
    const rows = await paris.atoll("repl-bootstrap", "--from", "berlin");
    // It may have heard of it itself, as the last that berlin told it.
    expect([rows.status, rows.stderr]).toEqual([
      2,
      expect.stringMatching(/^atoll repl-bootstrap: .*: `atoll repl-join` with a new token\.\n$/),
    ]);
    expect(await has(paris, bucket, "from-berlin")).toBeUndefined();
    expect(await has(berlin, bucket, "from-paris")).toBeUndefined();
    const reach = ["--address", berlin.address, "--insecure-peer"];
    const { token } = await berlin.told("repl-invite", ...reach);
    const join = ["repl-join", String(token), "--address", paris.address, "--insecure-peer"];
    const refused = await paris.atoll(...join);
    expect(refused.stderr).toContain("as a new origin");
    await paris.kill();
    await paris.start();
    expect(await paris.told(...join)).toMatchObject({ outcome: "joined" });
    await put(paris, bucket, "afterwards");
    await untilInSync(sites);
    for (const site of sites) {
      for (const key of ["from-paris", "from-berlin", "afterwards"]) {
        await until(`${key} at ${site.name}`, () => has(site, bucket, key));
      }
    }
  } finally {
    for (const site of sites) await site.close();
  }
});
