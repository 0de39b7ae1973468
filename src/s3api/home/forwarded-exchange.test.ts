import { expect, test } from "vitest";
import type { ForwardedAnswer, ForwardedHead } from "../../core/forwarded-request.ts";
import type { BodySource } from "../../http/exchange.ts";
import { forwardedExchange } from "./forwarded-exchange.ts";
import { StreamedExchange } from "./streamed-exchange.ts";

const HEAD: ForwardedHead = {
  ...{ method: "PUT", target: "/photos/reel", headers: [["if-none-match", "*"]] },
  ...{ remoteAddress: "192.0.2.7", secure: false, principal: { kind: "root" } },
};

/** A source that gives these slices, and then fails when there is no more to give. */
function sourceOf(slices: string[], fails = false): BodySource & { readonly ends: string[] } {
  const ends: string[] = [];
  return {
    ends,
    next: async () => {
      const slice = slices.shift();
      if (slice === undefined && fails) throw new Error("the disk is gone");
      return slice === undefined ? undefined : Buffer.from(slice);
    },
    done: () => void ends.push("done"),
  };
}

test("an answer that streams is gathered; one that breaks is an answer all the same", async () => {
  for (const [fails, expected] of [
    [false, [200, "one two"]],
    [true, [500, ""]],
  ] as const) {
    const small = sourceOf(["one ", "two"], fails);
    const heard = await new Promise<ForwardedAnswer>((resolve) => {
      forwardedExchange({ ...HEAD, body: Buffer.of() }, resolve).stream(200, [], 7, small);
    });
    expect([heard.status, String(heard.body), small.ends]).toEqual([...expected, ["done"]]);
    const large = sourceOf(["one ", "two"], fails);
    const exchange = new StreamedExchange(HEAD);
    exchange.stream(200, [], 7, large);
    const { status, body } = await exchange.end();
    expect([status, String(body), large.ends]).toEqual([...expected, ["done"]]);
  }
});

test("a body waits for who receives it, and rests when that has enough", async () => {
  const exchange = new StreamedExchange(HEAD);
  const heard: string[] = [];
  const sent = exchange.data(Buffer.alloc(700_000, "x"));
  exchange.receive({
    data: (bytes) => {
      heard.push(`${bytes.length}`);
      if (heard.length === 2) exchange.pause();
    },
    end: () => void heard.push("end"),
    abort: () => void heard.push("abort"),
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(heard).toEqual(["262144", "262144"]);
  exchange.resume();
  expect(await sent).toBeUndefined();
  const ended = exchange.end();
  exchange.send(200, [], "stored");
  exchange.send(500, [], "too late");
  expect([(await ended).status, String((await exchange.end()).body)]).toEqual([200, "stored"]);
  expect(heard.slice(2)).toEqual([`${700_000 - 2 * 262_144}`, "end"]);
});

test("what is cut ends for its handler, unless its body was whole", async () => {
  for (const isWhole of [false, true]) {
    const exchange = new StreamedExchange(HEAD);
    const heard: string[] = [];
    exchange.onAbort(() => void heard.push("gone"));
    const sink = { data: () => undefined, end: () => void heard.push("end") };
    exchange.receive({ ...sink, abort: () => void heard.push("abort") });
    const ended = isWhole ? exchange.end() : undefined;
    await new Promise((resolve) => setImmediate(resolve));
    exchange.cut();
    exchange.cut();
    expect(heard).toEqual(isWhole ? ["end", "gone"] : ["abort", "gone"]);
    expect(exchange.closed).toBe(true);
    expect((await ended)?.status).toBe(isWhole ? 503 : undefined);
    expect((await exchange.data(Buffer.from("more")))?.status).toBe(503);
  }
  const early = new StreamedExchange(HEAD);
  early.cut();
  const late: string[] = [];
  const sink = { data: () => undefined, end: () => undefined };
  early.receive({ ...sink, abort: () => void late.push("abort") });
  expect(late).toEqual(["abort"]);
});
