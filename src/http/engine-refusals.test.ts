import { describe, expect, test } from "vitest";
import {
  deferred,
  ENGINES,
  echo,
  engineSuite,
  HOST,
  MIB,
  RawClient,
} from "../../test/support/engine-suite.ts";

describe.each(ENGINES)("engine %s", (engine) => {
  const { serve, dial } = engineSuite(engine);

  const SMUGGLED = `GET /smuggled HTTP/1.1\r\n${HOST}\r\n`;
  const many = (count: number) => "X: a\r\n".repeat(count);

  test.each([
    ["two differing Content-Lengths", `${HOST}Content-Length: 0\r\nContent-Length: 5\r\n`, 400],
    ["two equal Content-Lengths", `${HOST}Content-Length: 0\r\nContent-Length: 0\r\n`, 400],
    ["a list as Content-Length", `${HOST}Content-Length: 0, 0\r\n`, 400],
    ["a signed Content-Length", `${HOST}Content-Length: +0\r\n`, 400],
    ["a negative Content-Length", `${HOST}Content-Length: -1\r\n`, 400],
    ["a hexadecimal Content-Length", `${HOST}Content-Length: 0x5\r\n`, 400],
    ["an empty Content-Length", `${HOST}Content-Length:\r\n`, 400],
    ["a huge Content-Length", `${HOST}Content-Length: 99999999999999999999\r\n`, 400],
    [
      "Content-Length and chunked",
      `${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`,
      400,
    ],
    [
      "chunked and Content-Length",
      `${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n`,
      400,
    ],
    ["two codings", `${HOST}Transfer-Encoding: gzip, chunked\r\n`, 400],
    ["an unknown coding", `${HOST}Transfer-Encoding: xchunked\r\n`, 400],
    ["identity", `${HOST}Transfer-Encoding: identity\r\n`, 400],
    ["a coding in capitals", `${HOST}Transfer-Encoding: Chunked\r\n`, 400],
    [
      "two coding lines",
      `${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`,
      400,
    ],
    ["a space before the colon", `${HOST}Transfer-Encoding : chunked\r\n`, 400],
    ["a folded header", `${HOST}X: a\r\n b\r\n`, 400],
    ["a bare LF in a value", `${HOST}X: a\nY: b\r\n`, 400],
    ["a NUL in a value", `${HOST}X: a\0b\r\n`, 400],
    ["a control character in a value", `${HOST}X: a\x01b\r\n`, 400],
    ["bytes that are not UTF-8", `${HOST}X: a\xffb\r\n`, 400],
    ["a parenthesis in a name", `${HOST}X(: b\r\n`, 400],
    ["no Host", "X: a\r\n", 400],
    ["an empty Host", "Host:\r\n", 400],
    ["two Hosts", `${HOST}Host: b\r\n`, 400],
    ["two Authorizations", `${HOST}Authorization: a\r\nAuthorization: b\r\n`, 400],
    ["two dates", `${HOST}x-amz-date: a\r\nX-Amz-Date: a\r\n`, 400],
    ["two digests", `${HOST}x-amz-content-sha256: a\r\nx-amz-content-sha256: a\r\n`, 400],
    ["more than 100 headers", `${HOST}${many(100)}`, 431],
    ["a header block too large", `${HOST}X: ${"a".repeat(33_000)}\r\n`, 431],
  ])(
    "[S67] [N3] refuses %s, and what follows is never a request",
    async (_name, headers, status) => {
      const handled: string[] = [];
      const server = await serve((exchange) => {
        handled.push(exchange.target);
        echo(exchange);
      });
      // Alone it is answered; with a second request behind it, the connection may go without a word.
      const alone = await RawClient.open(server.port);
      alone.send(`PUT /refused HTTP/1.1\r\n${headers}\r\n`);
      expect((await alone.response()).status).toBe(status);
      await alone.gone;
      const smuggler = await RawClient.open(server.port);
      smuggler.send(`PUT /refused HTTP/1.1\r\n${headers}\r\n${SMUGGLED}${SMUGGLED}`);
      await smuggler.gone;
      const split = await RawClient.open(server.port);
      split.send(`PUT /refused HTTP/1.1\r\n${headers}\r\n`);
      setImmediate(() => split.send(`12345${SMUGGLED}0\r\n\r\n${SMUGGLED}`));
      await split.gone;
      expect(handled).toEqual([]);
    },
  );

  test.each([
    ["HTTP/1.0", `GET / HTTP/1.0\r\n${HOST}\r\n`],
    ["a TLS greeting", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
    ["words", "hello, is this thing on?\r\n\r\n"],
    ["bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n"],
    ["a space in the target", `GET /a b HTTP/1.1\r\n${HOST}\r\n`],
    ["an absolute target", `GET http://a/b HTTP/1.1\r\n${HOST}\r\n`],
    ["OPTIONS *", `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`],
    ["TRACE", `TRACE / HTTP/1.1\r\n${HOST}\r\n`],
    ["CONNECT", `CONNECT a:1 HTTP/1.1\r\n${HOST}\r\n`],
    ["a method in small letters", `get / HTTP/1.1\r\n${HOST}\r\n`],
    ["an unknown method", `PROPFIND / HTTP/1.1\r\n${HOST}\r\n`],
  ])("closes on %s without asking the handler", async (_name, bytes) => {
    const handled: string[] = [];
    const client = await dial((exchange) => {
      handled.push(exchange.target);
      echo(exchange);
    });
    client.send(`${bytes}${SMUGGLED}`);
    await client.gone;
    expect(handled).toEqual([]);
    expect(client.pending).not.toContain("HTTP/1.1 200");
  });

  test.each([
    ["no hexadecimal size", "zz\r\nabc\r\n"],
    ["a size beyond counting", "fffffffffffffffff\r\nabc"],
    ["a negative size", "-1\r\nabc\r\n"],
  ])("cuts a chunked body with %s, and its sink is told", async (_name, body) => {
    const events: string[] = [];
    const aborted = deferred();
    const client = await dial((exchange) => {
      exchange.receive({
        data: () => events.push("data"),
        end: () => events.push("end"),
        abort: () => {
          events.push("abort");
          aborted.resolve();
        },
      });
    });
    client.send(`PUT / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${body}${SMUGGLED}`);
    await client.gone;
    await aborted.promise;
    expect(events).toEqual(["abort"]);
  });

  test("who wants to close and is refused early hears so behind its body", async () => {
    const server = await serve((exchange) => exchange.send(403, [], new Uint8Array([110, 111])));
    for (const bytes of [64 * 1024, 8 * MIB, 32 * MIB]) {
      const client = await RawClient.open(server.port);
      client.socket.pause();
      client.send(`PUT / HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: ${bytes}\r\n\r\n`);
      await new Promise<void>((resolve) => {
        client.socket.write(Buffer.alloc(bytes), () => resolve());
      });
      client.socket.resume();
      const response = await client.response();
      expect([response.status, response.body.toString()]).toEqual([403, "no"]);
      await client.gone;
    }
  });

  test("who wants to close and never sends the rest hears so after a while", async () => {
    const client = await dial((exchange) => exchange.send(403, [], "no"));
    client.send(`PUT / HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: 90000\r\n\r\n`);
    expect((await client.response()).status).toBe(403);
    await client.gone;
  }, 60_000);

  test("takes headers up to the limits", async () => {
    const client = await dial(echo);
    client.send(`GET /count HTTP/1.1\r\n${HOST}${many(90)}\r\n`);
    expect((await client.response()).status).toBe(200);
    client.send(`GET /size HTTP/1.1\r\n${HOST}X: ${"a".repeat(30_000)}\r\n\r\n`);
    expect((await client.response()).status).toBe(200);
  });
});
