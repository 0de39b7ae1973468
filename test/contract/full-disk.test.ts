import { afterEach, expect, test } from "vitest";
import { parseAccessKeyId } from "../../src/core/names.ts";
import { memberRecord } from "../support/member-record.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

test("a site that is said to be a member on a full disk is refused, and the server goes on", async () => {
  const { store, machine } = await SimSite.open("full-members");
  const paris = memberRecord("a");
  await store.putSite(paris);
  machine.disk.freeBytes = 0;
  machine.clock.leap(60_000);
  // What is known already needs no room.
  await store.putSite(paris);
  const full = "the disk is full to the last byte";
  await expect(store.putSite({ ...paris, name: "lutetia" })).rejects.toThrow(full);
  machine.disk.freeBytes = 2 ** 30;
  machine.clock.leap(60_000);
  await store.putSite({ ...paris, name: "lutetia" });
  expect(store.site(paris.id)?.name).toBe("lutetia");
});

test("an access key that is made on a full disk is refused, and the server goes on", async () => {
  const { store, machine } = await SimSite.open("full");
  const id = parseAccessKeyId("AKIAFULLDISK00000000");
  if (id === undefined) throw new Error("no access key id");
  const sealedSecret = Buffer.from("sealed");
  const key = { id, name: "", policies: [], createdMs: 1, sealedSecret } as const;
  machine.disk.freeBytes = 0;
  machine.clock.leap(60_000);
  const full = "the disk is full to the last byte";
  await expect(store.putAccessKey({ ...key, state: "active" })).rejects.toThrow(full);
  await expect(store.resealAccessKey(id, () => sealedSecret)).rejects.toThrow(full);
  machine.disk.freeBytes = 2 ** 30;
  machine.clock.leap(60_000);
  await store.putAccessKey({ ...key, state: "active" });
  expect(store.accessKey(id)?.state).toBe("active");
});
