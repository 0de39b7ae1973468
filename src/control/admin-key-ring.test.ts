import { expect, test } from "vitest";
import { hlcFromMs } from "../core/hlc.ts";
import { makeVersionId, parseOriginId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import { cryptoRandom } from "../ports/crypto-random.ts";
import type { Store } from "../storage/store.ts";
import { KEY_RING_PATH, type KeyRingSite, routeKeyRing } from "./admin-key-ring.ts";

function siteWith(keys: Record<string, Uint8Array>) {
  const held = new Map(Object.entries(keys));
  const keyRing = {
    current: "1",
    keys: held,
    rotate: async () => {
      keyRing.current = String(held.size + 1);
      held.set(keyRing.current, Buffer.alloc(32, held.size + 1));
      return keyRing.current;
    },
  };
  const asked: Array<string | undefined> = [];
  const conflictsAfter: Array<string | undefined> = [];
  const store = {
    accessKeys: () => [],
    bucket: () => undefined,
    buckets: (after?: string) => {
      asked.push(after);
      return [];
    },
    conflicts: {
      list: (_bucket: unknown, after: string | undefined) => {
        conflictsAfter.push(after?.split("\0").slice(0, 2).join("/"));
        return { conflicts: [], next: undefined };
      },
    },
  } as unknown as Store;
  const site: KeyRingSite = { store, dataDir: { keyRing } };
  const ask = async (method: string, path = "", body?: unknown) =>
    routeKeyRing({ random: cryptoRandom }, site, { method, path: KEY_RING_PATH + path, body });
  return { ask, asked, conflictsAfter };
}

const SECRET = Buffer.alloc(32, 0xab);

test("the ring is listed and rotated without telling a key", async () => {
  const { ask } = siteWith({ "1": SECRET });
  expect(await ask("GET")).toEqual({
    status: 200,
    body: { current: "1", keys: [{ id: "1", current: true }] },
  });
  const rotated = await ask("POST", "/rotate");
  expect(rotated.body).toEqual({
    current: "2",
    keys: [
      { id: "1", current: false },
      { id: "2", current: true },
    ],
  });
  expect(JSON.stringify(rotated)).not.toContain(SECRET.toString("hex"));
});

test("a walk goes on behind the place it is given", async () => {
  const { ask, asked } = siteWith({ "1": SECRET });
  const end = { access_keys: 0, seen: 0, rewrapped: 0, unreadable: 0 };
  expect(await ask("POST", "/rewrap")).toEqual({ status: 200, body: end });
  const after = { bucket: "photos", key: "cat", version: "null" };
  expect(await ask("POST", "/rewrap", { after, versions: 5 })).toEqual({ status: 200, body: end });
  expect(asked).toEqual([undefined, "photos"]);
});

test("a walk that has come to the conflicts goes on among them", async () => {
  const { ask, asked, conflictsAfter } = siteWith({ "1": SECRET });
  const version = makeVersionId(hlcFromMs(1), required(parseOriginId("b".repeat(16)), "origin"));
  const after = { bucket: "photos", key: "cat", version, conflict: true };
  expect((await ask("POST", "/rewrap", { after })).status).toBe(200);
  expect([asked, conflictsAfter]).toEqual([[], ["photos/cat"]]);
});

test.each([
  [{ after: "photos" }],
  [{ after: { bucket: "photos", key: "cat", version: "null", conflict: false } }],
  [{ after: { bucket: "..", key: "cat", version: "null" } }],
  [{ after: { bucket: "photos", key: "", version: "null" } }],
  [{ after: { bucket: "photos", key: "cat", version: "7" } }],
  [{ versions: 0 }],
  [{ versions: 1001 }],
  [{ other: 1 }],
])("%j is no walk", async (body) => {
  const { ask, asked } = siteWith({ "1": SECRET });
  expect((await ask("POST", "/rewrap", body)).status).toBe(400);
  expect(asked).toEqual([]);
});

test("nothing else can be asked of the ring", async () => {
  const { ask } = siteWith({ "1": SECRET });
  expect((await ask("DELETE")).status).toBe(405);
  expect((await ask("GET", "/rotate")).status).toBe(405);
  expect((await ask("POST", "/export")).status).toBe(405);
});
