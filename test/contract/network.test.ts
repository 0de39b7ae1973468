import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Network, NetworkRequest } from "../../src/ports/network.ts";
import { createNodeNetwork } from "../../src/ports/node-network.ts";
import { Seed } from "../sim/seed.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimNetwork, type SimResponse } from "../sim/sim-network.ts";

type Target = NetworkRequest["target"];
type Fixture = {
  readonly network: Network;
  readonly target: Target;
  readonly nobody: Target;
  readonly close: () => Promise<void>;
};

const never = new Promise<never>(() => undefined);

/** What every server of this suite answers, by path. */
function answer(path: string, method: string, body: Uint8Array): SimResponse {
  const text = Buffer.from(body).toString();
  if (path === "/redirect") return { status: 302, headers: { Location: "/other" } };
  if (path === "/broken") return { status: 200, body: breakOff() };
  if (path === "/hang") return { status: 200, body: hang() };
  return {
    status: 200,
    headers: { "X-Seen": `${method} ${path}` },
    body: Buffer.from(`<${text}>`),
  };
}

async function* breakOff(): AsyncIterable<Uint8Array> {
  yield Buffer.from("half");
  throw new Error("the server gave up");
}

async function* hang(): AsyncIterable<Uint8Array> {
  yield Buffer.from("first");
  await never;
}

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const bytes of request) parts.push(bytes);
  const { status, headers, body } = answer(
    request.url ?? "",
    request.method ?? "",
    Buffer.concat(parts),
  );
  response.writeHead(status, headers);
  if (body === undefined || body instanceof Uint8Array) {
    response.end(body);
    return;
  }
  for await (const bytes of body) {
    await new Promise((resolve) => response.write(bytes, resolve));
  }
}

function serve(): Server {
  return createServer((request, response) => {
    respond(request, response).catch(() => response.destroy());
  });
}

async function overTcp(): Promise<Fixture> {
  const server = serve();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    network: createNodeNetwork(),
    target: { kind: "url", origin: `http://127.0.0.1:${port}` },
    nobody: { kind: "url", origin: "http://127.0.0.1:1" },
    close: () => closeServer(server),
  };
}

async function overSocket(): Promise<Fixture> {
  const directory = mkdtempSync(`${tmpdir()}/atoll-net-`);
  const server = serve();
  await new Promise<void>((resolve) => server.listen(`${directory}/s`, resolve));
  return {
    network: createNodeNetwork(),
    target: { kind: "socket", path: `${directory}/s` },
    nobody: { kind: "socket", path: `${directory}/none` },
    close: async () => {
      await closeServer(server);
      rmSync(directory, { recursive: true });
    },
  };
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

async function simulated(): Promise<Fixture> {
  const net = new SimNetwork(new Seed("net"), new SimClock());
  net.serve("http://b", "b", async ({ path, method, body }) => answer(path, method, body));
  return {
    network: net.connect("a"),
    target: { kind: "url", origin: "http://b" },
    nobody: { kind: "url", origin: "http://nobody" },
    close: async () => undefined,
  };
}

async function text(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const bytes of body) parts.push(bytes);
  return Buffer.concat(parts).toString();
}

describe.each([
  ["HTTP over TCP", overTcp],
  ["HTTP over a Unix socket", overSocket],
  ["the simulated network", simulated],
])("%s", (_name, open) => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await open();
  });
  afterAll(() => fixture.close());

  const send = (path: string, rest?: Partial<NetworkRequest>) =>
    fixture.network.request({
      target: fixture.target,
      method: "POST",
      path,
      headers: {},
      ...rest,
    });

  test("carries method, path and body there, and status, headers and body back", async () => {
    const response = await send("/a%20b?c=d", { body: Buffer.from("hello") });
    expect(response.status).toBe(200);
    expect(response.headers["x-seen"]).toBe("POST /a%20b?c=d");
    expect(await text(response.body)).toBe("<hello>");
  });

  test("carries a body that comes in pieces", async () => {
    async function* body(): AsyncIterable<Uint8Array> {
      for (let piece = 0; piece < 100; piece++) yield Buffer.from("0123456789".repeat(100));
    }
    const response = await send("/pieces", { body: body() });
    expect((await text(response.body)).length).toBe(100_002);
  });

  test("a request body that fails is never taken for a whole one", async () => {
    await expect(send("/pieces", { body: breakOff() })).rejects.toThrow("gave up");
  });

  test("does not follow redirects", async () => {
    const response = await send("/redirect");
    expect([response.status, response.headers["location"]]).toEqual([302, "/other"]);
    expect(await text(response.body)).toBe("");
  });

  test("a body that breaks off throws instead of ending", async () => {
    const response = await send("/broken");
    await expect(text(response.body)).rejects.toThrow();
  });

  test("rejects when nobody listens", async () => {
    await expect(send("/", { target: fixture.nobody })).rejects.toThrow(/ECONNREFUSED|ENOENT/);
  });

  test("an abort before the request sends nothing", async () => {
    const signal = AbortSignal.abort(new Error("changed my mind"));
    await expect(send("/x", { signal })).rejects.toThrow("changed my mind");
  });

  test("an abort in mid-body ends the iteration with its reason", async () => {
    const controller = new AbortController();
    const response = await send("/hang", { signal: controller.signal });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const bytes of response.body) {
        seen.push(Buffer.from(bytes).toString());
        controller.abort(new Error("enough"));
      }
    })();
    await expect(reading).rejects.toThrow("enough");
    expect(seen).toEqual(["first"]);
  });
});

describe("the simulated network in bad weather", () => {
  function twoSites(seed: string) {
    const clock = new SimClock();
    const net = new SimNetwork(new Seed(seed), clock);
    const handled: string[] = [];
    net.serve("http://b", "b", async ({ path }) => {
      handled.push(path);
      return { status: 200, body: Buffer.from("0123456789") };
    });
    const network = net.connect("a");
    const target = { kind: "url", origin: "http://b" } as const;
    const get = (path: string) => network.request({ target, method: "GET", path, headers: {} });
    return { clock, net, handled, get };
  }

  test("a partition stops both ways until it is healed", async () => {
    const { net, handled, get } = twoSites("partition");
    net.partition("b", "a");
    await expect(get("/x")).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(handled).toEqual([]);
    net.heal();
    expect(await text((await get("/x")).body)).toBe("0123456789");
  });

  test("a lost answer may have been handled: the caller cannot know", async () => {
    const { net, handled, get } = twoSites("loss");
    net.weather = { loss: 0.5, duplicate: 0, halfBody: 0, delayMsMax: 0 };
    const results = await Promise.allSettled(Array.from({ length: 200 }, () => get("/x")));
    const answered = results.filter((result) => result.status === "fulfilled").length;
    expect(answered).toBeGreaterThan(20);
    expect(handled.length).toBeGreaterThan(answered + 10);
    expect(handled.length).toBeLessThan(180);
  });

  test("requests overtake each other and may be handled twice", async () => {
    const { clock, net, handled, get } = twoSites("reorder");
    net.weather = { loss: 0, duplicate: 0.3, halfBody: 0, delayMsMax: 50 };
    const paths = Array.from({ length: 30 }, (_, index) => `/${index}`);
    const all = Promise.all(paths.map(get));
    await clock.advance(1000);
    await all;
    expect(handled.length).toBeGreaterThan(paths.length);
    expect([...new Set(handled)]).not.toEqual(paths);
    expect([...new Set(handled)].sort()).toEqual(paths.toSorted());
  });

  test("half a body always ends in an error", async () => {
    const { net, get } = twoSites("half");
    net.weather = { loss: 0, duplicate: 0, halfBody: 1, delayMsMax: 0 };
    for (let round = 0; round < 20; round++) {
      const { body } = await get("/x");
      await expect(text(body)).rejects.toMatchObject({ code: "ECONNRESET" });
    }
  });

  test("a line that is cut one way carries requests, but no answers", async () => {
    const { net, handled, get } = twoSites("one way");
    net.cutOneWay("b", "a");
    await expect(get("/x")).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(handled).toEqual(["/x"]);
  });

  test("a flipped bit arrives as if nothing were wrong", async () => {
    const { net, get } = twoSites("flip");
    net.weather = { loss: 0, duplicate: 0, halfBody: 0, delayMsMax: 0, flip: 1 };
    const got = Buffer.from(await text((await get("/x")).body));
    expect(got).not.toEqual(Buffer.from("0123456789"));
    expect((await get("/x")).status).toBe(200);
  });

  test("who dies while it thinks is heard of at once", async () => {
    const net = new SimNetwork(new Seed("dies"), new SimClock());
    const end = net.serve("http://b", "b", () => never);
    const target = { kind: "url", origin: "http://b" } as const;
    const asked = net.connect("a").request({ target, method: "GET", path: "/", headers: {} });
    setImmediate(end);
    await expect(asked).rejects.toMatchObject({ code: "ECONNRESET" });
  });
});
