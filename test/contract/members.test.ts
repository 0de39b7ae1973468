import { afterEach, expect, test, vi } from "vitest";
import { memberRecord } from "../support/member-record.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const PARIS = memberRecord("a");
const ROME = memberRecord("b", { name: "rome" });

function namesOf({ store }: SimSite): string[] {
  return store.sites().map(({ name, state }) => `${name} ${state}`);
}

test("what is said of members is known as soon as it is acknowledged, and after a restart", async () => {
  const site = await SimSite.open("members");
  expect(site.store.site(PARIS.id)).toBeUndefined();
  await site.store.putSite(PARIS);
  expect(namesOf(site)).toEqual(["paris active"]);
  await site.store.putSite(ROME);
  expect(namesOf(site)).toEqual(["paris active", "rome active"]);
  await site.store.putSite({ ...PARIS, name: "lutetia" });
  expect(site.store.site(PARIS.id)?.name).toBe("lutetia");
  await site.store.putSite({ ...PARIS, name: "lutetia", state: "removed" });
  expect(namesOf(site)).toEqual(["lutetia removed", "rome active"]);
  for (const rebuildIndex of [false, true]) {
    await site.restart(rebuildIndex);
    expect(namesOf(site)).toEqual(["lutetia removed", "rome active"]);
  }
});

test("members are read once, however often a peer asks, until something is said of them", async () => {
  const site = await SimSite.open("members-read");
  await site.store.putSite(PARIS);
  const walks = vi.spyOn(site.kv, "range");
  const names = Array.from({ length: 5 }, () => [
    site.store.site(PARIS.id)?.name,
    namesOf(site)[0],
  ]);
  expect(names).toEqual(Array(5).fill(["paris", "paris active"]));
  expect(walks).toHaveBeenCalledTimes(1);
  await site.store.putSite({ ...PARIS, name: "lutetia" });
  walks.mockClear();
  expect([site.store.site(PARIS.id)?.name, namesOf(site)[0]]).toEqual([
    "lutetia",
    "lutetia active",
  ]);
  expect(walks).toHaveBeenCalledTimes(1);
});
