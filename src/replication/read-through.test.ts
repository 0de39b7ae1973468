import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMemoryLog, type MemoryLog } from "../../test/sim/memory-log.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { parseBucketName, parseContentHash, parseOriginId, parseSiteId } from "../core/names.ts";
import type { ManifestRef } from "../core/records.ts";
import type { RemoteManifest } from "../core/remote-record.ts";
import type { BytesSource, RemoteBodies } from "../storage/remote-bodies.ts";
import type { FetchedBody } from "./body-fetch.ts";
import { ReadThrough } from "./read-through.ts";

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own data is wrong");
  return value;
}

const MEDIA = must(parseBucketName("media"));
const FILMS = must(parseBucketName("films"));
const ORIGIN = must(parseOriginId("ab".repeat(8)));
const SITE = must(parseSiteId("1".repeat(16)));
const THIRD = must(parseOriginId("cd".repeat(8)));
const nameOf = (number: number) => must(parseContentHash(number.toString(16).padStart(64, "0")));
const refOf = (number: number): ManifestRef => ({ hash: nameOf(number), bytes: 100 + number });
const ELSEWHERE = expect.objectContaining({ name: "StorageFault", kind: "unreachable" });

type Asked = {
  readonly hash: string;
  readonly first: string | undefined;
  readonly answer: (fetched: FetchedBody) => void;
  readonly fail: (failure: unknown) => void;
};

/** What lacks at a site that stores nothing. */
class Lacking {
  readonly missing = new Map<string, RemoteManifest>();
  readonly firstBuckets = new Set<string>([MEDIA, FILMS]);
  changes = 1;
  source: BytesSource | undefined;

  lack(number: number, ...buckets: RemoteManifest["buckets"]): ManifestRef {
    const { hash, bytes } = refOf(number);
    this.missing.set(hash, { hash, bytes, buckets });
    return { hash, bytes };
  }

  face(): RemoteBodies {
    return {
      showsRowsFirst: (bucket) => this.firstBuckets.has(bucket),
      bucketChanges: () => this.changes,
      sum: () => ({ manifests: this.missing.size, bytes: 0 }),
      isRemote: () => this.missing.size > 0,
      bringFrom: (source) => {
        this.source = source;
      },
      bring: () => Promise.resolve(),
      list: (after, max) =>
        [...this.missing.values()]
          .filter(({ hash }) => after === undefined || hash > after)
          .sort((left, right) => (left.hash < right.hash ? -1 : 1))
          .slice(0, max),
      find: (hash) => this.missing.get(hash),
      take: async (manifests) => {
        for (const { hash } of manifests) this.missing.delete(hash);
        return manifests.length;
      },
    };
  }
}

let clock: SimClock;
let log: MemoryLog;
let lacking: Lacking;
let asked: Asked[];
let commit: () => void;
let through: ReadThrough;

beforeEach(() => {
  clock = new SimClock();
  log = createMemoryLog();
  lacking = new Lacking();
  asked = [];
  commit = () => undefined;
  through = new ReadThrough({
    ...{ remote: lacking.face(), clock, log },
    onCommit: (listener) => {
      commit = listener;
      return () => undefined;
    },
    fetch: ({ hash }, first) =>
      new Promise((answer, fail) => {
        asked.push({ hash, first, answer, fail });
      }),
    siteOf: (origin) => must(parseSiteId((origin === ORIGIN ? "1" : "2").repeat(16))),
  });
  through.start();
});

afterEach(async () => {
  for (const { fail } of asked) fail(new Error("the test is over"));
  const stopped = through.stop();
  await clock.advance(0);
  for (const { fail } of asked) fail(new Error("the test is over"));
  await stopped;
});

function comes(number: number): FetchedBody {
  return {
    outcome: "whole",
    manifests: [{ hash: nameOf(number), chunks: [], staged: undefined }],
  };
}

describe("bytes that somebody reads", () => {
  test("are fetched once, however many wait, and first asked of the site that wrote them", async () => {
    const ref = lacking.lack(1, MEDIA);
    const source = must(lacking.source);
    const readers = [source(ref, ORIGIN), source(ref, ORIGIN), through.bring(ref, undefined)];
    await clock.advance(0);
    expect(asked.map(({ hash, first }) => [hash, first])).toEqual([[ref.hash, SITE]]);
    asked[0]?.answer(comes(1));
    await Promise.all(readers);
    expect(lacking.missing.size).toBe(0);
    expect(clock.pendingTimers).toBe(1);
  });

  test("that nobody can give now are refused, and asked for anew by the next reader", async () => {
    const ref = lacking.lack(1, MEDIA);
    const first = through.bring(ref, ORIGIN);
    asked[0]?.answer({ outcome: "unreachable", reason: "no peer can be reached" });
    await expect(first).rejects.toEqual(ELSEWHERE);
    await clock.advance(0);
    const second = through.bring(ref, ORIGIN);
    expect(asked).toHaveLength(2);
    asked[1]?.answer(comes(1));
    await second;
    expect(log.lines.filter(({ level }) => level === "warn")).toEqual([]);
  });

  test("that no site has are told of, once", async () => {
    const ref = lacking.lack(1, MEDIA);
    for (let round = 0; round < 3; round++) {
      const reader = through.bring(ref, ORIGIN);
      asked[round]?.answer({ outcome: "gone" });
      await expect(reader).rejects.toEqual(ELSEWHERE);
      await clock.advance(0);
    }
    const told = log.lines.filter(({ level }) => level === "warn");
    expect(told).toMatchObject([{ fields: { manifest: ref.hash, bytes: 101 } }]);
  });

  test("that take too long are refused, and go on coming for whoever asks next", async () => {
    const ref = lacking.lack(1, MEDIA);
    const reader = expect(through.bring(ref, ORIGIN)).rejects.toEqual(ELSEWHERE);
    await clock.advance(20_000);
    await reader;
    const next = through.bring(ref, ORIGIN);
    expect(asked).toHaveLength(1);
    asked[0]?.answer(comes(1));
    await next;
    expect(lacking.missing.size).toBe(0);
  });

  test("wait in line when many are fetched, and not for those who have gone", async () => {
    const late: Array<Promise<void>> = [];
    for (let number = 1; number <= 6; number++) {
      const reader = through.bring(lacking.lack(number, MEDIA), ORIGIN);
      late.push(expect(reader).rejects.toEqual(ELSEWHERE));
    }
    await clock.advance(20_000);
    await Promise.all(late);
    expect(asked.map(({ hash }) => hash)).toEqual([1, 2, 3, 4].map(nameOf));
    const wanted = through.bring(refOf(6), ORIGIN);
    for (const number of [1, 2]) asked[number - 1]?.answer(comes(number));
    await clock.advance(0);
    expect(asked.slice(4).map(({ hash }) => hash)).toEqual([nameOf(6)]);
    asked[4]?.answer(comes(6));
    await wanted;
    expect([...lacking.missing.keys()]).toEqual([3, 4, 5].map(nameOf));
  });

  test("of one site do not wait for those of another that does not answer", async () => {
    const silent = Array.from({ length: 300 }, (_, at) => lacking.lack(at + 1, MEDIA));
    const refused = silent.map((ref) => expect(through.bring(ref, ORIGIN)).rejects.toThrow());
    const reader = through.bring(lacking.lack(1000, MEDIA), THIRD);
    await clock.advance(0);
    const at = asked.findIndex(({ hash }) => hash === nameOf(1000));
    asked[at]?.answer(comes(1000));
    await reader;
    await clock.advance(20_000);
    await Promise.all(refused);
    expect(asked.filter(({ first }) => first === SITE)).toHaveLength(4);
  });

  test("are refused when too many wait, and when the site stops", async () => {
    const readers: Array<Promise<void>> = [];
    for (let number = 1; number <= 260; number++) {
      readers.push(through.bring(refOf(number), ORIGIN).catch(() => undefined));
    }
    const busy = expect.objectContaining({ name: "StorageFault", kind: "busy" });
    await expect(through.bring(refOf(261), ORIGIN)).rejects.toEqual(busy);
    const stopped = through.stop();
    for (const { fail } of asked) fail(new Error("the site is stopping"));
    await stopped;
    await Promise.all(readers);
    expect(asked).toHaveLength(4);
  });
});

describe("a bucket that does not show rows first any more", () => {
  test("gets all of its bytes by itself, and no other bucket does", async () => {
    for (let number = 1; number <= 3; number++) lacking.lack(number, MEDIA);
    lacking.lack(4, FILMS);
    lacking.lack(5, FILMS, MEDIA);
    commit();
    await clock.advance(100);
    expect(asked).toEqual([]);
    lacking.firstBuckets.delete(MEDIA);
    lacking.changes += 1;
    commit();
    for (const [index, number] of [1, 2, 3, 5].entries()) {
      await clock.advance(10);
      expect(asked.slice(index).map(({ hash }) => hash)).toEqual([nameOf(number)]);
      asked[index]?.answer(comes(number));
    }
    await clock.advance(120_000);
    expect([...lacking.missing.keys()]).toEqual([nameOf(4)]);
    expect(asked).toHaveLength(4);
  });

  test("asks again, ever later, and at once when a peer can be reached", async () => {
    lacking.lack(1, MEDIA);
    lacking.firstBuckets.delete(MEDIA);
    commit();
    await clock.advance(10);
    expect(asked).toHaveLength(1);
    const refused: FetchedBody = { outcome: "unreachable", reason: "cut" };
    asked[0]?.answer(refused);
    await clock.advance(1900);
    expect(asked).toHaveLength(1);
    await clock.advance(200);
    expect(asked).toHaveLength(2);
    asked[1]?.answer(refused);
    await clock.advance(3000);
    expect(asked).toHaveLength(2);
    through.retry();
    await clock.advance(10);
    expect(asked).toHaveLength(3);
    asked[2]?.answer(comes(1));
    await clock.advance(10);
    expect(lacking.missing.size).toBe(0);
  });

  test("gets a body that so many buckets name that not all are remembered", async () => {
    const names = Array.from({ length: 8 }, (_, at) => must(parseBucketName(`bucket-${at}`)));
    for (const name of names) lacking.firstBuckets.add(name);
    lacking.lack(1, ...names.slice(1));
    lacking.lack(2, ...names);
    lacking.changes += 1;
    commit();
    await clock.advance(10);
    expect(asked.map(({ hash }) => hash)).toEqual([nameOf(2)]);
  });

  test("does not ask more often because clients write meanwhile", async () => {
    lacking.lack(1, MEDIA);
    lacking.firstBuckets.delete(MEDIA);
    lacking.changes += 1;
    commit();
    await clock.advance(10);
    asked[0]?.answer({ outcome: "unreachable", reason: "cut" });
    for (let write = 0; write < 50; write++) {
      commit();
      await clock.advance(10);
    }
    expect(asked).toHaveLength(1);
    lacking.firstBuckets.delete(FILMS);
    lacking.changes += 1;
    commit();
    await clock.advance(10);
    expect(asked).toHaveLength(2);
  });

  test("gets what can be had, however much is at no site any more", async () => {
    const lost = 200;
    for (let number = 1; number <= lost + 3; number++) lacking.lack(number, MEDIA);
    lacking.firstBuckets.delete(MEDIA);
    commit();
    for (let at = 0; lacking.missing.size > lost && at < 5 * lost; at++) {
      await clock.advance(5 * 60_000);
      const number = Number.parseInt(asked[at]?.hash ?? "0", 16);
      asked[at]?.answer(number > lost ? comes(number) : { outcome: "gone" });
      await clock.advance(0);
    }
    expect(lacking.missing.size).toBe(lost);
    expect([...lacking.missing.keys()]).toEqual(
      Array.from({ length: lost }, (_, index) => nameOf(index + 1)),
    );
  });
});
