import { parseAccessKeyId, parseOriginId } from "../../src/core/names.ts";
import type {
  ObjectChange,
  ObjectRecord,
  Operation,
  OperationBody,
} from "../../src/core/records.ts";
import type { SiteRecord } from "../../src/core/site-record.ts";
import { fc } from "./properties.ts";
import {
  attributes,
  bucketNames,
  bytes,
  checksumLists,
  count,
  etags,
  hex,
  hlcs,
  locks,
  manifestRefs,
  objectKeys,
  origins,
  pairs,
  parsed,
  retentions,
  seqs,
  siteIds,
  versionIds,
  wellFormed,
  writeStamps,
} from "./value-arbitraries.ts";

export const objectRecords: fc.Arbitrary<ObjectRecord> = fc.record({
  size: count,
  etag: etags,
  lastModifiedMs: count,
  attributes,
  checksums: checksumLists,
  parts: fc.array(fc.record({ partNumber: count, size: count, checksums: checksumLists }), {
    maxLength: 3,
  }),
  encryption: fc.option(bytes(20), { nil: undefined }),
  lock: locks,
  body: fc.oneof(
    fc.record({ kind: fc.constant("inline" as const), bytes: count }),
    fc.record({
      kind: fc.constant("manifests" as const),
      manifests: fc.array(manifestRefs, { maxLength: 3 }),
    }),
  ),
});

const accessKeys = fc.record({
  id: parsed(fc.stringMatching(/^[A-Za-z0-9_.@-]{3,20}$/), parseAccessKeyId),
  state: fc.constantFrom("active" as const, "disabled" as const, "revoked" as const),
  name: wellFormed,
  sealedSecret: bytes(40),
  policies: pairs,
  createdMs: count,
});

/** A few ids, so that records meet. */
const someOrigins = fc
  .uniqueArray(fc.constantFrom("0a".repeat(8), "1b".repeat(8), "2c".repeat(8), "3d".repeat(8)), {
    minLength: 1,
    maxLength: 3,
  })
  .map((list) => list.toSorted().flatMap((text) => parseOriginId(text) ?? []));

export const siteRecords: fc.Arbitrary<SiteRecord> = fc.record({
  id: siteIds,
  name: wellFormed,
  publicKey: hex(32),
  addresses: fc.array(wellFormed, { maxLength: 2 }),
  certificates: fc.array(wellFormed, { maxLength: 2 }),
  origins: someOrigins,
  state: fc.constantFrom("active" as const, "removed" as const),
  featureLevel: count,
  insecure: fc.boolean(),
});

const named = { bucket: bucketNames, key: objectKeys, nullSlot: fc.boolean() };

const objectChanges: fc.Arbitrary<ObjectChange> = fc.oneof(
  fc.record({ kind: fc.constant("tags" as const), tags: pairs }),
  fc.record({ kind: fc.constant("retention" as const), retention: retentions }),
  fc.record({ kind: fc.constant("legal-hold" as const), on: fc.boolean() }),
  fc.record({ kind: fc.constant("encryption" as const), envelope: bytes(20) }),
  fc.record({ kind: fc.constant("acl" as const), acl: fc.constantFrom("", "public-read") }),
);

const withPrior = fc.option(
  writeStamps.map((prior) => ({ prior })),
  { nil: undefined },
);
const withConflict = fc.option(fc.constant({ conflict: true } as const), { nil: undefined });

const operationBodies: fc.Arbitrary<OperationBody> = fc.oneof(
  fc
    .tuple(
      fc.record({ kind: fc.constant("object-put" as const), ...named, object: objectRecords }),
      withPrior,
      withConflict,
    )
    .map(([body, prior, conflict]) => ({ ...body, ...prior, ...conflict })),
  fc.record({
    kind: fc.constant("conflict-resolve" as const),
    ...{ bucket: bucketNames, key: objectKeys, write: writeStamps },
  }),
  fc
    .tuple(
      fc.record({ kind: fc.constant("object-delete" as const), ...named, deletedMs: count }),
      withPrior,
    )
    .map(([body, prior]) => ({ ...body, ...prior }))
    .chain((body) =>
      fc
        .option(hlcs, { nil: undefined })
        .map((standsAt) => (standsAt === undefined ? body : { ...body, standsAt })),
    )
    .chain((body) =>
      fc.boolean().map((marker) => {
        return { ...body, nullMarker: marker && body.nullSlot && !("standsAt" in body) };
      }),
    ),
  fc.record({
    kind: fc.constant("version-delete" as const),
    bucket: bucketNames,
    key: objectKeys,
    version: versionIds,
  }),
  fc.record({
    kind: fc.constant("object-meta" as const),
    ...named,
    version: versionIds,
    change: objectChanges,
  }),
  fc.record({
    kind: fc.constant("bucket-create" as const),
    bucket: bucketNames,
    createdMs: count,
    owner: wellFormed,
  }),
  fc.record({
    kind: fc.constant("bucket-delete" as const),
    bucket: bucketNames,
    deletedMs: count,
  }),
  fc.record({
    kind: fc.constant("bucket-setting" as const),
    bucket: bucketNames,
    name: wellFormed,
    value: fc.option(bytes(30), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant("access-key-put" as const), accessKey: accessKeys }),
  fc.record({ kind: fc.constant("site-put" as const), site: siteRecords }),
);

/** Optional fields of a newer program: even tags, ascending. */
const unknownFields = fc
  .uniqueArray(
    fc.record({ tag: fc.integer({ min: 1, max: 40 }).map((half) => half * 2), bytes: bytes(10) }),
    { selector: (field) => field.tag, maxLength: 3 },
  )
  .map((fields) => fields.toSorted((left, right) => left.tag - right.tag));

const envelopes = fc.record({
  dot: fc.record({ origin: origins, seq: seqs }),
  hlc: hlcs,
  chainBefore: bytes(32, 32),
  vector: fc.record({
    full: fc.boolean(),
    entries: fc.array(fc.tuple(origins, seqs), { maxLength: 4 }).map((entries) => new Map(entries)),
  }),
  group: fc.option(fc.record({ id: wellFormed, count }), { nil: undefined }),
  body: operationBodies,
  unknownFields,
});

/** Operations of all kinds. A delete that is said again stands before itself. */
export const operations: fc.Arbitrary<Operation> = envelopes.map((operation) => {
  const { body, hlc } = operation;
  if (body.kind !== "object-delete" || !body.nullSlot) return operation;
  if (body.standsAt === undefined || body.standsAt <= hlc) return operation;
  return { ...operation, body: { ...body, standsAt: hlc } };
});
