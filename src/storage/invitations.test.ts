import { beforeEach, describe, expect, test } from "vitest";
import { LeapClock } from "../../test/sim/leap-clock.ts";
import { Seed } from "../../test/sim/seed.ts";
import { SimDisk } from "../../test/sim/sim-disk.ts";
import { parseSiteId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import { type Invitations, openInvitations } from "./invitations.ts";

const DIRECTORY = "/srv";
const KEY = "5e".repeat(32);
const HOUR_MS = 3_600_000;
const [FIRST, SECOND] = ["1", "2"].map((digit) => parseSiteId(digit.repeat(16)));
const first = required(FIRST, "site");
const second = required(SECOND, "site");

let disk: SimDisk;
let clock: LeapClock;
let invitations: Invitations;

beforeEach(async () => {
  clock = new LeapClock();
  disk = new SimDisk(new Seed("invitations"), {
    directories: [DIRECTORY],
    nowMs: () => clock.nowMs(),
  });
  invitations = await open();
});

function open(): Promise<Invitations> {
  return openInvitations({ disk, clock }, DIRECTORY);
}

describe("an invitation", () => {
  test("is kept over a power cut once it was given out, and for one site once it was used", async () => {
    expect(await invitations.issue(KEY, clock.nowMs() + HOUR_MS)).toBe(true);
    disk = disk.crash();
    invitations = await open();
    expect(invitations.find(KEY)?.site).toBeUndefined();
    expect(await invitations.bind(KEY, first)).toBe(true);
    disk = disk.crash();
    invitations = await open();
    expect(await invitations.bind(KEY, second)).toBe(false);
    expect(await invitations.bind(KEY, first)).toBe(true);
    expect(invitations.find(KEY)?.site).toBe(first);
  });

  test("ends with its time", async () => {
    await invitations.issue(KEY, clock.nowMs() + HOUR_MS);
    clock.leap(HOUR_MS);
    expect(invitations.find(KEY)).toBeUndefined();
    expect(await invitations.bind(KEY, first)).toBe(false);
    expect(await invitations.bind("aa".repeat(32), first)).toBe(false);
  });

  test("is for one of two sites that come at once", async () => {
    await invitations.issue(KEY, clock.nowMs() + HOUR_MS);
    const bound = await Promise.all([first, second].map((site) => invitations.bind(KEY, site)));
    expect(bound).toEqual([true, false]);
  });

  test("is not given out without end; those that are late make room", async () => {
    const keyOf = (at: number): string => at.toString(16).padStart(64, "0");
    let given = 0;
    while (await invitations.issue(keyOf(given), clock.nowMs() + HOUR_MS)) given++;
    expect(given).toBe(100);
    clock.leap(HOUR_MS);
    expect(await invitations.issue(KEY, clock.nowMs() + HOUR_MS)).toBe(true);
  });

  test("is not lost in silence when the file is damaged or of a newer program", async () => {
    await invitations.issue(KEY, clock.nowMs() + HOUR_MS);
    const path = `${DIRECTORY}/invitations.json`;
    for (const [text, kind] of [
      ['{"format":1,"invitations":[{"publicKey":"x"}]}', "corrupt"],
      ['{"format":2}', "unsupported"],
    ] as const) {
      await disk.remove(path);
      const file = await disk.create(path, "buffered");
      await file.write(Buffer.from(text), 0);
      await file.close();
      await expect(open()).rejects.toMatchObject({ kind });
    }
  });
});
