import { expect, test } from "vitest";
import { MapKv } from "../../../test/support/map-kv.ts";
import { fc } from "../../../test/support/properties.ts";
import { parseHlc } from "../../core/hlc.ts";
import { laterStamp } from "../../core/lww.ts";
import {
  type BucketName,
  makeVersionId,
  type ObjectKey,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
} from "../../core/names.ts";
import type { ObjectChange, ObjectRecord, OperationBody, Vector } from "../../core/records.ts";
import { required } from "../../core/tagged-fields.ts";
import { applyOperation } from "./apply.ts";
import type { ApplyContext } from "./apply-context.ts";
import { versionsEnd, versionsStart } from "./key-versions.ts";
import { objectKeyOf } from "./keys.ts";
import { ReferenceCounts } from "./references.ts";
import { TABLES } from "./rows.ts";
import type { Stamp } from "./stamp.ts";
import { IndexView } from "./view.ts";

const BUCKET: BucketName = required(parseBucketName("bucket"), "bucket");
const KEYS: readonly ObjectKey[] = ["a", "dir/b"].map((key) =>
  required(parseObjectKey(key), "key"),
);
const ORIGINS = ["aa", "bb", "cc"].map((pair) => {
  return required(parseOriginId(pair.repeat(8)), "origin");
});
const NO_CHECKSUM = (): number => 0;

/** One operation with the write that it is. Its segment is its place in the list, from 1. */
type Event = { readonly stamp: Stamp; readonly body: OperationBody; readonly seen: Vector };
type Wish =
  | { readonly kind: "put" | "marker"; readonly key: number; readonly nullSlot: boolean }
  | { readonly kind: "empty"; readonly key: number }
  | { readonly kind: "void"; readonly of: number }
  | { readonly kind: "tags"; readonly of: number }
  | { readonly kind: "hold"; readonly of: number }
  | {
      readonly kind: "retain";
      readonly of: number;
      readonly compliance: boolean;
      readonly ms: number;
    };

const key = fc.nat(KEYS.length - 1);
const of = fc.nat();
const wishes: fc.Arbitrary<Wish> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("put" as const), key, nullSlot: fc.boolean() }),
  },
  fc.record({ kind: fc.constant("marker" as const), key, nullSlot: fc.boolean() }),
  fc.record({ kind: fc.constant("empty" as const), key }),
  fc.record({ kind: fc.constant("void" as const), of }),
  fc.record({ kind: fc.constant("tags" as const), of }),
  fc.record({ kind: fc.constant("hold" as const), of }),
  fc.record({
    ...{ kind: fc.constant("retain" as const), of, compliance: fc.boolean() },
    ms: fc.nat({ max: 40 }),
  }),
);

/** Operations of several origins, each later than what it names; two may share a reading. */
const histories: fc.Arbitrary<Event[]> = fc
  .array(fc.tuple(wishes, fc.nat(ORIGINS.length - 1), fc.boolean()), {
    minLength: 1,
    maxLength: 14,
  })
  .map((list) => {
    const events: Event[] = [];
    let at = 1;
    for (const [index, [wish, origin, together]] of list.entries()) {
      const now = BigInt(at) << 16n;
      const sameOrigin = events.some(
        ({ stamp }) => stamp.hlc === now && stamp.origin === ORIGINS[origin],
      );
      if (!together || sameOrigin || "of" in wish) at += 1;
      const stamp: Stamp = {
        hlc: required(parseHlc(BigInt(at) << 16n), "reading"),
        origin: required(ORIGINS[origin], "origin"),
        seq: required(parseSeq(index + 1), "sequence"),
      };
      const body = bodyOf(wish, index, events);
      // Each knows of all before it: what is said side by side has tests of its own.
      const seen = new Map(events.map((event) => [event.stamp.origin, event.stamp.seq]));
      if (body !== undefined) events.push({ stamp, body, seen });
    }
    return events;
  });

function recordOf(index: number): ObjectRecord {
  return {
    ...{ size: index + 1, etag: "0".repeat(32), lastModifiedMs: index, checksums: [], parts: [] },
    attributes: { system: [], user: [], storageClass: undefined, tags: [["put", `${index}`]] },
    encryption: undefined,
    lock:
      index % 3 === 0
        ? { retention: { mode: "COMPLIANCE", untilMs: 8 }, legalHold: false }
        : undefined,
    body: { kind: "inline", bytes: index + 1 },
  };
}

function bodyOf(wish: Wish, index: number, before: readonly Event[]): OperationBody | undefined {
  if ("key" in wish) {
    const name = { bucket: BUCKET, key: KEYS[wish.key] ?? KEYS[0] } as {
      bucket: BucketName;
      key: ObjectKey;
    };
    if (wish.kind === "empty") {
      return {
        kind: "object-delete",
        ...name,
        nullSlot: true,
        nullMarker: false,
        deletedMs: index,
      };
    }
    const { nullSlot } = wish;
    if (wish.kind === "marker") {
      return { kind: "object-delete", ...name, nullSlot, nullMarker: nullSlot, deletedMs: index };
    }
    return { kind: "object-put", ...name, nullSlot, object: recordOf(index) };
  }
  const puts = before.filter(({ body }) => body.kind === "object-put");
  const versions = before.filter(
    ({ body }) => "nullSlot" in body && !body.nullSlot && body.kind !== "object-meta",
  );
  const choice = wish.kind === "void" ? versions : puts;
  const target = choice[wish.of % Math.max(1, choice.length)];
  if (target === undefined || !("nullSlot" in target.body)) return undefined;
  const version = makeVersionId(target.stamp.hlc, target.stamp.origin);
  const { bucket, key, nullSlot } = target.body;
  if (wish.kind === "void") return { kind: "version-delete", bucket, key, version };
  const change = changeOf(wish, index);
  return { kind: "object-meta", bucket, key, version, nullSlot, change };
}

function changeOf(wish: Exclude<Wish, { key: number }>, index: number): ObjectChange {
  if (wish.kind === "tags") return { kind: "tags", tags: [["changed", `${index}`]] };
  if (wish.kind !== "retain") return { kind: "legal-hold", on: index % 2 === 0 };
  const mode = wish.compliance ? "COMPLIANCE" : "GOVERNANCE";
  return { kind: "retention", retention: { mode, untilMs: wish.ms } };
}

/** Applies events in their order, in batches that end where `ends` says, and some twice. */
function applied(
  events: ReadonlyArray<readonly [Event, number]>,
  ends: (index: number) => boolean,
): { rows: string[]; view: IndexView } {
  const store = new MapKv();
  const view = new IndexView(store.kv, NO_CHECKSUM);
  const context: ApplyContext = {
    view,
    references: new ReferenceCounts(view, { keepUnnamed: true }),
  };
  for (const [index, [{ stamp, body, seen }, home]] of events.entries()) {
    const { hlc, origin, seq } = stamp;
    applyOperation(
      context,
      {
        ...{ dot: { origin, seq }, hlc, chainBefore: Buffer.alloc(32), body, unknownFields: [] },
        ...{ group: undefined, vector: { full: true, entries: seen } },
      },
      { home, body: { segment: home, offset: 0 } },
    );
    if (!ends(index)) continue;
    const changes = view.takeBatch();
    store.take(view.mutationsOf(changes));
    view.applied(changes);
  }
  const changes = view.takeBatch();
  store.take(view.mutationsOf(changes));
  view.applied(changes);
  return { rows: store.dump(), view };
}

/** What must be there, from the operations alone: the newest first. */
function expected(events: readonly Event[], key: ObjectKey): string[] {
  const own = events.filter(({ body }) => "key" in body && body.key === key);
  const voided = own.flatMap(({ body }) => (body.kind === "version-delete" ? [body.version] : []));
  const writes = own.filter(
    ({ body }) => body.kind === "object-put" || body.kind === "object-delete",
  );
  const inNull = writes.filter(({ body }) => "nullSlot" in body && body.nullSlot);
  const slot = inNull.reduce<Event | undefined>(
    (best, next) => (best === undefined || laterStamp(next.stamp, best.stamp) ? next : best),
    undefined,
  );
  const versions = writes.filter(({ stamp, body }) => {
    if ("nullSlot" in body && body.nullSlot) return false;
    return !voided.includes(makeVersionId(stamp.hlc, stamp.origin));
  });
  const emptied = slot?.body.kind === "object-delete" && !slot.body.nullMarker;
  if (slot !== undefined && !emptied) versions.push(slot);
  return versions
    .sort((left, right) => (laterStamp(left.stamp, right.stamp) ? -1 : 1))
    .map(({ stamp }) => makeVersionId(stamp.hlc, stamp.origin));
}

function found(view: IndexView, key: ObjectKey): string[] {
  const name = { bucket: BUCKET, key };
  const current = view.get(TABLES.object, objectKeyOf(BUCKET, key));
  const older = view.rows(TABLES.version, versionsStart(name), versionsEnd(name));
  const rows = [...(current === undefined ? [] : [current]), ...older.map(({ row }) => row.row)];
  return rows.map(({ stamp }) => makeVersionId(stamp.hlc, stamp.origin));
}

test("rows of versions follow from the set of operations, whatever their order and batches", () => {
  fc.assert(
    fc.property(
      histories,
      fc.infiniteStream(fc.nat()),
      fc.infiniteStream(fc.boolean()),
      (events, shuffle, ends) => {
        const inOrder = events.map((event, index) => [event, index + 1] as const);
        const shuffled = inOrder
          .map((entry) => ({ entry, at: shuffle.next().value ?? 0 }))
          .sort((left, right) => left.at - right.at)
          .map(({ entry }) => entry);
        const first = applied(inOrder, () => false);
        const second = applied(shuffled, () => ends.next().value ?? false);
        expect(second.rows).toEqual(first.rows);
        for (const key of KEYS) expect(found(first.view, key)).toEqual(expected(events, key));
        const twice = applied([...shuffled, ...inOrder], () => true);
        expect(twice.rows).toEqual(first.rows);
      },
    ),
    { numRuns: 400 },
  );
});

test("counters of usage, of references and of live bytes are back at nothing when all is gone", () => {
  fc.assert(
    fc.property(histories, (events) => {
      const inOrder = events.map((event, index) => [event, index + 1] as const);
      const rows = (list: typeof inOrder) => applied(list, () => false);
      const { view } = rows(inOrder);
      const hlc = required(parseHlc(1_000n << 16n), "reading");
      const ends: Event[] = KEYS.flatMap((key) => {
        const emptied: OperationBody = {
          ...{ kind: "object-delete", bucket: BUCKET, key },
          ...{ nullSlot: true, nullMarker: false, deletedMs: 0 },
        };
        const bodies: OperationBody[] = [...found(view, key)].flatMap((id) => {
          const event = events.find(({ stamp }) => makeVersionId(stamp.hlc, stamp.origin) === id);
          if (event === undefined || !("nullSlot" in event.body) || event.body.nullSlot) return [];
          const version = makeVersionId(event.stamp.hlc, event.stamp.origin);
          return [{ kind: "version-delete", bucket: BUCKET, key, version }];
        });
        return [...bodies, emptied].map((body) => {
          const seq = required(parseSeq(1000), "sequence");
          const seen = new Map(ORIGINS.map((origin) => [origin, seq]));
          return { stamp: { hlc, origin: required(ORIGINS[0], "origin"), seq }, body, seen };
        });
      });
      const gone = rows([...inOrder, ...ends.map((event) => [event, 99] as const)]);
      const usage = gone.view.get(TABLES.usage, BUCKET);
      expect(usage).toMatchObject({ objects: 0, bytes: 0, noncurrent: 0, markers: 0, metas: 0 });
      const tables = new Set(gone.rows.map((row) => row.charAt(0)));
      for (const prefix of ["o", "v", "w", "a", "q"])
        expect(tables.has(prefix), prefix).toBe(false);
    }),
    { numRuns: 200 },
  );
});
