import { beforeEach, expect, test } from "vitest";
import { Seed } from "../../test/sim/seed.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { SimDisk } from "../../test/sim/sim-disk.ts";
import { Admission } from "./admission.ts";
import { ReserveFile } from "./reserve-file.ts";

const MIB = 1024 * 1024;
const RESERVE_FILE_BYTES = 16 * MIB;

let disk: SimDisk;
let admission: Admission;
let clock: SimClock;

beforeEach(async () => {
  clock = new SimClock();
  disk = new SimDisk(new Seed("admission"), {
    directories: ["/data"],
    capacityBytes: 1024 * MIB,
  });
  const reserveFile = new ReserveFile({ disk, directory: "/data", bytes: RESERVE_FILE_BYTES });
  admission = new Admission({
    ...{ disk, clock, directory: "/data", reserveFile },
    reserveBytes: 100 * MIB,
  });
  await admission.refresh();
});

test("a write that would touch the reserve is refused before it is begun, a delete is not", async () => {
  disk.freeBytes = 101 * MIB;
  await admission.refresh();
  expect(() => admission.admit(10 * MIB)).toThrow("the disk is full up to its reserve");
  expect(() => admission.admitSmall()).not.toThrow();
});

test("after a rest a write is judged by the disk as it is, not as it was before", async () => {
  disk.freeBytes = 0;
  await clock.advance(60_000);
  expect(() => admission.admit(1)).toThrow("the disk is full up to its reserve");
  disk.freeBytes = 900 * MIB;
  await clock.advance(60_000);
  expect(() => admission.admit(1)).not.toThrow();
});

test("what was admitted counts before the file system tells of it", () => {
  for (let count = 0; count < 7; count++) admission.admit(100 * MIB);
  expect(() => admission.admit(100 * MIB)).toThrow("the disk is full up to its reserve");
});

test("the reserve file is given up when the disk is full to the last byte, and made again", async () => {
  await admission.restoreReserve();
  expect((await disk.stat("/data/reserve"))?.sizeBytes).toBe(RESERVE_FILE_BYTES);
  disk.freeBytes = 0;
  await admission.refresh();
  expect(() => admission.admitSmall()).toThrow("the disk is full to the last byte");
  await admission.makeRoom();
  expect(await disk.stat("/data/reserve")).toBeUndefined();
  disk.freeBytes = 900 * MIB;
  await admission.restoreReserve();
  expect((await disk.stat("/data/reserve"))?.sizeBytes).toBe(RESERVE_FILE_BYTES);
});
