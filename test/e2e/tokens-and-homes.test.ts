import { afterEach, describe, expect, test } from "vitest";
import { type RawAnswer, sendSigned } from "../support/raw-http.ts";
import { type RunningSite, startCluster, until, untilInSync } from "../support/sites.ts";

/** A moment to start servers and to wait for them. */
const TIMEOUT_MS = 240_000;

let sites: RunningSite[] = [];

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

async function open(): Promise<[RunningSite, RunningSite]> {
  sites = await startCluster([{ name: "berlin" }, { name: "paris", engine: "node" }]);
  const [berlin, paris] = sites;
  if (berlin === undefined || paris === undefined) throw new Error("two sites");
  expect((await send(berlin, "PUT", "/photos")).status).toBe(200);
  await untilInSync(sites);
  return [berlin, paris];
}

type Headers = Readonly<Record<string, string>>;

function send(
  site: RunningSite,
  method: string,
  path: string,
  { headers = {}, body }: { headers?: Headers; body?: string } = {},
): Promise<RawAnswer> {
  const length = { "content-length": String(Buffer.byteLength(body ?? "")) };
  return sendSigned(site.server(), {
    ...{ method, path, headers: { ...headers, ...length } },
    ...(body === undefined ? {} : { body }),
  });
}

/** Nothing goes either way between the two any more. */
function cut(...all: readonly RunningSite[]): void {
  for (const { wire } of all) wire.set("refuses");
}

function mend(...all: readonly RunningSite[]): void {
  for (const { wire } of all) wire.set("whole");
}

type PeerFacts = {
  readonly state: string;
  readonly operations_behind: number;
  readonly bytes_behind: number;
  readonly seconds_behind: number;
  readonly buckets: Readonly<Record<string, { operations_behind: number; bytes_behind: number }>>;
};

async function peerOf(site: RunningSite, name: string): Promise<PeerFacts> {
  const { peers } = (await site.told("repl-status")) as { peers: Record<string, PeerFacts> };
  const peer = peers[name];
  if (peer === undefined) throw new Error(`${site.name} has no peer ${name}`);
  return peer;
}

describe("a token", () => {
  test(
    "lets a client read at one site what it wrote at another, time after time",
    async () => {
      const [berlin, paris] = await open();
      let token = "";
      for (let round = 0; round < 40; round++) {
        const [here, there] = round % 2 === 0 ? [berlin, paris] : [paris, berlin];
        const put = await send(here, "PUT", "/photos/cat", { body: `round ${round}` });
        token = put.headers["x-atoll-token"] ?? "";
        const headers = { "x-atoll-after": token, "x-atoll-wait": "60000" };
        const got = await send(there, "GET", "/photos/cat", { headers });
        expect([got.status, got.body]).toEqual([200, `round ${round}`]);
      }
      cut(berlin, paris);
      const late = await send(berlin, "PUT", "/photos/cat", { body: "late" });
      const after = { "x-atoll-after": late.headers["x-atoll-token"] ?? "", "x-atoll-wait": "200" };
      const refused = await send(paris, "GET", "/photos/cat", { headers: after });
      expect([refused.status, refused.code]).toEqual([503, "ServiceUnavailable"]);
      expect((await send(paris, "GET", "/photos/cat")).body).toBe("round 39");
      mend(berlin, paris);
      const patient = { ...after, "x-atoll-wait": "60000" };
      expect((await send(paris, "GET", "/photos/cat", { headers: patient })).body).toBe("late");
    },
    TIMEOUT_MS,
  );
});

test(
  "the lag is exact by bucket, and falls to zero when it is zero and not before",
  async () => {
    const [berlin, paris] = await open();
    await send(berlin, "PUT", "/videos");
    await untilInSync(sites);
    cut(berlin, paris);
    for (let count = 1; count <= 30; count++) {
      await send(berlin, "PUT", `/photos/key-${count}`, { body: "1234567890" });
      if (count % 10 === 0) {
        await send(berlin, "PUT", `/videos/key-${count}`, { body: "x".repeat(1000) });
        const behind = count + count / 10;
        const peer = await peerOf(berlin, "paris");
        expect(peer).toMatchObject({
          ...{ operations_behind: behind, bytes_behind: count * 10 + (count / 10) * 1000 },
          buckets: {
            photos: { operations_behind: count, bytes_behind: count * 10 },
            videos: { operations_behind: count / 10, bytes_behind: (count / 10) * 1000 },
          },
        });
        expect(peer.state).not.toBe("in-sync");
        expect(peer.seconds_behind).toBeGreaterThan(0);
      }
    }
    mend(berlin, paris);
    await until("nothing is behind", async () => {
      const peer = await peerOf(berlin, "paris");
      if (peer.operations_behind > 0) {
        expect(peer.state).not.toBe("in-sync");
        return undefined;
      }
      expect([peer.bytes_behind, peer.seconds_behind, peer.buckets]).toEqual([0, 0, {}]);
      return true;
    });
    // Nothing more has been waited for.
    const last = await send(paris, "GET", "/videos/key-30");
    expect([last.status, last.body.length]).toEqual([200, 1000]);
    for (let count = 1; count <= 30; count++) {
      expect((await send(paris, "GET", `/photos/key-${count}`)).status).toBe(200);
    }
    const waited = await berlin.atoll("repl-status", "--until-in-sync", "--json");
    expect(waited.status).toBe(0);
  },
  TIMEOUT_MS,
);

describe("a bucket with a home site", () => {
  const ABSENT = { "if-none-match": "*" };

  test(
    "takes one of two conditional writes, wherever they are sent to",
    async () => {
      const [berlin, paris] = await open();
      await berlin.told("repl-home", "set", "photos", "berlin");
      await untilInSync(sites);
      expect(await paris.told("repl-home", "show", "photos")).toMatchObject({
        ...{ bucket: "photos", name: "berlin", epoch: 1, is_here: false },
      });
      for (let round = 0; round < 10; round++) {
        const path = `/photos/lock-${round}`;
        const answers = await Promise.all(
          [berlin, paris, paris, berlin].map((site, at) =>
            send(site, "PUT", path, { headers: ABSENT, body: `${at}` }),
          ),
        );
        const statuses = answers.map(({ status }) => status).sort();
        expect(statuses).toEqual([200, 412, 412, 412]);
        const winner = answers.findIndex(({ status }) => status === 200);
        const token = answers[winner]?.headers["x-atoll-token"] ?? "";
        const headers = { "x-atoll-after": token, "x-atoll-wait": "60000" };
        for (const site of [berlin, paris]) {
          expect((await send(site, "GET", path, { headers })).body).toBe(`${winner}`);
        }
      }
    },
    TIMEOUT_MS,
  );

  test(
    "takes none while its home is out of reach, until the role is handed over or taken",
    async () => {
      const [berlin, paris] = await open();
      await paris.told("repl-home", "set", "photos", "berlin");
      await untilInSync(sites);
      cut(berlin, paris);
      const put = { headers: ABSENT, body: "x" };
      const refused = await send(paris, "PUT", "/photos/lock", put);
      expect([refused.status, refused.code]).toEqual([503, "ServiceUnavailable"]);
      expect((await send(paris, "PUT", "/photos/free", { body: "x" })).status).toBe(200);
      expect((await send(berlin, "PUT", "/photos/lock", put)).status).toBe(200);
      mend(berlin, paris);
      await untilInSync(sites);

      const mine = await paris.atoll("repl-home", "set", "photos", "paris");
      expect([mine.status, mine.stderr]).toEqual([2, expect.stringContaining("hand it over")]);
      await berlin.told("repl-home", "set", "photos", "paris");
      await untilInSync(sites);
      expect((await send(berlin, "PUT", "/photos/lock", put)).status).toBe(412);
      cut(berlin, paris);
      expect((await send(berlin, "PUT", "/photos/next", put)).status).toBe(503);
      expect((await send(paris, "PUT", "/photos/next", put)).status).toBe(200);
      await berlin.told("repl-home", "set", "photos", "berlin", "--force");
      expect((await send(berlin, "PUT", "/photos/forced", put)).status).toBe(200);
    },
    TIMEOUT_MS,
  );
});
