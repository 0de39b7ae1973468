import { beforeEach, describe, expect, test } from "vitest";
import { Seed } from "../../test/sim/seed.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { createSimRandom } from "../../test/sim/sim-random.ts";
import type { FakeRequest } from "../../test/support/fake-exchange.ts";
import {
  BERLIN,
  BERLIN_KEYS,
  CLUSTER,
  carry,
  clientOf,
  deliver,
  ECHO,
  failureOf,
  link,
  ORIGINS,
  PARIS,
  PARIS_KEYS,
  reasons,
  resetLink,
  startServer,
} from "../../test/support/peer-link.ts";
import { makeSiteKeyPair } from "../core/identity.ts";
import { LIMITS } from "../core/limits.ts";
import { parseClusterId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import type { Network } from "../ports/network.ts";
import { createPeerClient, type PeerClient } from "./peer-client.ts";

beforeEach(resetLink);

describe("a site refuses, counts, logs once, and hands on nothing", () => {
  async function refusedTwice(client: PeerClient, reason: string): Promise<void> {
    for (let time = 0; time < 2; time++) {
      const failure = await failureOf(client.request(PARIS, ECHO));
      expect(["refused", "untrusted"]).toContain(failure.kind);
    }
    expect(link.calls).toHaveLength(0);
    expect(reasons()).toEqual([`${reason} 2`]);
    expect(link.log.lines.filter(({ fields }) => fields["reason"] === reason)).toHaveLength(1);
  }

  test("a message of a site that it does not know", async () => {
    link.members.delete(BERLIN.id);
    await refusedTwice(clientOf(), "unknown-site");
  });

  test("a message of a site that was removed", async () => {
    link.members.set(BERLIN.id, { ...BERLIN, state: "removed" });
    await refusedTwice(clientOf(), "removed-site");
  });

  test("a message of another cluster", async () => {
    const clusterId = required(parseClusterId("cd".repeat(16)), "cluster");
    await refusedTwice(clientOf({ clusterId, siteId: BERLIN.id }), "wrong-cluster");
  });

  test("[S37] a message that is meant for another site", async () => {
    link.line.request = (message) => ({
      ...message,
      headers: { ...message.headers, "x-atoll-to": BERLIN.id },
    });
    await refusedTwice(clientOf(), "wrong-site");
  });

  test("[S36] a message under another key", async () => {
    await refusedTwice(clientOf(undefined, makeSiteKeyPair(Buffer.alloc(32, 9))), "altered");
  });

  test("a message of its own, sent back to it", async () => {
    await refusedTwice(
      clientOf({ clusterId: CLUSTER, siteId: PARIS.id }, PARIS_KEYS),
      "unknown-site",
    );
  });

  const changes: ReadonlyArray<readonly [string, (message: FakeRequest) => FakeRequest]> = [
    ["method", (message) => ({ ...message, method: "PUT" })],
    ["path", (message) => ({ ...message, target: "/v1/repl/Echo?n=1&name=k%C3%A4se" })],
    ["query", (message) => ({ ...message, target: "/v1/repl/echo?n=2&name=k%C3%A4se" })],
    ["body", (message) => ({ ...message, body: Buffer.from("hallo") })],
    ["end, cut off", (message) => ({ ...message, body: message.body.subarray(1) })],
    ...["host", "date", "content-digest", "x-atoll-session", "x-atoll-origin"].map(
      (name) => [`header ${name}`, (message: FakeRequest) => withHeader(message, name)] as const,
    ),
  ];
  function withHeader(message: FakeRequest, name: string): FakeRequest {
    const value = name === "date" ? new Date(link.clock.nowMs() + 5000).toUTCString() : "other";
    return { ...message, headers: { ...message.headers, [name]: value } };
  }

  test.each(changes)("[S37] a message whose %s is altered on the way", async (_name, change) => {
    const client = clientOf();
    await client.request(PARIS, ECHO);
    link.calls.length = 0;
    link.line.request = change;
    await refusedTwice(client, "altered");
  });

  test("[S36] a message without a signature, or with more or less in it", async () => {
    const inputs = [
      (input: string) => input.replace(' "@query"', ""),
      (input: string) => input.replace("sig=(", 'sig=("@scheme" '),
      (input: string) => `${input};expires=1`,
      (input: string) => input.replace("ed25519", "hmac-sha256"),
      () => "",
    ];
    for (const change of inputs) {
      link.line.request = (message) => ({
        ...message,
        headers: {
          ...message.headers,
          "signature-input": change(message.headers["signature-input"] ?? ""),
        },
      });
      expect(await failureOf(clientOf().request(PARIS, ECHO))).toMatchObject({ kind: "refused" });
    }
    expect(link.calls).toHaveLength(0);
    expect(reasons()).toEqual([`unsigned ${inputs.length}`]);
  });

  test("[S60] a message that came before, also after it was started anew", async () => {
    await clientOf().request(PARIS, ECHO);
    const message = required(link.line.seen.at(-1), "message");
    link.calls.length = 0;
    expect((await deliver(message)).status).toBe(401);
    expect(reasons()).toEqual(["replayed 1"]);
    link.server = startServer(2);
    expect((await deliver(message)).status).toBe(401);
    expect(link.calls).toHaveLength(0);
  });

  test.each([
    ["from the past", -LIMITS.requestSkewMsMax - 2000],
    ["from the future", LIMITS.requestSkewMsMax + 2000],
    ["from the year 2200", 174 * 365.25 * 24 * 3600 * 1000],
  ])("a message %s", async (_name, aheadMs) => {
    const client = clientOf();
    await client.request(PARIS, ECHO);
    link.calls.length = 0;
    link.line.request = (message) => message;
    const here = link.clock.nowMs();
    const theirs = new SimClock(here + aheadMs);
    const network: Network = { request: carry };
    const other = createPeerClient({
      ...{ network, clock: theirs, random: createSimRandom(new Seed(8)), keyPair: BERLIN_KEYS },
      identity: { clusterId: CLUSTER, siteId: BERLIN.id, origin: ORIGINS[0] },
    });
    const failure = await failureOf(other.request(PARIS, ECHO));
    expect([failure.message, failure.wallMs]).toEqual([expect.stringContaining("clock"), here]);
    expect(link.calls).toHaveLength(0);
    expect(reasons()).toEqual(["clock 1"]);
  });

  test("a body beyond the route's bound, before anything of it is read", async () => {
    const large = { ...ECHO, body: Buffer.alloc(101) };
    const answer = await clientOf().request(PARIS, large);
    expect(answer.status).toBe(413);
    expect(link.calls).toHaveLength(0);
    expect(reasons()).toEqual(["too-large 1"]);
  });

  test("[S36] a body under another key, before anything of it is read", async () => {
    const stranger = clientOf(undefined, makeSiteKeyPair(Buffer.alloc(32, 9)));
    await failureOf(stranger.request(PARIS, { ...ECHO, body: Buffer.alloc(101) }));
    // Whoever reads on finds that it is too large.
    expect(reasons()).toEqual(["altered 1"]);
  });

  test("an address where nothing is, and a route that fails, each with its own answer", async () => {
    const client = clientOf();
    expect(
      (await client.request(PARIS, { ...ECHO, path: "/v1/repl/no", body: Buffer.alloc(0) })).status,
    ).toBe(404);
    link.reply = () => {
      throw new Error("secret details");
    };
    const failed = await client.request(PARIS, ECHO);
    expect(failed.status).toBe(500);
    expect(String(failed.body)).not.toContain("secret");
  });

  test("strangers in a crowd, without filling its memory", async () => {
    for (let at = 0; at < 3000; at++)
      link.refusals.note(`10.0.${at >> 8}.${at & 255}`, "unsigned", "x");
    expect(reasons()).toEqual(["unsigned 3000"]);
    expect(link.log.lines.length).toBeGreaterThan(1000);
  });
});
