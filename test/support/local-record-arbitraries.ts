import type { OriginRecord } from "../../src/core/origin-records.ts";
import { CHECKSUM_ALGORITHMS, type LocalRecord, type RowName } from "../../src/core/records.ts";
import { fc } from "./properties.ts";
import {
  attributes,
  bucketNames,
  bytes,
  checksumLists,
  contentHashes,
  count,
  etags,
  hlcs,
  locks,
  manifestRefs,
  objectKeys,
  origins,
  segmentIds,
  seqs,
  siteIds,
  uploadIds,
  versionIds,
  wellFormed,
  writeStamps,
} from "./value-arbitraries.ts";

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

const positions = fc.array(wellFormed, { minLength: 1, maxLength: 3 });

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
      ...{ site: siteIds, lease: wellFormed, position: wellFormed },
      ...{ rows: count, heads: logStarts, merges: fc.constant(true as const), owed: positions },
    },
    { requiredKeys: ["kind", "site", "lease", "position", "rows", "heads"] },
  ),
  fc.record(
    { kind: fc.constant("floors" as const), heads: logStarts, owed: positions },
    { requiredKeys: ["kind", "heads"] },
  ),
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
