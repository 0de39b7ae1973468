import { describe, expect, test } from "vitest";
import { deferred, ENGINES, engineSuite, HOST, MIB } from "../../test/support/engine-suite.ts";
import { systemClock } from "../ports/system-clock.ts";
import type { Exchange } from "./exchange.ts";
import { HTTP_LIMITS } from "./http-limits.ts";

/** Chunks of one byte each. */
const CRUMB = "1\r\nx\r\n";
const CRUMBS = Buffer.from(CRUMB.repeat(Math.ceil(MIB / CRUMB.length)));

describe.each(ENGINES)("engine %s", (engine) => {
  const { dial } = engineSuite(engine);

  test("keeps a body that is cut up finely in one piece until somebody receives it", async () => {
    const arrived = deferred<Exchange>();
    const client = await dial((exchange) => arrived.resolve(exchange));
    client.send(`PUT / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
    let accepted = 0;
    const send = (): void => {
      accepted += 1;
      if (client.socket.write(CRUMBS)) setImmediate(send);
      else client.socket.once("drain", send);
    };
    send();
    const exchange = await arrived.promise;
    // What stays the same over many turns of the loop is held back by the server.
    let before = -1;
    while (before !== accepted) {
      before = accepted;
      await systemClock.sleep(200);
    }
    const first = deferred<number>();
    exchange.receive({
      data: (bytes) => {
        first.resolve(bytes.length);
        exchange.pause();
      },
      end: () => undefined,
      abort: () => first.resolve(0),
    });
    expect(await first.promise).toBeGreaterThan(HTTP_LIMITS.waitingBytesMax);
    client.socket.destroy();
  });
});
