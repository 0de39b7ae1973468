import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import type { Log } from "../../src/ports/log.ts";
import { createPinoLog } from "../../src/ports/pino-log.ts";
import { createMemoryLog } from "../sim/memory-log.ts";

type Fixture = { readonly log: Log; readonly text: () => Promise<string> };

function pinoLog(pretty: boolean): Fixture {
  const destination = new PassThrough();
  const log = createPinoLog({ level: "debug", pretty, destination });
  return {
    log,
    text: async () => {
      await log.flush();
      return String(destination.read() ?? "");
    },
  };
}

function memoryLog(): Fixture {
  const log = createMemoryLog();
  return { log, text: async () => log.lines.map((line) => JSON.stringify(line)).join("\n") };
}

describe.each([
  ["the pino log", () => pinoLog(false)],
  ["the pino log for people", () => pinoLog(true)],
  ["the memory log", memoryLog],
])("%s", (_name, open) => {
  test("has handed over every line once flush has resolved", async () => {
    const { log, text } = open();
    log.debug({}, "one");
    log.info({ count: 2 }, "two");
    log.warn({}, "three");
    log.error({}, "four");
    const written = await text();
    const positions = ["one", "two", "three", "four"].map((word) => written.indexOf(word));
    expect(Math.min(...positions)).toBeGreaterThanOrEqual(0);
    expect(positions).toEqual(positions.toSorted((left, right) => left - right));
  });

  test("writes a line whose JSON is given, and cuts signatures in it too", async () => {
    const { log, text } = open();
    log.infoLine('"key":"a?X-Amz-Signature=hush","status":200', "request");
    const written = await text();
    expect(written).toContain("request");
    expect(written).toContain("200");
    expect(written).not.toContain("hush");
  });

  test("adds a child's fields to its lines only", async () => {
    const { log, text } = open();
    log.child({ site: "north" }).info({}, "from the child");
    log.info({}, "from the parent");
    const [child, parent] = (await text()).trim().split("\n");
    expect(child).toContain("north");
    expect(parent).not.toContain("north");
  });

  test("never shows a secret, wherever it is put", async () => {
    const { log, text } = open();
    const failure = Object.assign(new Error("refused"), { secretKey: "hush" });
    log.child({ token: "hush" }).warn({ authorization: "hush", deep: { signature: "hush" } }, "m");
    log.error({ failure, path: "/b/k?X-Amz-Signature=hush&a=b" }, "failed");
    expect(await text()).not.toContain("hush");
  });

  test("takes any field: errors, big integers, bytes, undefined", async () => {
    const { log, text } = open();
    const cause = new Error("the disk is gone");
    log.error(
      {
        failure: new Error("not stored", { cause }),
        hlc: 12n,
        bytes: Buffer.alloc(9),
        none: undefined,
      },
      "odd fields",
    );
    const written = await text();
    for (const part of ["not stored", "12", "[9 bytes]", "odd fields"]) {
      expect(written).toContain(part);
    }
  });
});

test.each([true, false])(
  "nothing follows the last line of a log that ended (%s)",
  async (pretty) => {
    const destination = new PassThrough();
    const log = createPinoLog({ level: "debug", pretty, destination });
    const child = log.child({ of: "it" });
    log.error({}, "the last word");
    await log.end();
    log.info({}, "late");
    log.infoLine('"status":200', "later");
    child.warn({}, "latest");
    await log.end();
    const lines = String(destination.read()).trim().split("\n");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("the last word");
  },
);
