import { beforeEach, expect, test } from "vitest";
import { HOME_SETTING } from "../core/home-site.ts";
import { parseBucketName, parseOriginId, parseSeq, parseSiteId } from "../core/names.ts";
import type { BucketSettings } from "../core/records.ts";
import type { MemberSite } from "../core/site-record.ts";
import { HOMES_PATH, type HomesDesk, routeHomes } from "./admin-homes.ts";

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own data is wrong");
  return value;
}

const PHOTOS = must(parseBucketName("photos"));
const BERLIN = must(parseSiteId("1".repeat(16)));
const PARIS = must(parseSiteId("2".repeat(16)));
const ORIGIN = must(parseOriginId("ab".repeat(8)));
const SEQ = must(parseSeq(7));
const member = (id: string, name: string, state = "active") => ({ id, name, state });

let settings: Map<string, Uint8Array>;
let sites: Array<ReturnType<typeof member>>;
let handed: string[];
/** What comes from another site while what is under way ends. */
let meanwhile: () => void;

beforeEach(() => {
  settings = new Map();
  handed = [];
  meanwhile = () => undefined;
  sites = [member(BERLIN, "berlin"), member(PARIS, "paris"), member("3", "oslo", "removed")];
});

/** The administration of one of two sites that share what is settled. */
function ask(self: typeof BERLIN, method: string, path: string, body?: unknown) {
  const shown = (): BucketSettings => new Map(settings);
  const shownBucket = () => ({ name: PHOTOS, createdMs: 0, owner: "", settings: shown() });
  const desk: HomesDesk = {
    self,
    applied: () => new Map([[ORIGIN, SEQ]]),
    store: {
      bucket: (name) => (name === PHOTOS ? shownBucket() : undefined),
      buckets: () => [shownBucket()],
      sites: () => sites as unknown as MemberSite[],
      putBucketSetting: async ({ name, value }) => {
        if (value === undefined) settings.delete(name);
        else settings.set(name, value);
        return { outcome: "stored" };
      },
    },
    handOver: async (name, change) => {
      handed.push(`${self} ${name}`);
      await new Promise((resolve) => setImmediate(resolve));
      meanwhile();
      return await change();
    },
  };
  return routeHomes(desk, { method, path: `${HOMES_PATH}${path}`, body });
}

test("a home is named, shown, handed over by its holder, and taken by force", async () => {
  expect((await ask(BERLIN, "GET", "/photos")).body).toEqual({ bucket: "photos" });
  const first = { bucket: "photos", site: PARIS, name: "paris", epoch: 1, is_here: false };
  const named = await ask(BERLIN, "PUT", "/photos", { site: "paris" });
  expect(named).toEqual({ status: 200, body: first });
  expect(String(settings.get(HOME_SETTING))).toBe(`${PARIS} 1 abababababababab:7`);
  const refused = await ask(BERLIN, "PUT", "/photos", { site: "berlin" });
  expect(refused.status).toBe(409);
  expect(JSON.stringify(refused.body)).toContain("The home of photos is paris");
  expect((await ask(BERLIN, "DELETE", "/photos")).status).toBe(409);
  const back = await ask(PARIS, "PUT", "/photos", { site: BERLIN });
  expect(back.body).toMatchObject({ site: BERLIN, epoch: 2, is_here: false });
  const taken = await ask(PARIS, "PUT", "/photos", { site: "paris", force: true });
  expect(taken.body).toMatchObject({ site: PARIS, epoch: 3, is_here: true });
  expect((await ask(PARIS, "GET", "")).body).toEqual({ homes: [taken.body] });
  expect((await ask(PARIS, "DELETE", "/photos")).body).toEqual({ bucket: "photos" });
  expect((await ask(PARIS, "GET", "")).body).toEqual({ homes: [] });
  expect(handed).toEqual([BERLIN, PARIS, PARIS, PARIS].map((site) => `${site} photos`));
});

test.each([
  ["PUT", "/photos", { site: "oslo" }, 404],
  ["PUT", "/photos", {}, 400],
  ["PUT", "/photos", { site: "paris", now: true }, 400],
  ["DELETE", "/photos", { force: "yes" }, 400],
  ["PUT", "/elsewhere", { site: "paris" }, 404],
  ["PUT", "/..", { site: "paris" }, 404],
  ["POST", "/photos", {}, 405],
  ["POST", "", {}, 405],
])("%s %s with %j is answered with %4$i", async (method, path, body, status) => {
  expect((await ask(BERLIN, method, path, body)).status).toBe(status);
  expect(handed).toEqual([]);
});

test("a home that became another site's while one was waited for is not given away", async () => {
  const taken = Buffer.from(`${PARIS} 5 abababababababab:9`);
  meanwhile = () => settings.set(HOME_SETTING, taken);
  const refused = await ask(BERLIN, "PUT", "/photos", { site: "berlin" });
  expect(refused.status).toBe(409);
  expect(JSON.stringify(refused.body)).toContain("The home of photos is paris");
  expect(settings.get(HOME_SETTING)).toBe(taken);
  const forced = await ask(BERLIN, "PUT", "/photos", { site: "berlin", force: true });
  expect(forced.body).toMatchObject({ site: BERLIN, epoch: 6 });
  settings.clear();
  meanwhile = () => settings.set(HOME_SETTING, taken);
  expect((await ask(BERLIN, "DELETE", "/photos")).status).toBe(409);
  expect(settings.get(HOME_SETTING)).toBe(taken);
});

test("sites of one name are told apart by their ids", async () => {
  sites[1] = member(PARIS, "berlin");
  expect((await ask(BERLIN, "PUT", "/photos", { site: "berlin" })).status).toBe(409);
  expect((await ask(BERLIN, "PUT", "/photos", { site: PARIS })).status).toBe(200);
});
