import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hlcFromMs } from "../core/hlc.ts";
import { parseBucketName, parseObjectKey, parseVersionId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import type { ConflictOutcome, ConflictWish } from "../storage/conflict-wishes.ts";
import type { Store, StoredObject } from "../storage/store.ts";
import { CONFLICTS_PATH, routeConflicts } from "./admin-conflicts.ts";

const VERSION = `${"0193fb2ac4d80000"}${"a1b2c3d4e5f60718"}`;

function objectOf(size: number): StoredObject {
  return {
    bucket: required(parseBucketName("photos"), "bucket"),
    key: required(parseObjectKey("cat\u001b.jpg"), "key"),
    version: required(parseVersionId(VERSION), "version"),
    ...{ isNull: false, hlc: hlcFromMs(1), place: { segment: 1, offset: 0 } },
    record: {
      ...{ size, etag: `${size}`.repeat(32), lastModifiedMs: 1_700_000_000_000 + size },
      attributes: { system: [], user: [], storageClass: undefined, tags: [] },
      ...{ checksums: [], parts: [], encryption: undefined },
      body: { kind: "inline", bytes: size },
    },
  };
}

type Asked = { bucket: unknown; after: unknown; wish?: ConflictWish };

function desk(outcome: ConflictOutcome = { outcome: "resolved", count: 2 }, current = true) {
  const asked: Asked[] = [];
  const store = {
    object: () => (current ? objectOf(7) : undefined),
    conflicts: {
      list: (bucket: unknown, after: unknown) => {
        asked.push({ bucket, after });
        return { conflicts: [objectOf(3)], next: "photos\0cat\0ff" };
      },
      find: (_bucket: string, _key: string, version: string) =>
        version === VERSION ? objectOf(3) : undefined,
      resolve: async (_name: unknown, wish: ConflictWish) => {
        asked.push({ bucket: undefined, after: undefined, wish });
        return outcome;
      },
    },
  } as unknown as Store;
  const call = (path: string, body?: unknown, method = "POST") =>
    routeConflicts(store, { method, path: `${CONFLICTS_PATH}${path}`, body });
  return { asked, call };
}

describe("conflicts for operators", () => {
  test("are listed as the golden file has it, and go on where the page before ended", async () => {
    const { asked, call } = desk();
    const page = await call("/list", { bucket: "photos" });
    const golden = new URL("../../test/golden/control/conflicts.json", import.meta.url);
    const kept: unknown = JSON.parse(readFileSync(golden, "utf8"));
    expect(page).toEqual({ status: 200, body: kept });
    await call("/list", { after: page.body["next"] });
    expect(asked[1]).toEqual({ bucket: undefined, after: "photos\0cat\0ff" });
  });

  test("are shown beside what stands in their place, or that it was deleted", async () => {
    const name = { bucket: "photos", key: "cat", version: VERSION };
    expect((await desk().call("/show", name)).body).toMatchObject({ current: { size: 7 } });
    const gone = await desk(undefined, false).call("/show", name);
    expect(gone.body).toMatchObject({ size: 3, current: "deleted" });
  });

  test.each([
    ["keep", undefined, "discard"],
    ["discard", VERSION, "discard"],
    ["restore", VERSION, "restore"],
  ])("are settled by %s", async (wish, version, done) => {
    const { asked, call } = desk();
    const answer = await call("/settle", { bucket: "photos", key: "cat", version, wish });
    expect(answer).toEqual({ status: 200, body: { settled: 2 } });
    expect(asked).toEqual([{ bucket: undefined, after: undefined, wish: done }]);
  });

  test.each([
    ["no-such-conflict", 404, "no such conflict"],
    ["no-such-bucket", 404, "make it again"],
    ["locked", 409, "A lock"],
  ] as const)("are refused when the store says %s", async (outcome, status, why) => {
    const { call } = desk({ outcome });
    const body = { bucket: "photos", key: "cat", version: VERSION, wish: "restore" };
    const answer = await call("/settle", body);
    expect([answer.status, JSON.stringify(answer.body)]).toEqual([
      status,
      expect.stringContaining(why),
    ]);
  });

  test.each([
    ["/list", { limit: 0 }, 400],
    ["/list", { bucket: "../x" }, 400],
    ["/list", { colour: "red" }, 400],
    ["/show", undefined, 400],
    ["/show", { bucket: "photos", key: "cat", version: "x" }, 404],
    ["/show", { bucket: "photos", key: "cat", version: "0".repeat(32) }, 404],
    ["/settle", { bucket: "photos", key: "cat", wish: "restore" }, 400],
    ["/settle", { bucket: "photos", key: "cat", wish: "burn" }, 400],
    ["/settle", { bucket: "photos", key: "", wish: "keep" }, 404],
    ["/other", {}, 405],
  ])("refuse %s %j with %s and change nothing", async (path, body, status) => {
    const { asked, call } = desk();
    expect((await call(path, body)).status).toBe(status);
    expect(asked.filter(({ wish }) => wish !== undefined)).toEqual([]);
  });
});
