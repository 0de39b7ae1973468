import { describe, expect, test } from "vitest";
import { hlcFromMs } from "../core/hlc.ts";
import {
  makeVersionId,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
} from "../core/names.ts";
import type { OriginState } from "../core/origin-records.ts";
import type { LocalRecord, Operation, WriteStamp } from "../core/records.ts";
import { required } from "../core/tagged-fields.ts";
import { CannotWithdraw, Withdrawals, type Withdrawn } from "./withdrawn.ts";
import { encodeWithdrawn, parseWithdrawing, parseWithdrawn } from "./withdrawn-fields.ts";

const OWN = required(parseOriginId("a".repeat(16)), "origin");
const OTHER = required(parseOriginId("b".repeat(16)), "origin");
const NAME = {
  bucket: required(parseBucketName("photos"), "bucket"),
  key: required(parseObjectKey("cat"), "key"),
};

function seqOf(value: number) {
  return required(parseSeq(value), "sequence");
}

function stateAt(seq: number): OriginState {
  const vector = new Map([[OTHER, seqOf(3)]]);
  return {
    origin: OWN,
    seq: seqOf(seq),
    hlc: hlcFromMs(seq),
    chain: Buffer.alloc(32, seq),
    vector,
  };
}

function stampAt(seq: number, origin = OWN) {
  return { origin, seq: seqOf(seq), hlc: hlcFromMs(seq) };
}

/** A replay that has passed over two of them, in the last segment where they stand. */
function passedOver(): Withdrawals {
  const withdrawals = new Withdrawals([FROM_TEN]);
  for (const seq of [10, 11]) expect(withdrawals.leavesOut(writeAt(seq), 5)).toBe(true);
  return withdrawals;
}

/** A write of the key's null slot. */
function writeAt(seq: number, prior?: WriteStamp, origin = OWN): Operation {
  const dot = { origin, seq: seqOf(seq) };
  const body = { kind: "object-delete", ...NAME, nullSlot: true, nullMarker: false } as const;
  const vector = { full: true, entries: new Map() };
  const chainBefore = Buffer.alloc(32);
  const facts = { dot, hlc: hlcFromMs(seq), chainBefore, vector, group: undefined };
  return { ...facts, unknownFields: [], body: { ...body, deletedMs: 1, prior } };
}

const FIRST = Buffer.alloc(32, 10);
const FROM_TEN: Withdrawn = {
  ...{ origin: OWN, from: seqOf(10), through: 5 },
  ...{ before: stateAt(9), first: FIRST },
};

describe("operations that are withdrawn", () => {
  test("are those of one origin from one place on, in segments up to one", () => {
    const withdrawals = new Withdrawals([FROM_TEN]);
    expect(withdrawals.covers(stampAt(10), 5)).toBe(true);
    expect(withdrawals.covers(stampAt(9), 5)).toBe(false);
    expect(withdrawals.covers(stampAt(10), 6)).toBe(false);
    expect(withdrawals.covers(stampAt(10, OTHER), 5)).toBe(false);
    expect([withdrawals.firstOf(OWN), withdrawals.firstOf(OTHER)]).toEqual([
      10,
      Number.POSITIVE_INFINITY,
    ]);
  });

  test("are taken off the heads of logs that count them, and off no others", () => {
    const withdrawals = new Withdrawals([FROM_TEN]);
    expect(withdrawals.left(stateAt(12), 5, undefined)).toEqual(stateAt(9));
    expect(withdrawals.left(stateAt(12), 6, undefined)).toEqual(stateAt(12));
    expect(withdrawals.left(stateAt(8), 5, undefined)).toEqual(stateAt(8));
    const all = new Withdrawals([{ ...FROM_TEN, from: seqOf(1), before: undefined }]);
    expect(all.left(stateAt(12), 5, undefined)).toBeUndefined();
  });

  test("note the state of the log before them while they are being withdrawn", () => {
    const withdrawals = new Withdrawals([], [{ origin: OWN, from: seqOf(10) }]);
    expect(withdrawals.isWithdrawing).toBe(true);
    expect(withdrawals.before(OWN, 4, stateAt(9))).toEqual(stateAt(9));
    expect(withdrawals.left(stateAt(12), 5, undefined)).toEqual(stateAt(9));
    expect(withdrawals.settled(5, new Map([[OWN, FIRST]]))).toEqual([FROM_TEN]);
  });

  test("cannot be withdrawn when the log before them is not there", () => {
    const withdrawals = new Withdrawals([], [{ origin: OWN, from: seqOf(10) }]);
    expect(() => withdrawals.before(OWN, 4, stateAt(7))).toThrow(CannotWithdraw);
  });

  test("are none when the replay has met none", () => {
    const wanted = { origin: OWN, from: seqOf(10) };
    expect(new Withdrawals([FROM_TEN], [wanted]).settled(7, new Map())).toEqual([FROM_TEN]);
  });
});

test.each<[string, LocalRecord, LocalRecord | undefined]>([
  [
    "verdicts about them",
    {
      ...{ kind: "conflicts-judged", ...NAME },
      verdicts: [
        { verdict: "expected", write: stampAt(11) },
        { verdict: "settled", write: stampAt(3, OTHER) },
      ],
    },
    {
      ...{ kind: "conflicts-judged", ...NAME },
      verdicts: [{ verdict: "settled", write: stampAt(3, OTHER) }],
    },
  ],
  [
    "nothing but verdicts about them",
    { kind: "conflicts-judged", ...NAME, verdicts: [{ verdict: "ended", write: stampAt(10) }] },
    undefined,
  ],
  [
    "what became of a version that they made",
    {
      ...{ kind: "deletes-judged", ...NAME, what: "kept", deletes: [] },
      version: makeVersionId(hlcFromMs(10), OWN),
    },
    undefined,
  ],
  [
    "a delete of theirs that was void",
    {
      ...{ kind: "deletes-judged", ...NAME, what: "void", deletes: [stampAt(10)] },
      version: makeVersionId(hlcFromMs(9), OWN),
    },
    undefined,
  ],
  [
    "where the log begins, behind them",
    {
      ...{ kind: "segments-dropped", segments: [1, 2] },
      trimPoints: [{ origin: OWN, seq: seqOf(11), chain: Buffer.alloc(32, 11) }],
    },
    {
      ...{ kind: "segments-dropped", segments: [1, 2] },
      trimPoints: [{ origin: OWN, seq: seqOf(9), chain: Buffer.alloc(32, 9) }],
    },
  ],
])("a record loses %s", (_what, record, left) => {
  const withdrawals = passedOver();
  expect(withdrawals.without(record, 5, undefined)).toEqual(left);
  expect(withdrawals.without(record, 6, undefined)).toEqual(record);
});

test("what is said of other writes that peers have under their sequences stays", () => {
  const withdrawals = passedOver();
  const lost = { ...stampAt(11), hlc: hlcFromMs(7) };
  const verdicts = [{ verdict: "settled", write: lost }] as const;
  const judged: LocalRecord = { kind: "conflicts-judged", ...NAME, verdicts };
  const version = makeVersionId(lost.hlc, OWN);
  const kept: LocalRecord = {
    ...{ kind: "deletes-judged", ...NAME, version, what: "kept", deletes: [] },
  };
  for (const record of [judged, kept]) {
    expect(withdrawals.without(record, 5, undefined)).toEqual(record);
  }
});

test("a lost write that a peer's operation names is told from what was passed over", () => {
  const withdrawals = passedOver();
  const lost = { ...stampAt(11), hlc: hlcFromMs(7) };
  expect(withdrawals.lostWrite(writeAt(4, lost, OTHER), 5)).toEqual(lost);
  expect(withdrawals.lostWrite(writeAt(4, lost, OTHER), 6)).toBeUndefined();
  expect(withdrawals.lostWrite(writeAt(4, stampAt(11), OTHER), 5)).toBeUndefined();
  expect(withdrawals.lostWrite(writeAt(4, stampAt(9), OTHER), 5)).toBeUndefined();
  expect(withdrawals.lostWrite(writeAt(4, undefined, OTHER), 5)).toBeUndefined();
  const write = lost;
  const resolve = { kind: "conflict-resolve", ...NAME, write } as const;
  const resolution = { ...writeAt(4, undefined, OTHER), body: resolve } as Operation;
  expect(withdrawals.lostWrite(resolution, 5)).toEqual(lost);
});

test("what one of them did to another write of its key is judged anew", () => {
  const withdrawals = new Withdrawals([FROM_TEN]);
  const version = makeVersionId(hlcFromMs(3), OTHER);
  const cause = { kind: "version-delete", ...NAME, version } as const;
  const kept: LocalRecord = {
    ...{ kind: "deletes-judged", ...NAME, version, what: "kept", deletes: [] },
  };
  const verdicts = [{ verdict: "expected", write: stampAt(3, OTHER) }] as const;
  const judged: LocalRecord = { kind: "conflicts-judged", ...NAME, verdicts };
  const elsewhere = { ...cause, key: required(parseObjectKey("dog"), "key") };
  for (const record of [kept, judged]) {
    expect(withdrawals.without(record, 5, cause)).toBeUndefined();
    expect(withdrawals.without(record, 5, elsewhere)).toEqual(record);
  }
  // What has been forgotten since stays forgotten: its bytes may be gone.
  const ended: LocalRecord = {
    ...{ kind: "conflicts-judged", ...NAME },
    verdicts: [{ verdict: "ended", write: stampAt(3, OTHER) }],
  };
  expect(withdrawals.without(ended, 5, cause)).toEqual(ended);
});

describe("what site.json says of them", () => {
  test.each<Withdrawn>([
    FROM_TEN,
    { ...FROM_TEN, before: undefined },
    { ...FROM_TEN, first: undefined },
  ])("is read back", (one) => {
    expect(parseWithdrawn(JSON.parse(JSON.stringify(encodeWithdrawn(one))))).toEqual(one);
  });

  test.each([{ times: "kept" }, { times: "new", attempt: { into: OTHER, through: 7 } }])(
    "is read back as a wish: %j",
    (rest) => {
      const wish = { from: [{ origin: OWN, from: 10 }], ...rest };
      expect(parseWithdrawing(JSON.parse(JSON.stringify(wish)))).toEqual(wish);
    },
  );

  test.each([
    ["origin", "x"],
    ["from", 0],
    ["through", "later"],
    ["before", { seq: 1 }],
    ["first", "00"],
    ["before", { seq: 9, hlc: "0", chain: "", vector: {} }],
  ])("is not believed when %s is %j", (name, value) => {
    const stored = JSON.parse(JSON.stringify(encodeWithdrawn(FROM_TEN)));
    expect(parseWithdrawn({ ...stored, [name]: value })).toBeUndefined();
  });

  test.each([
    { from: [{ origin: OWN, from: 10 }], times: "never" },
    { from: "all", times: "kept" },
    { from: [{ origin: OWN, from: 10 }], times: "kept", attempt: { into: "x", through: 1 } },
    undefined,
  ])("is no wish: %j", (wish) => expect(parseWithdrawing(wish)).toBeUndefined());
});
