import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import {
  deferred,
  ENGINES,
  echo,
  engineSuite,
  HOST,
  MIB,
  RawClient,
  startEngine,
} from "../../test/support/engine-suite.ts";
import { systemClock } from "../ports/system-clock.ts";
import type { Exchange } from "./exchange.ts";
import { startNodeServer } from "./node-server.ts";
import { startUwsServer } from "./uws-server.ts";

describe.each(ENGINES)("engine %s", (engine) => {
  const { serve, dial } = engineSuite(engine);

  test("answers one request after the other on one connection", async () => {
    const client = await dial(echo);
    for (const target of ["/a?x=1&y=%20", "/b?", "/c"]) {
      client.send(`GET ${target} HTTP/1.1\r\n${HOST}\r\n`);
      expect((await client.response()).body.toString()).toBe(`GET ${target} 0`);
    }
  });

  test("never runs a pipelined request before the one ahead of it is answered", async () => {
    const targets: string[] = [];
    const client = await dial((exchange) => {
      targets.push(exchange.target);
      echo(exchange);
    });
    client.send(
      `GET /1 HTTP/1.1\r\n${HOST}\r\nPUT /2 HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`,
    );
    if (engine === "uws") {
      // Answers leave together; the engine cuts a client that does not wait for its own.
      await client.gone;
      expect(targets).toEqual(["/1"]);
      return;
    }
    expect((await client.response()).body.toString()).toBe("GET /1 0");
    expect((await client.response()).body.toString()).toBe("PUT /2 3");
    expect(targets).toEqual(["/1", "/2"]);
  });

  test("gives headers in order, in lower case, as UTF-8, and joins repeated ones", async () => {
    const seen = deferred<Exchange>();
    const client = await dial((exchange) => {
      seen.resolve(exchange);
      exchange.send(200, []);
    });
    client.send(
      `GET / HTTP/1.1\r\n${HOST}X-One:  a \r\nX-Two: \xc2b\xc3\xa9c\r\nx-one: d\r\n\r\n`.replace(
        "\xc2b",
        "b",
      ),
    );
    await client.response();
    const { headers } = await seen.promise;
    expect(headers.entries).toEqual([
      ["host", "a"],
      ["x-one", "a"],
      ["x-two", "béc"],
      ["x-one", "d"],
    ]);
    expect(headers.get("x-one")).toBe("a,d");
    expect(headers.count("x-one")).toBe(2);
    expect(headers.get("x-three")).toBeUndefined();
  });

  test("knows the address of the client, before and after the answer", async () => {
    const seen: string[] = [];
    const client = await dial((exchange) => {
      if (exchange.target === "/early") seen.push(exchange.remoteAddress);
      exchange.send(200, []);
      seen.push(exchange.remoteAddress);
    });
    for (const target of ["/early", "/late"]) {
      client.send(`GET ${target} HTTP/1.1\r\n${HOST}\r\n`);
      await client.response();
    }
    expect(seen).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
  });

  test("answers HEAD with the length of a body that does not follow", async () => {
    const client = await dial((exchange) => {
      if (exchange.target === "/head") exchange.sendHead(200, [["etag", '"x"']], 12_345_678_901);
      else exchange.send(200, [], "hello");
    });
    client.send(`HEAD /head HTTP/1.1\r\n${HOST}\r\n`);
    const head = await client.response("HEAD");
    expect(head.headers.get("content-length")).toBe("12345678901");
    client.send(`HEAD /send HTTP/1.1\r\n${HOST}\r\n`);
    expect((await client.response("HEAD")).headers.get("content-length")).toBe("5");
    client.send(`GET /send HTTP/1.1\r\n${HOST}\r\n`);
    expect((await client.response()).body.toString()).toBe("hello");
  });

  test.each([204, 304])("sends %i without length and body", async (status) => {
    const client = await dial((exchange) => exchange.send(status, []));
    for (let round = 0; round < 2; round++) {
      client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      const response = await client.response();
      expect(response.status).toBe(status);
      expect(response.headers.has("content-length")).toBe(false);
    }
    expect(client.pending).toBe("");
  });

  test("sends only the viewed part of a larger memory, and the memory may change after", async () => {
    const client = await dial((exchange) => {
      const memory = Buffer.from("0123456789");
      exchange.send(200, [], memory.subarray(2, 5));
      memory.fill("x");
    });
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    expect((await client.response()).body.toString()).toBe("234");
  });

  test("never lets a header value end its line, nor a handler set the framing", async () => {
    const client = await dial((exchange) => {
      const headers = [
        ["x-evil", "a\r\nX-Injected: 1\0é"],
        ["content-length", "99"],
        ["transfer-encoding", "chunked"],
        ["bad name", "x"],
      ] as const;
      exchange.send(200, headers, "ok");
    });
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const { headers, body } = await client.response();
    expect(headers.get("x-evil")).toBe(Buffer.from("a%0D%0AX-Injected: 1%00é").toString("latin1"));
    expect(headers.has("x-injected")).toBe(false);
    expect(headers.has("bad name")).toBe(false);
    expect(headers.has("transfer-encoding")).toBe(false);
    expect(body.toString()).toBe("ok");
  });

  test("takes a chunked body", async () => {
    const client = await dial(echo);
    client.send(`PUT /c HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`);
    client.send("A\r\n0123456789\r\n0\r\n\r\n");
    expect((await client.response()).body.toString()).toBe("PUT /c 13");
    client.send(`GET /next HTTP/1.1\r\n${HOST}\r\n`);
    expect((await client.response()).body.toString()).toBe("GET /next 0");
  });

  test("keeps body bytes that come before receive, in order", async () => {
    const arrived = deferred<Exchange>();
    const client = await dial((exchange) => arrived.resolve(exchange));
    client.send(`PUT /b HTTP/1.1\r\n${HOST}Content-Length: 6\r\n\r\nabc`);
    const exchange = await arrived.promise;
    const parts: string[] = [];
    const ended = deferred();
    await new Promise((resolve) => setImmediate(resolve));
    exchange.receive({
      data: (bytes) => {
        parts.push(Buffer.from(bytes).toString());
      },
      end: ended.resolve,
      abort: () => undefined,
    });
    client.send("def");
    await ended.promise;
    expect(parts.join("")).toBe("abcdef");
    exchange.send(200, []);
    expect((await client.response()).status).toBe(200);
  });

  test("ends at once for a request without a body", async () => {
    const client = await dial((exchange) => {
      let ended = false;
      exchange.receive({
        data: () => undefined,
        end: () => {
          ended = true;
        },
        abort: () => undefined,
      });
      exchange.send(200, [], String(ended));
    });
    client.send(`DELETE / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`);
    expect((await client.response()).body.toString()).toBe("true");
  });

  test.each(["before receive", "by pause"])("holds a client back %s", async (how) => {
    const total = 64 * MIB;
    const arrived = deferred<Exchange>();
    const ended = deferred<number>();
    let bytes = 0;
    const sink = {
      data: (chunk: Uint8Array) => {
        bytes += chunk.length;
      },
      end: () => ended.resolve(bytes),
      abort: () => undefined,
    };
    const client = await dial((exchange) => {
      if (how === "by pause") {
        exchange.receive(sink);
        exchange.pause();
      }
      arrived.resolve(exchange);
    });
    client.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: ${total}\r\n\r\n`);
    const slice = new Uint8Array(MIB);
    let accepted = 0;
    const writer = (async () => {
      for (; accepted < total; accepted += slice.length) {
        if (!client.socket.write(slice)) {
          await new Promise((resolve) => client.socket.once("drain", resolve));
        }
      }
    })();
    const exchange = await arrived.promise;
    // What stays the same over many turns of the loop is held back by the server.
    let before = -1;
    while (before !== accepted) {
      before = accepted;
      await systemClock.sleep(100);
    }
    expect(accepted).toBeLessThan(total / 2);
    expect(bytes).toBeLessThan(2 * MIB);
    if (how === "by pause") exchange.resume();
    else exchange.receive(sink);
    expect(await ended.promise).toBe(total);
    await writer;
    exchange.send(200, []);
    expect((await client.response()).status).toBe(200);
  });

  test("tells the sink and the listeners once when the client goes in mid-body", async () => {
    const events: string[] = [];
    const aborted = deferred();
    let late: Exchange | undefined;
    const client = await dial((exchange) => {
      late = exchange;
      exchange.onAbort(() => events.push("first"));
      exchange.onAbort(() => {
        events.push("second");
        aborted.resolve();
      });
      exchange.receive({
        data: (bytes) => events.push(`data ${bytes.length}`) && client.socket.resetAndDestroy(),
        end: () => events.push("end"),
        abort: () => events.push("abort"),
      });
    });
    client.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\nabc`);
    await aborted.promise;
    expect(events).toEqual(["data 3", "abort", "first", "second"]);
    expect(late?.closed).toBe(true);
    // Everything after the client has gone does nothing, and late listeners still hear of it.
    late?.pause();
    late?.resume();
    late?.send(200, [], "x");
    late?.onAbort(() => events.push("late"));
    expect(events.at(-1)).toBe("late");
  });

  test("does not speak of an abort after a whole response", async () => {
    const events: string[] = [];
    const server = await serve((exchange) => {
      exchange.onAbort(() => events.push("abort"));
      exchange.send(200, [], "whole");
    });
    const client = await RawClient.open(server.port);
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    await client.response();
    client.socket.resetAndDestroy();
    await client.gone;
    const second = await RawClient.open(server.port);
    second.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    await second.response();
    expect(events).toEqual([]);
  });

  test("keeps the connection when a small rest of the body was not read", async () => {
    const client = await dial((exchange) => exchange.send(403, [], "no"));
    client.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\n${"x".repeat(10)}`);
    const first = await client.response();
    expect(first.headers.get("connection")?.toLowerCase()).not.toBe("close");
    client.send(`${"x".repeat(990)}GET / HTTP/1.1\r\n${HOST}\r\n`);
    expect((await client.response()).body.toString()).toBe("no");
  });

  test("reads on after an answer to a body whose end came while the client was to wait", async () => {
    const client = await dial((exchange) => {
      exchange.receive({
        data: () => {
          exchange.pause();
          setImmediate(() => exchange.closed || exchange.send(500, [], exchange.method));
        },
        end: () => undefined,
        abort: () => undefined,
      });
      if (exchange.method === "GET") exchange.send(200, [], "next");
    });
    const chunks = "3\r\nabc\r\n".repeat(2);
    client.send(`PUT / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`);
    const first = await client.response();
    expect(first.body.toString()).toBe("PUT");
    if (engine === "node") {
      // It really waits, so to it the end has not come, and a body may be long that tells no length.
      expect(first.headers.get("connection")?.toLowerCase()).toBe("close");
      return;
    }
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    expect((await client.response()).body.toString()).toBe("next");
  });

  test("keeps the connection when a whole body came with its head and was not read", async () => {
    const client = await dial((exchange) => exchange.send(403, [], "no"));
    client.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`);
    await client.response();
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    expect((await client.response()).body.toString()).toBe("no");
  });

  test("answers early and closes when much of the body was not read", async () => {
    let requests = 0;
    const client = await dial((exchange) => {
      requests++;
      exchange.send(403, [], "no");
    });
    client.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: ${32 * MIB}\r\n\r\n`);
    const response = await client.response();
    expect(response.headers.get("connection")?.toLowerCase()).toBe("close");
    expect(response.body.toString()).toBe("no");
    // The client goes on sending all the same: its bytes are dropped, never taken for a request.
    client.socket.end(Buffer.alloc(32 * MIB, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    await client.gone;
    expect(requests).toBe(1);
  });

  test("Expect: 100-continue is answered, and the body follows", async () => {
    const client = await dial(echo);
    client.send(`PUT /e HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`);
    expect((await client.response()).status).toBe(100);
    client.send("abc");
    expect((await client.response()).body.toString()).toBe("PUT /e 3");
  });

  test("close waits for a request under way, and takes no new ones", async () => {
    const arrived = deferred<Exchange>();
    const server = await startEngine[engine](arrived.resolve);
    const client = await RawClient.open(server.port);
    const idle = await RawClient.open(server.port);
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const exchange = await arrived.promise;
    const closed = server.close(60_000);
    await expect(RawClient.open(server.port)).rejects.toThrow("ECONNREFUSED");
    exchange.send(200, [], "last");
    const response = await client.response();
    expect(response.body.toString()).toBe("last");
    expect(response.headers.get("connection")?.toLowerCase()).toBe("close");
    await closed;
    await Promise.all([client.gone, idle.gone]);
  });

  test("close cuts what is still open at the end of its grace", async () => {
    const aborted = deferred();
    const arrived = deferred();
    const server = await startEngine[engine]((exchange) => {
      exchange.onAbort(aborted.resolve);
      arrived.resolve();
    });
    const client = await RawClient.open(server.port);
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    await arrived.promise;
    await server.close(10);
    await Promise.all([aborted.promise, client.gone]);
  });

  test("a taken port is a fault that says what to do", async () => {
    const { port } = await serve(echo);
    const settings = { host: "127.0.0.1", port, tls: undefined };
    const second =
      engine === "uws"
        ? startUwsServer(echo, settings, { clock: systemClock, setEnvironment: () => undefined })
        : startNodeServer(echo, settings, { clock: systemClock, readFile });
    await expect(second).rejects.toMatchObject({ kind: "unreachable" });
  });
});
