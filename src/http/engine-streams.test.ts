import { describe, expect, test } from "vitest";
import { deferred, ENGINES, engineSuite, HOST, MIB } from "../../test/support/engine-suite.ts";
import { systemClock } from "../ports/system-clock.ts";

/** A source of `count` slices of a MiB, each filled with its number; counts its calls. */
function slices(count: number) {
  const calls = { next: 0, done: 0 };
  const memory = new Uint8Array(MIB);
  const source = {
    next: () => {
      if (calls.next === count) return undefined;
      memory.fill(calls.next++);
      return memory;
    },
    done: () => {
      calls.done++;
    },
  };
  return { calls, source };
}

describe.each(ENGINES)("engine %s", (engine) => {
  const { dial } = engineSuite(engine);

  test("streams more than any buffer holds to a slow reader, one slice at a time", async () => {
    const { calls, source } = slices(64);
    const client = await dial((exchange) => exchange.stream(200, [], 64 * MIB, source));
    client.socket.pause();
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    // The reader sleeps: what stays the same over many turns of the loop is held back.
    let before = -1;
    while (before !== calls.next || calls.next === 0) {
      before = calls.next;
      await systemClock.sleep(100);
    }
    expect(calls.next).toBeLessThan(32);
    client.socket.resume();
    const { body } = await client.response();
    expect(body.length).toBe(64 * MIB);
    for (let index = 0; index < 64; index++) {
      expect(body[index * MIB]).toBe(index);
      expect(body[index * MIB + MIB - 1]).toBe(index);
    }
    expect(calls).toEqual({ next: 64, done: 1 });
  });

  test("streams from promises, skips empty slices, and lives on for the next request", async () => {
    const client = await dial((exchange) => {
      const parts = ["he", "", "llo"];
      exchange.stream(206, [["x-a", "b"]], 5, {
        next: async () => {
          const part = parts.shift();
          return part === undefined ? undefined : Buffer.from(part);
        },
        done: () => undefined,
      });
    });
    for (let round = 0; round < 3; round++) {
      client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      const response = await client.response();
      expect(response.status).toBe(206);
      expect(response.headers.get("x-a")).toBe("b");
      expect(response.body.toString()).toBe("hello");
    }
  });

  test("a stream of nothing, or for HEAD, sends the head and asks for nothing", async () => {
    const { calls, source } = slices(1);
    const client = await dial((exchange) => {
      exchange.stream(200, [], exchange.method === "HEAD" ? MIB : 0, source);
    });
    client.send(`HEAD / HTTP/1.1\r\n${HOST}\r\n`);
    expect((await client.response("HEAD")).headers.get("content-length")).toBe(String(MIB));
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    expect((await client.response()).headers.get("content-length")).toBe("0");
    expect(calls).toEqual({ next: 0, done: 2 });
  });

  test.each([
    ["fails at once", 3 * MIB, 0],
    ["fails in the middle", 3 * MIB, 2],
    ["rejects in the middle", 3 * MIB, 2],
    ["ends too early", 3 * MIB, 2],
    ["gives too much", 2 * MIB + 1, 3],
  ])("cuts the connection when a source %s", async (how, contentLength, count) => {
    const { calls, source } = slices(count);
    const ended = deferred();
    const client = await dial((exchange) => {
      exchange.stream(200, [], contentLength, {
        next: () => {
          const slice = source.next();
          if (slice !== undefined || how === "ends too early") return slice;
          if (how === "rejects in the middle") return Promise.reject(new Error("bad disk"));
          throw new Error("bad disk");
        },
        done: () => {
          source.done();
          ended.resolve();
        },
      });
    });
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    await client.gone;
    await ended.promise;
    const head = client.pending.indexOf("\r\n\r\n") + 4;
    expect(client.pending.length - head).toBeLessThan(contentLength);
    expect(calls.done).toBe(1);
  });

  test("a source is done once, and only after its last read, when the client goes", async () => {
    const events: string[] = [];
    const reading = deferred<Uint8Array | undefined>();
    const aborted = deferred();
    const ended = deferred();
    const client = await dial((exchange) => {
      exchange.onAbort(() => {
        events.push("abort");
        aborted.resolve();
      });
      exchange.stream(200, [], 2 * MIB, {
        next: () => reading.promise,
        done: () => {
          events.push("done");
          ended.resolve();
        },
      });
      client.socket.resetAndDestroy();
    });
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    await aborted.promise;
    expect(events).toEqual(["abort"]);
    reading.resolve(new Uint8Array(MIB));
    await ended.promise;
    expect(events).toEqual(["abort", "done"]);
  });

  test("a source is done when the client goes while the stream waits for it", async () => {
    let asked = 0;
    let hasGone = false;
    const ended = deferred();
    const client = await dial((exchange) => {
      exchange.onAbort(() => {
        hasGone = true;
      });
      exchange.stream(200, [], 64 * MIB, {
        next: async () => {
          asked += 1;
          return new Uint8Array(MIB);
        },
        done: () => ended.resolve(),
      });
    });
    client.socket.pause();
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    // What stays the same over many turns of the loop waits for the client.
    let before = -1;
    while (before !== asked || asked === 0) {
      before = asked;
      await systemClock.sleep(100);
    }
    client.socket.resetAndDestroy();
    await ended.promise;
    expect(asked).toBeLessThan(32);
    expect(hasGone).toBe(true);
  });
});
