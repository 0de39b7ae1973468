import { beforeEach, describe, expect, test } from "vitest";
import {
  ADDRESS,
  BERLIN,
  clientOf,
  ECHO,
  failureOf,
  link,
  ORIGINS,
  PARIS,
  piecesOf,
  reasons,
  resetLink,
  startServer,
} from "../../test/support/peer-link.ts";
import { makeSiteKeyPair } from "../core/identity.ts";
import { required } from "../core/tagged-fields.ts";
import type { NetworkResponse } from "../ports/network.ts";

beforeEach(resetLink);

describe("a site that asks another", () => {
  test("is known by its signature, and believes the answer by the other's", async () => {
    const answer = await clientOf().request(PARIS, ECHO);
    expect(answer).toMatchObject({ status: 200, headers: { "x-extra": "1" } });
    expect(String(answer.body)).toBe("hi");
    expect(link.calls).toHaveLength(1);
    expect(link.calls[0]).toMatchObject({
      peer: BERLIN,
      query: new Map([
        ["n", "1"],
        ["name", "käse"],
      ]),
    });
    expect(String(link.calls[0]?.body)).toBe("hello");
    expect(reasons()).toEqual([]);
  });

  test("goes on by itself after the other was started anew", async () => {
    const client = clientOf();
    await client.request(PARIS, ECHO);
    link.server = startServer(2);
    await client.request(PARIS, ECHO);
    expect(link.calls).toHaveLength(2);
    expect(reasons()).toEqual([]);
  });

  test("goes on with all that it asks at once when the other was started anew", async () => {
    const client = clientOf();
    const askThrice = () => Promise.all([1, 2, 3].map(() => client.request(PARIS, ECHO)));
    await askThrice();
    link.server = startServer(2);
    const answers = await askThrice();
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(link.calls).toHaveLength(6);
    expect(reasons()).toEqual([]);
  });

  test("tries the other addresses of a site, and begins with the one that answered", async () => {
    const twice = { ...PARIS, addresses: ["http://gone:1", ADDRESS] };
    const client = clientOf();
    await client.request(twice, ECHO);
    await client.request(twice, ECHO);
    expect(link.calls).toHaveLength(2);
  });

  test("does not speak plain http where nobody wanted it", async () => {
    const failure = await failureOf(clientOf().request({ ...PARIS, insecure: false }, ECHO));
    expect(failure).toMatchObject({ kind: "unreachable" });
    expect(link.line.seen).toHaveLength(0);
  });

  test.each([
    ["an answer whose body is altered", { body: piecesOf(Buffer.from("ho")) }, "untrusted"],
    ["an answer whose status is altered", { status: 404 }, "untrusted"],
    ["an answer that is not signed", { headers: {} }, "untrusted"],
    [
      "what a proxy answers for it, or it as it starts",
      { status: 503, headers: {} },
      "unreachable",
    ],
    ["an answer that ends early", { body: piecesOf(Buffer.from("h")) }, "untrusted"],
  ] as const)("does not believe %s", async (_name, change, kind) => {
    const client = clientOf();
    await client.request(PARIS, ECHO);
    link.line.answer = (message) => ({ ...message, ...change });
    expect(await failureOf(client.request(PARIS, ECHO))).toMatchObject({ kind });
  });

  test("does not believe an earlier answer to another question", async () => {
    const client = clientOf();
    let first: NetworkResponse | undefined;
    link.line.answer = (message) => {
      if (message.status === 200) first = message;
      return message;
    };
    await client.request(PARIS, ECHO);
    link.line.answer = () => ({ ...required(first, "answer"), body: piecesOf(Buffer.from("hi")) });
    expect(await failureOf(client.request(PARIS, ECHO))).toMatchObject({ kind: "untrusted" });
  });

  test("does not believe another site that answers in its place", async () => {
    const other = { ...PARIS, publicKey: makeSiteKeyPair(Buffer.alloc(32, 9)).publicKey };
    expect(await failureOf(clientOf().request(other, ECHO))).toMatchObject({ kind: "untrusted" });
  });

  test("cuts off a peer that streams for ever", async () => {
    let sent = 0;
    async function* forEver(): AsyncIterable<Uint8Array> {
      for (;;) {
        sent += 400;
        yield Buffer.alloc(400);
      }
    }
    link.line.answer = (message) => ({ ...message, body: forEver() });
    expect(await failureOf(clientOf().request(PARIS, ECHO))).toMatchObject({ kind: "too-large" });
    expect(sent).toBeLessThan(2000);
  });

  test("waits for no answer beyond its time, and no longer than it is wanted", async () => {
    link.reply = () => new Promise(() => undefined);
    const late = failureOf(clientOf().request(PARIS, ECHO));
    await link.clock.advance(1001);
    expect(await late).toMatchObject({ kind: "timeout" });
    const stop = new AbortController();
    const stopped = failureOf(clientOf().request(PARIS, { ...ECHO, signal: stop.signal }));
    stop.abort();
    expect(await stopped).toMatchObject({ kind: "unreachable" });
    expect(link.clock.pendingTimers).toBe(0);
  });
});

test("two programs that speak as one site are both refused, and each is told why", async () => {
  const [original, copy] = ORIGINS.map((origin) => clientOf(undefined, undefined, origin));
  await original?.request(PARIS, ECHO);
  await copy?.request(PARIS, ECHO);
  for (const client of [original, copy]) {
    const failure = await failureOf(required(client, "client").request(PARIS, ECHO));
    expect(failure).toMatchObject({ kind: "refused" });
    expect(failure.hint).toContain("copy");
  }
  expect(link.calls).toHaveLength(2);
  expect(reasons()).toEqual(["clone 2"]);
});
