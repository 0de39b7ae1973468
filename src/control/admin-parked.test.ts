import { expect, test } from "vitest";
import { parseBucketName, parseObjectKey } from "../core/names.ts";
import { PARKED_PATH, type ParkedDesk, routeParked } from "./admin-parked.ts";

const asked: number[] = [];

const desk: ParkedDesk = {
  async list(max) {
    asked.push(max);
    const bucket = parseBucketName("photos");
    const key = parseObjectKey("a\n\u001b[31m");
    if (bucket === undefined || key === undefined) throw new Error("the test's data is wrong");
    const write = { bucket, key, version: undefined, bytes: 7, writtenMs: 0, reason: "none" };
    return { writes: [write], operations: 3 };
  },
  giveUp: async () => ({ ended: 2, kept: 1, reasons: ["oslo is not asked now"] }),
};

function ask(method: string, path: string, body?: unknown) {
  return routeParked(desk, { method, path: `${PARKED_PATH}${path}`, body });
}

test("parked writes are listed by what clients call them, and counted", async () => {
  const written = "1970-01-01T00:00:00.000Z";
  const write = { bucket: "photos", key: "a\n\u001b[31m", version: "null", bytes: 7 };
  expect(await ask("POST", "/list", { limit: 5 })).toEqual({
    status: 200,
    body: { operations: 3, writes: [{ ...write, written, reason: "none" }] },
  });
  await ask("POST", "/list");
  expect(asked).toEqual([5, 100]);
});

test("giving up tells how many ended, and why others did not", async () => {
  const body = { ended: 2, kept: 1, reasons: ["oslo is not asked now"] };
  expect(await ask("POST", "/give-up")).toEqual({ status: 200, body });
});

test.each([
  ["GET", "/list", undefined, 405],
  ["GET", "", undefined, 405],
  ["POST", "/elsewhere", undefined, 405],
  ["POST", "/list", { limit: 0 }, 400],
  ["POST", "/list", { limit: 1001 }, 400],
  ["POST", "/list", { limits: 1 }, 400],
])("%s %s with %j is refused", async (method, path, body, status) => {
  expect((await ask(method, path, body)).status).toBe(status);
});
