import { afterEach, expect, test, vi } from "vitest";
import { parseOriginId, parseSiteId, type SiteId } from "../../src/core/names.ts";
import type { SiteRecord } from "../../src/core/site-record.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const ids = ["00000000000000aa", "00000000000000bb"].map((text) => parseSiteId(text));
const [PARIS, ROME] = ids as [SiteId, SiteId];
const ORIGIN = parseOriginId("00000000000000cc");

function record(id: SiteId, name: string, state: SiteRecord["state"] = "active"): SiteRecord {
  const origins = ORIGIN === undefined ? [] : [ORIGIN];
  const where = { addresses: [], certificates: [], insecure: false };
  return { id, name, publicKey: "00".repeat(32), ...where, origins, state, featureLevel: 1 };
}

function namesOf({ store }: SimSite): string[] {
  return store.sites().map(({ name, state }) => `${name} ${state}`);
}

test("what is said of members is known as soon as it is acknowledged, and after a restart", async () => {
  const site = await SimSite.open("members");
  expect(site.store.site(PARIS)).toBeUndefined();
  await site.store.putSite(record(PARIS, "paris"));
  expect(namesOf(site)).toEqual(["paris active"]);
  await site.store.putSite(record(ROME, "rome"));
  expect(namesOf(site)).toEqual(["paris active", "rome active"]);
  await site.store.putSite(record(PARIS, "lutetia"));
  expect(site.store.site(PARIS)?.name).toBe("lutetia");
  await site.store.putSite(record(PARIS, "lutetia", "removed"));
  expect(namesOf(site)).toEqual(["lutetia removed", "rome active"]);
  for (const rebuildIndex of [false, true]) {
    await site.restart(rebuildIndex);
    expect(namesOf(site)).toEqual(["lutetia removed", "rome active"]);
  }
});

test("members are read once, however often a peer asks, until something is said of them", async () => {
  const site = await SimSite.open("members-read");
  await site.store.putSite(record(PARIS, "paris"));
  const walks = vi.spyOn(site.kv, "range");
  const names = Array.from({ length: 5 }, () => [site.store.site(PARIS)?.name, namesOf(site)[0]]);
  expect(names).toEqual(Array(5).fill(["paris", "paris active"]));
  expect(walks).toHaveBeenCalledTimes(1);
  await site.store.putSite(record(PARIS, "lutetia"));
  walks.mockClear();
  expect([site.store.site(PARIS)?.name, namesOf(site)[0]]).toEqual(["lutetia", "lutetia active"]);
  expect(walks).toHaveBeenCalledTimes(1);
});
