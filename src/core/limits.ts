const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/**
 * Every bound in the system, unit in the name.
 * AWS's limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
 */
export const LIMITS = {
  /** AWS: object keys are at most 1,024 bytes of UTF-8. */
  keyBytesMax: 1024,
  bucketNameBytesMin: 3,
  bucketNameBytesMax: 63,
  /** AWS: names and values of user metadata together. */
  userMetadataBytesMax: 2 * KIB,
  /** AWS: one PUT carries at most 5 GiB, of an object or of a part. */
  putBytesMax: 5 * GIB,
  /** AWS: 48.8 TiB (10,000 parts of 5 GiB). */
  objectBytesMax: 10_000 * 5 * GIB,
  partBytesMin: 5 * MIB,
  partNumberMax: 10_000,
  deleteObjectsKeysMax: 1000,
  listKeysMax: 1000,
  objectTagsMax: 10,
  bucketTagsMax: 50,
  tagKeyCharsMax: 128,
  tagValueCharsMax: 256,
  policyBytesMax: 20 * KIB,
  /** Of a request's value that is compared with patterns; AWS takes no longer headers at all. */
  policyValueCharsMax: 8 * KIB,
  /** Policies of one access key, those of grants included. */
  keyPoliciesMax: 20,
  /** Complete of 10,000 parts with five checksums each fits; a bomb does not. */
  xmlBodyBytesMax: 4 * MIB,
  /**
   * The largest document of an unsigned request: it is read before the request is allowed anything.
   */
  unsignedXmlBytesMax: 256 * KIB,
  xmlDepthMax: 16,
  jsonBodyBytesMax: 1 * MIB,
  headerBlockBytesMax: 32 * KIB,
  headerCountMax: 100,
  /** AWS: a request's date may differ from ours by 15 minutes. */
  requestSkewMsMax: 15 * 60 * 1000,
  /** AWS: a presigned URL lives at most seven days. */
  presignedSecondsMax: 7 * 24 * 3600,
  /** One chunk of an aws-chunked body, header line included; AWS SDKs send 64 KiB to 1 MiB. */
  awsChunkBytesMax: 16 * MIB,
  awsChunkHeaderBytesMax: 1 * KIB,
  awsTrailerBytesMax: 4 * KIB,
  /** Bodies up to this live beside their operation in the commit lane. */
  inlineBodyBytesMax: 128 * KIB,
  /** Larger bodies are cut into chunks at these boundaries. */
  chunkBytes: 4 * MIB,
  /** A chunk's checksums cover slices of this size, so that a range need not read a whole chunk. */
  sliceBytes: 1 * MIB,
  /** Recently used rows of objects, decoded: about 1 KiB each. */
  hotRowsMax: 16_384,
  /** Recently used small bodies, verified, in memory; larger ones are left to the page cache. */
  hotBodiesBytesMax: 32 * MIB,
  hotBodyBytesMax: 16 * KIB,
  /** Of rows and bodies beyond those one of so many is kept: walks over all push out little. */
  hotAdmitOneOf: 8,
  /** Direct I/O: offsets and lengths are multiples of this. */
  pageBytes: 4 * KIB,
  segmentIdleMsMax: 10 * 60 * 1000,
  /** The largest commit batch; further writes wait for the next one. */
  batchBytesMax: 4 * MIB,
  batchBytesMaxBuffered: 256 * KIB,
  /** Writes waiting for the commit lane; beyond this new ones are told to slow down. */
  commitQueueBytesMax: 64 * MIB,
  /** Large bodies being received at once; each holds up to two chunk buffers. */
  stagedBodiesMax: 64,
  /** First path segments counted by name in a bucket; the rest is counted under "other". */
  usagePrefixesMax: 1000,
  usagePrefixBytesMax: 128,
  /** How long the result of a completed upload is kept for a client that retries. */
  completedUploadMsMin: 24 * 3600 * 1000,
  statsNamesMax: 1000,
  /** AWS: one object takes at most so many appends. */
  appendsMax: 10_000,
  /** Client tokens of recent renames that are remembered. */
  renameTokensMax: 10_000,
  /** Disk space set aside in a file: room for some ten thousand deletes on a full disk. */
  reserveFileBytes: 16 * MIB,
  /**
   * Sealing keys: enough for a new one every hour for more than a month. All are read at every
   * start.
   */
  keyRingKeysMax: 1000,
  /** Versions that one step of a walk over all envelopes looks at. */
  rewrapVersionsMax: 1000,
  /** Requests under way at once; more are told to slow down. */
  requestsMax: 4096,
  /** Addresses and keys with failed authentications that are remembered. */
  failureEntriesMax: 4096,
  /** AWS: rules of one bucket. */
  corsRulesMax: 100,
  /** AWS: documents of these two settings. */
  corsBytesMax: 64 * KIB,
  websiteBytesMax: 128 * KIB,
  lifecycleRulesMax: 1000,
  /** Actions that a lifecycle plan lists. */
  lifecyclePlanMax: 10_000,
  websiteRulesMax: 50,
  /** AWS: names and values of a form before its file. */
  formFieldsBytesMax: 20 * KIB,
  /** The same with the delimiters and headers of parts. */
  formHeadBytesMax: 64 * KIB,
  /**
   * How long a conflict (a write that lost to one that did not know of it) is kept, by its own
   * clock.
   */
  conflictRetentionMs: 30 * 24 * 3_600_000,
  /**
   * How long a site with peers keeps its log, whoever has it already: for sites that join or
   * restore.
   */
  historyRetentionMs: 7 * 24 * 3_600_000,
  /**
   * A peer that was silent for longer has to take over rows: the disk must not fill to wait for it.
   */
  peerRetentionMs: 30 * 24 * 3_600_000,
  /** Conflicts in one answer. */
  conflictsPageMax: 1000,
  /** Requests that wait for a write of another site, and for how long at most. */
  appliedWaitersMax: 1000,
  appliedWaitMsMax: 60_000,
  /** How far ahead a clock, of another site or our own, may be and still be believed. */
  clockDriftMsMax: 5000,
  /**
   * The largest body of a conditional write that is forwarded in one message, whole in memory at
   * both sites.
   */
  forwardedBodyBytesMax: 8 * MIB,
  forwardsMax: 16,
  /** Larger bodies are forwarded in pieces: their size, and how many such requests there may be. */
  forwardedPieceBytes: 4 * MIB,
  forwardedFlowsMax: 16,
  forwardedFlowIdleMs: 60_000,
  /** Messages of one peer that are remembered, so that none is accepted twice. */
  replicationNoncesMax: 16_384,
  /** Origins that a site may have heard of: one for each incarnation of each site. */
  replicationOriginsMax: 1024,
  /** Runs of operations of an origin that a site names when it says what waits for its bytes. */
  replicationHolesMax: 64,
  /**
   * Bytes of operations and small bodies that a peer asks for at once, and the most that may
   * arrive.
   */
  replicationPageBytes: 4 * MIB,
  replicationAnswerBytesMax: 16 * MIB,
  /** Bytes of the latest batches that are kept in memory while peers read the end of the log. */
  recentBatchesBytesMax: 16 * MIB,
  /** How long a peer may wait for operations that are not there yet. */
  replicationWaitMsMax: 30_000,
  /** Manifests (lists of chunks) asked for at once; that of a 5 GiB body has 46 KiB. */
  replicationManifestsMax: 128,
  /**
   * Bytes of large bodies fetched before a page is taken; what is more is fetched in the
   * background.
   */
  replicationFetchNowBytes: 8 * MIB,
  /**
   * Large bodies that are fetched at once, each with two chunks in memory; and so many when they
   * are of different origins, so that one whose site does not answer keeps no other waiting.
   */
  replicationFetchesMax: 4,
  replicationFetchesOfAllMax: 8,
  /** How long chunks are kept for a peer that was told of them, and for how many manifests. */
  replicationLeaseMs: 60_000,
  replicationLeasesMax: 1024,
  /** Length of a row's position: bucket, key and version with their separators. */
  rowPositionCharsMax: 2048,
  /** Rows that a peer asks for by position at once. */
  rowsAskedMax: 256,
  /** Ranges of rows compared at once, and how many rows of a range are hashed. */
  rowRangesMax: 64,
  rowsHashedMax: 50_000,
  rowsListedMax: 512,
  /** Rows that a bootstrap leaves out, for their bytes are damaged at its source, at most. */
  rowsOwedMax: 1024,
  /** Overwritten writes, not yet arrived, that a site taking over rows is told of. */
  settledWritesMax: 8192,
  /** Operations that come once more to a site taking over rows: they stand behind parked ones. */
  operationsAgainMax: 100_000,
  /** Sites that take over all rows of this one at the same time. */
  bootstrapsServedMax: 4,
  /** How long the log that a bootstrap rests on is kept after the other site was last heard. */
  bootstrapLeaseMs: 60 * 60 * 1000,
} as const;
