import { expect, test } from "vitest";
import { parseOriginId, parseSiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import { required } from "../core/tagged-fields.ts";
import { type BootstrapFacts, type RowsDesk, routeBootstrap, routeVerify } from "./admin-rows.ts";

function peerOf(digit: string, name: string): MemberSite {
  return {
    ...{ id: required(parseSiteId(digit.repeat(16)), "site"), name, publicKey: "c4".repeat(32) },
    ...{ addresses: [], certificates: [], insecure: false, state: "active", featureLevel: 1 },
    ...{ origins: [required(parseOriginId("1".repeat(16)), "origin")], removedOrigins: [] },
  };
}

const PARIS = peerOf("a", "paris");
const TWINS = [peerOf("b", "rome"), peerOf("c", "rome")];
const FACTS: BootstrapFacts = {
  ...{ site: PARIS.id, state: "running", rows: 40, rowsTotal: 100, bytes: 123_456 },
  ...{ removed: 2, skipped: 0, elapsedMs: 4100, leftMs: 6150, failure: undefined },
};
const VERSION = "f".repeat(16) + "e".repeat(16);

function deskWith(changes: Partial<RowsDesk> = {}): { desk: RowsDesk; asked: unknown[] } {
  const asked: unknown[] = [];
  const desk: RowsDesk = {
    peers: () => [PARIS, ...TWINS],
    isRemoved: () => false,
    bootstrap: (peer) => asked.push(["bootstrap", peer.id]) > 0,
    progress: () => FACTS,
    owed: () => [],
    exportTo: async (directory) => {
      asked.push(["export", directory]);
      return { rows: 3, bytes: 400, skipped: 0 };
    },
    importFrom: async (directory) => {
      asked.push(["import", directory]);
      return { ...FACTS, state: "done", leftMs: 0 };
    },
    verify: async (peer, wish) => {
      asked.push([peer.id, wish]);
      const kinds = { kind: "missing-here", repaired: true };
      return {
        rows: 7,
        next: undefined,
        differences: [
          { position: `Dphotos\0ä/cat.jpg\0${VERSION}v`, ...kinds },
          { position: "Dphotos\0a\0nullmtags:0", ...kinds },
          { position: "Cphotos\0set:policy", ...kinds },
          { position: "AAKIA1", kind: "differs", repaired: false },
        ],
      };
    },
    ...changes,
  };
  return { desk, asked };
}

const POST = { method: "POST", path: "" };

test("the administration of rows answers as the golden file has it", async () => {
  const { desk } = deskWith();
  const answers = {
    begin: await routeBootstrap(desk, { ...POST, body: { peer: "paris" } }),
    progress: await routeBootstrap(desk, { method: "GET", path: "", body: undefined }),
    export: await routeBootstrap(desk, { ...POST, body: { export: "/media/box" } }),
    import: await routeBootstrap(desk, { ...POST, body: { import: "/media/box" } }),
    verify: await routeVerify(desk, { ...POST, body: { peer: "paris" } }),
  };
  const text = `${JSON.stringify(answers, undefined, 2)}\n`;
  await expect(text).toMatchFileSnapshot("../../test/golden/control/rows.json");
});

test("rows that were left out are named, a hundred at most, also when no bootstrap was done", async () => {
  const version = "f".repeat(31);
  const owed = Array.from({ length: 101 }, (_, at) => `Dphotos\0${at}.jpg\0${version}0v`);
  for (const progress of [() => FACTS, () => undefined]) {
    const { desk } = deskWith({ progress, owed: () => owed });
    const answer = await routeBootstrap(desk, { method: "GET", path: "", body: undefined });
    expect(answer.body).toMatchObject({ left_out: 101 });
    const named = answer.body["left_out_rows"] as unknown[];
    expect(named).toHaveLength(100);
    const detail = `${"0".repeat(31)}f`;
    expect(named[7]).toEqual({ what: "object", bucket: "photos", key: "7.jpg", detail });
  }
});

test("a comparison goes through a bucket's settings first, then through its objects", async () => {
  const { desk, asked } = deskWith();
  const body = { peer: PARIS.id, bucket: "photos", repair: true };
  const first = await routeVerify(desk, { ...POST, body });
  expect(first.body).toMatchObject({ next: "Dphotos\0" });
  const second = await routeVerify(desk, { ...POST, body: { ...body, from: "Dphotos\0" } });
  expect(second.body).toMatchObject({ next: undefined });
  const wish = { repair: true, deep: false };
  expect(asked).toEqual([
    [PARIS.id, { ...wish, range: { from: "Cphotos\0", to: "Cphotos\u0001" } }],
    [PARIS.id, { ...wish, range: { from: "Dphotos\0", to: "Dphotos\u0001" } }],
  ]);
});

test.each([
  ["another method", "DELETE", { peer: "paris" }, 405],
  ["no peer", "POST", {}, 400],
  ["something unknown", "POST", { peer: "paris", more: 1 }, 400],
  ["a peer that is none", "POST", { peer: "oslo" }, 404],
  ["a name that two peers have", "POST", { peer: "rome" }, 409],
])("nothing is done for %s", async (_what, method, body, status) => {
  const { desk, asked } = deskWith();
  expect((await routeBootstrap(desk, { method, path: "", body })).status).toBe(status);
  expect((await routeVerify(desk, { method, path: "", body })).status).toBe(status);
  expect(asked).toEqual([]);
});

test("directories are named in full, and one thing is done at a time", async () => {
  const busy = deskWith({ bootstrap: () => false, importFrom: async () => undefined });
  const ask = (body: unknown) => routeBootstrap(busy.desk, { ...POST, body });
  expect((await ask({ export: "box" })).status).toBe(400);
  expect((await ask({ export: "/a", import: "/a" })).status).toBe(400);
  expect((await ask({ import: "/a" })).status).toBe(409);
  expect((await ask({ peer: "paris" })).status).toBe(409);
  const removed = deskWith({ isRemoved: () => true });
  expect(await routeBootstrap(removed.desk, { ...POST, body: { peer: "paris" } })).toMatchObject({
    ...{ status: 409, body: { error: { message: expect.stringContaining("join again") } } },
  });
  expect(removed.asked).toEqual([]);
  const none = deskWith({ progress: () => undefined });
  const shown = await routeBootstrap(none.desk, { method: "GET", path: "", body: undefined });
  expect(shown).toEqual({ status: 200, body: { state: "none" } });
  const bucket = { peer: "paris", bucket: "No Bucket" };
  expect((await routeVerify(none.desk, { ...POST, body: bucket })).status).toBe(400);
});
