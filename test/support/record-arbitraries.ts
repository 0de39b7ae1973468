import { parseHlc } from "../../src/core/hlc.ts";
import {
  parseAccessKeyId,
  parseBucketName,
  parseContentHash,
  parseObjectKey,
  parseOriginId,
  parseSegmentId,
  parseSeq,
  parseSiteId,
  parseUploadId,
  parseVersionId,
} from "../../src/core/names.ts";
import type { OriginRecord } from "../../src/core/origin-records.ts";
import {
  CHECKSUM_ALGORITHMS,
  type LocalRecord,
  type ObjectChange,
  type ObjectRecord,
  type Operation,
  type OperationBody,
  type RowName,
  type StoredChecksum,
} from "../../src/core/records.ts";
import type { SiteRecord } from "../../src/core/site-record.ts";
import { fc } from "./properties.ts";

const DIGEST_BYTES = { CRC32: 4, CRC32C: 4, CRC64NVME: 8, SHA1: 20, SHA256: 32 } as const;

function hex(bytes: number): fc.Arbitrary<string> {
  return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw) => {
    return Buffer.from(raw).toString("hex");
  });
}

function bytes(maxLength: number, minLength = 0): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength, maxLength }).map((raw) => Buffer.from(raw));
}

/** Keeps what a parser of core accepts. */
function parsed<From, To>(
  from: fc.Arbitrary<From>,
  parse: (value: From) => To | undefined,
): fc.Arbitrary<To> {
  return from.map(parse).filter((value): value is To => value !== undefined);
}

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const count = fc.maxSafeNat();
const wellFormed = text.filter((value) => value.isWellFormed());
const pairs = fc.array(fc.tuple(wellFormed, wellFormed), { maxLength: 3 });

export const bucketNames = parsed(
  fc.stringMatching(/^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$/),
  parseBucketName,
);
export const objectKeys = parsed(
  fc.oneof(fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }), hex(8)),
  parseObjectKey,
);
export const origins = parsed(hex(8), parseOriginId);
const seqs = parsed(fc.maxSafeNat(), parseSeq);
const siteIds = parsed(hex(8), parseSiteId);
export const hlcs = parsed(fc.bigInt(0n, 0xffff_ffff_ffff_ffffn), parseHlc);
export const contentHashes = parsed(hex(32), parseContentHash);
const versionIds = parsed(hex(16), parseVersionId);
const uploadIds = parsed(hex(16), parseUploadId);
const segmentIds = parsed(fc.integer({ min: 1, max: 0xffff_ffff }), parseSegmentId);
const manifestRefs = fc.record({ hash: contentHashes, bytes: count });

const etags = fc.oneof(
  hex(16),
  fc.tuple(hex(16), fc.integer({ min: 1, max: 10_000 })).map(([md5, parts]) => `${md5}-${parts}`),
  wellFormed,
  fc.constantFrom("", "-1", "0".repeat(32).toUpperCase(), `${"a".repeat(32)}-0`, "A".repeat(32)),
);

const checksums: fc.Arbitrary<StoredChecksum> = fc
  .constantFrom(...CHECKSUM_ALGORITHMS)
  .chain((algorithm) => {
    const digest = bytes(DIGEST_BYTES[algorithm], DIGEST_BYTES[algorithm]).map((raw) => {
      return raw.toString("base64");
    });
    const counted = fc.tuple(digest, fc.integer({ min: 1, max: 10_000 }));
    return fc.record({
      algorithm: fc.constant(algorithm),
      type: fc.constantFrom("FULL_OBJECT" as const, "COMPOSITE" as const),
      value: fc.oneof(
        digest,
        counted.map(([value, parts]) => `${value}-${parts}`),
        digest.map((value) => `${value}-0`),
        digest.map((value) => `${value}-`),
        wellFormed,
      ),
    });
  });
const checksumLists = fc.array(checksums, { maxLength: 3 });

const attributes = fc.record({
  system: pairs,
  user: pairs,
  storageClass: fc.option(wellFormed, { nil: undefined }),
  tags: pairs,
});

const retentions = fc.option(
  fc.record({
    mode: fc.constantFrom("GOVERNANCE" as const, "COMPLIANCE" as const),
    untilMs: count,
  }),
  { nil: undefined },
);
const locks = fc.option(fc.record({ retention: retentions, legalHold: fc.boolean() }), {
  nil: undefined,
});

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
  id: parsed(hex(8), parseSiteId),
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

const writeStamps = fc.record({ hlc: hlcs, origin: origins, seq: seqs });
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
        .map((at) => (at === undefined || body.nullSlot ? body : { ...body, standsAt: at })),
    )
    .chain((body) =>
      fc.boolean().map((marker) => ({ ...body, nullMarker: marker && body.nullSlot })),
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

export const operations: fc.Arbitrary<Operation> = fc.record({
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

const uploadName = { uploadId: uploadIds, bucket: bucketNames, key: objectKeys };

const chunkPlaces = fc.record({
  hash: contentHashes,
  place: fc.record({
    segment: segmentIds,
    offset: count,
    bytes: count,
    sliceCrcs: fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 4 }),
  }),
});

const removedRows: fc.Arbitrary<RowName> = fc
  .record({
    what: fc.constantFrom(
      "version" as const,
      "null" as const,
      "tombstone" as const,
      "voided" as const,
      "conflict" as const,
    ),
    ...{ bucket: bucketNames, key: objectKeys, stamp: versionIds, target: versionIds },
  })
  .map(({ target, ...row }) => (row.what === "voided" ? { ...row, target } : row));

const logStarts = fc.array(
  fc.record({
    ...{ origin: origins, seq: seqs, hlc: hlcs, chain: bytes(32, 32) },
    vector: fc.array(fc.tuple(origins, seqs), { maxLength: 3 }).map((pairs) => new Map(pairs)),
  }),
  { maxLength: 3 },
);

export const localRecords: fc.Arbitrary<LocalRecord> = fc.oneof(
  fc.record({
    kind: fc.constant("upload-create" as const),
    upload: fc.record({
      ...uploadName,
      createdMs: count,
      initiator: wellFormed,
      attributes,
      encryption: fc.option(bytes(20), { nil: undefined }),
      lock: locks,
      checksum: fc.option(
        fc.record({
          algorithm: fc.constantFrom(...CHECKSUM_ALGORITHMS),
          type: fc.constantFrom("FULL_OBJECT" as const, "COMPOSITE" as const),
        }),
        { nil: undefined },
      ),
    }),
  }),
  fc.record({
    kind: fc.constant("part-put" as const),
    part: fc.record({
      ...uploadName,
      partNumber: count,
      size: count,
      etag: etags,
      lastModifiedMs: count,
      checksums: checksumLists,
      manifest: manifestRefs,
    }),
  }),
  fc.record({
    kind: fc.constant("upload-end" as const),
    ...uploadName,
    completed: fc.option(
      fc.record({
        ...{ ...uploadName, completedMs: count, etag: etags, checksums: checksumLists },
        version: fc.option(versionIds, { nil: undefined }),
      }),
      { nil: undefined },
    ),
  }),
  fc.record({
    kind: fc.constant("chunks-placed" as const),
    chunks: fc.array(chunkPlaces, { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant("segments-dropped" as const),
    segments: fc.array(segmentIds, { maxLength: 4 }),
    trimPoints: fc.array(fc.record({ origin: origins, seq: seqs, chain: bytes(32, 32) }), {
      maxLength: 3,
    }),
  }),
  fc.record({
    kind: fc.constant("results-expired" as const),
    uploadIds: fc.array(uploadIds, { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant("log-continues" as const), segment: segmentIds, offset: count }),
  originRecords(),
  fc.record({
    kind: fc.constant("rows-removed" as const),
    rows: fc.array(removedRows, { maxLength: 3 }),
  }),
  fc.record(
    {
      kind: fc.constant("bootstrap" as const),
      ...{ site: parsed(hex(8), parseSiteId), lease: wellFormed, position: wellFormed },
      ...{ rows: count, heads: logStarts, merges: fc.constant(true as const) },
    },
    { requiredKeys: ["kind", "site", "lease", "position", "rows", "heads"] },
  ),
  fc.record({ kind: fc.constant("floors" as const), heads: logStarts }),
  fc.record({
    kind: fc.constant("manifests-remote" as const),
    manifests: fc.array(
      fc.record({
        ...{ hash: contentHashes, bytes: count },
        buckets: fc.array(bucketNames, { maxLength: 3 }),
      }),
      { maxLength: 3 },
    ),
  }),
  fc.record({
    kind: fc.constant("deletes-judged" as const),
    ...{ bucket: bucketNames, key: objectKeys, version: versionIds },
    what: fc.constantFrom("kept" as const, "ended" as const, "void" as const),
    deletes: fc.array(writeStamps, { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant("conflicts-judged" as const),
    ...{ bucket: bucketNames, key: objectKeys },
    verdicts: fc.array(
      fc.record({
        verdict: fc.constantFrom("expected" as const, "settled" as const, "ended" as const),
        write: writeStamps,
      }),
      { maxLength: 3 },
    ),
  }),
);

/** Records about the logs of other origins. */
function originRecords(): fc.Arbitrary<OriginRecord> {
  const dot = fc.record({ origin: origins, seq: seqs });
  const dots = fc.array(dot, { maxLength: 3 });
  const applied = fc.array(fc.tuple(origins, seqs), { maxLength: 3 }).map((list) => new Map(list));
  const chain = bytes(32, 32);
  const state = fc.record({ origin: origins, seq: seqs, chain, hlc: hlcs, vector: applied });
  const signature = bytes(64, 64);
  const signed = fc.record({ origin: origins, site: siteIds, seq: seqs, chain, signature });
  const parked = fc.record({ origin: origins, seq: seqs, reason: wellFormed });
  return fc.oneof(
    fc.record({
      kind: fc.constant("origin-heads" as const),
      heads: fc.array(state, { maxLength: 3 }),
    }),
    fc.record({
      kind: fc.constant("operations-parked" as const),
      operations: fc.array(parked, { maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("operations-void" as const), operations: dots }),
    fc.record({
      kind: fc.constant("operations-unparked" as const),
      operations: fc.array(fc.record({ origin: origins, seq: seqs, vector: applied }), {
        maxLength: 3,
      }),
    }),
    fc.record({
      kind: fc.constant("heads-signed" as const),
      heads: fc.array(signed, { maxLength: 3 }),
    }),
    fc.record({
      kind: fc.constant("peer-applied" as const),
      site: siteIds,
      heardMs: count,
      applied,
    }),
  );
}

/** One small change to bytes: a flipped bit, a byte cut out, put in, or the end cut off. */
export function damaged(input: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const change = fc.constantFrom(
    "flip" as const,
    "cut" as const,
    "insert" as const,
    "end" as const,
  );
  return fc
    .tuple(input, change, fc.nat(), fc.nat({ max: 255 }))
    .map(([whole, kind, where, value]) => {
      const at = where % Math.max(1, whole.length);
      const [before, after] = [whole.subarray(0, at), whole.subarray(at)];
      if (kind === "end") return Buffer.from(before);
      if (kind === "insert") return Buffer.concat([before, Buffer.of(value), after]);
      if (kind === "cut") return Buffer.concat([before, after.subarray(1)]);
      const flipped = Buffer.from(whole);
      if (flipped.length > 0) flipped[at] = (flipped[at] ?? 0) ^ (1 << (value % 8));
      return flipped;
    });
}
