import { afterEach, expect, test } from "vitest";
import { parseAccessKeyId } from "../../src/core/names.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

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
