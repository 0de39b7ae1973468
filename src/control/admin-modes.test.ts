import { beforeEach, expect, test } from "vitest";
import { REPLICATE_SETTING } from "../core/metadata-first.ts";
import { parseBucketName } from "../core/names.ts";
import { MODES_PATH, type ModesDesk, routeModes } from "./admin-modes.ts";

const MEDIA = parseBucketName("media");
let settings: Map<string, Uint8Array>;

beforeEach(() => {
  settings = new Map();
});

function ask(method: string, path: string, body?: unknown) {
  if (MEDIA === undefined) throw new Error("the test's own data is wrong");
  const bucket = { name: MEDIA, createdMs: 0, owner: "", settings };
  const store = {
    bucket: (name: string) => (name === MEDIA ? bucket : undefined),
    buckets: () => [bucket],
    remote: { sum: () => ({ manifests: 2, bytes: 9_000_000 }) },
    putBucketSetting: async ({ name, value }: { name: string; value: Uint8Array | undefined }) => {
      if (value === undefined) settings.delete(name);
      else settings.set(name, value);
      return { outcome: "stored" };
    },
  };
  const desk = { store } as unknown as ModesDesk;
  return routeModes(desk, { method, path: `${MODES_PATH}${path}`, body });
}

test("a mode is set, shown, listed with what is missing here, and taken back", async () => {
  const missing = { remote_bodies: 2, remote_bytes: 9_000_000 };
  expect((await ask("GET", "/media")).body).toEqual({ bucket: "media", mode: "bytes-first" });
  expect((await ask("GET", "")).body).toEqual({ buckets: [], ...missing });
  const first = { bucket: "media", mode: "metadata-first" };
  const set = await ask("PUT", "/media", { mode: "metadata-first" });
  expect(set).toEqual({ status: 200, body: first });
  expect(String(settings.get(REPLICATE_SETTING))).toBe("metadata-first");
  expect((await ask("GET", "/media")).body).toEqual(first);
  expect((await ask("GET", "")).body).toEqual({ buckets: [first], ...missing });
  await ask("PUT", "/media", { mode: "bytes-first" });
  expect(settings.size).toBe(0);
});

test.each([
  ["PUT", "/media", { mode: "lazy" }, 400],
  ["PUT", "/media", { mode: "metadata-first", now: true }, 400],
  ["PUT", "/media", undefined, 400],
  ["PUT", "/elsewhere", { mode: "bytes-first" }, 404],
  ["GET", "/Not A Bucket", undefined, 404],
  ["DELETE", "/media", undefined, 405],
  ["POST", "", undefined, 405],
])("%s of %s with %j is answered with a problem", async (method, path, body, status) => {
  expect((await ask(method, path, body)).status).toBe(status);
  expect(settings.size).toBe(0);
});
