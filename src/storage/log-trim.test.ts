import { expect, test } from "vitest";
import { hlcFromMs } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "../core/names.ts";
import { isNeeded, type LogReaders, type OriginEnd } from "./log-trim.ts";
import { DEFAULT_TIME_BOUNDS } from "./time-bounds.ts";

const [OSLO, PARIS] = ["1", "2"].map((digit) => parseOriginId(digit.repeat(16)) as OriginId) as [
  OriginId,
  OriginId,
];
const WRITTEN_MS = 1_800_000_000_000;
const OLD_ENOUGH_MS = WRITTEN_MS + LIMITS.historyRetentionMs;

function seqOf(value: number): Seq {
  return parseSeq(value) as Seq;
}

function endsAt(oslo: number, paris: number): OriginEnd[] {
  const rest = { chain: new Uint8Array(32), hlc: hlcFromMs(WRITTEN_MS) };
  return [
    { origin: OSLO, seq: seqOf(oslo), ...rest },
    { origin: PARIS, seq: seqOf(paris), ...rest },
  ];
}

function vectorOf(oslo: number, paris: number): ReadonlyMap<OriginId, Seq> {
  return new Map([
    [OSLO, seqOf(oslo)],
    [PARIS, seqOf(paris)],
  ]);
}

function readers(change: Partial<LogReaders> = {}): LogReaders {
  return { peers: [], held: [], nowMs: OLD_ENOUGH_MS, timeBounds: DEFAULT_TIME_BOUNDS, ...change };
}

function peer(oslo: number, paris: number, heardMs = OLD_ENOUGH_MS) {
  return { applied: vectorOf(oslo, paris), heardMs };
}

test("a site alone keeps no history, however young", () => {
  expect(isNeeded(endsAt(5, 5), readers({ nowMs: WRITTEN_MS }))).toBe(false);
});

test("with peers the log is kept for its time, even when all have it", () => {
  const peers = [peer(5, 5)];
  expect(isNeeded(endsAt(5, 5), readers({ peers, nowMs: OLD_ENOUGH_MS - 1 }))).toBe(true);
  expect(isNeeded(endsAt(5, 5), readers({ peers }))).toBe(false);
});

test.each([
  ["has all of it", peer(5, 5), false],
  ["lacks one operation of one origin", peer(5, 4), true],
  ["never said anything", { applied: new Map(), heardMs: OLD_ENOUGH_MS }, true],
  ["was silent too long", peer(5, 4, OLD_ENOUGH_MS - LIMITS.peerRetentionMs - 1), false],
  ["was silent nearly too long", peer(5, 4, OLD_ENOUGH_MS - LIMITS.peerRetentionMs), true],
])("a peer that %s decides", (_what, one, isKept) => {
  expect(isNeeded(endsAt(5, 5), readers({ peers: [peer(9, 9), one] }))).toBe(isKept);
});

test("what a bootstrap rests on is kept, with peers and without", () => {
  expect(isNeeded(endsAt(5, 5), readers({ held: [vectorOf(5, 4)] }))).toBe(true);
  expect(isNeeded(endsAt(5, 5), readers({ held: [vectorOf(5, 5)] }))).toBe(false);
});
