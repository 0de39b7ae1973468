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
  /** AWS: one PUT carries at most 5 GiB. */
  putBytesMax: 5 * GIB,
  /** AWS: 48.8 TiB (10,000 parts of 5 GiB). */
  objectBytesMax: 10_000 * 5 * GIB,
  partBytesMin: 5 * MIB,
  partBytesMax: 5 * GIB,
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
  /** Of one access key, grants included. */
  keyPoliciesMax: 20,
  /** Complete of 10,000 parts with five checksums each fits; a bomb does not. */
  xmlBodyBytesMax: 4 * MIB,
  /** Of a request that nobody signed: what is read of it before anything is allowed to it. */
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
  /** Decoded rows of objects asked for lately, about 1 KiB each. */
  hotRowsMax: 16_384,
  /** Verified small bodies asked for lately, in memory; larger ones are left to the page cache. */
  hotBodiesBytesMax: 32 * MIB,
  hotBodyBytesMax: 16 * KIB,
  /** Direct I/O: offsets and lengths are multiples of this. */
  pageBytes: 4 * KIB,
  segmentIdleMsMax: 10 * 60 * 1000,
  /** One commit batch; more waits for the next. */
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
  /** Tokens of renames that were done lately. */
  renameTokensMax: 10_000,
  /** Set aside in a file: room for some ten thousand deletes on a disk that is full. */
  reserveFileBytes: 16 * MIB,
  /** A new key every hour for more than a month; every one is read at every start. */
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
  /** Actions that one plan tells. */
  lifecyclePlanMax: 10_000,
  websiteRulesMax: 50,
  /** AWS: names and values of a form before its file. */
  formFieldsBytesMax: 20 * KIB,
  /** The same with delimiters and headers of parts. */
  formHeadBytesMax: 64 * KIB,
  /** How long a write that lost to one that did not know of it is kept, by its own clock. */
  conflictRetentionMs: 30 * 24 * 3_600_000,
  /** Once a site has peers its log keeps so much, whoever has it: for whoever joins or restores. */
  historyRetentionMs: 7 * 24 * 3_600_000,
  /** A peer that was silent for longer has to take over rows; no disk is filled to wait for it. */
  peerRetentionMs: 30 * 24 * 3_600_000,
  /** Conflicts in one answer. */
  conflictsPageMax: 1000,
  /** Requests that wait for a write of another site, and for how long at most. */
  appliedWaitersMax: 1000,
  appliedWaitMsMax: 60_000,
  /** A clock may be ahead by so much, another site's or our own, before it is not believed. */
  clockDriftMsMax: 5000,
  /** Body of a conditional write that another site judges; whole in memory at both up to this. */
  forwardedBodyBytesMax: 8 * MIB,
  forwardsMax: 16,
  /** Larger ones travel in pieces; so many at once, and given up when nothing more comes. */
  forwardedPieceBytes: 4 * MIB,
  forwardedFlowsMax: 16,
  forwardedFlowIdleMs: 60_000,
  /** Messages of one peer that are remembered, so that none is taken twice. */
  replicationNoncesMax: 16_384,
  /** Origins that a site tells of: one for each life of each site. */
  replicationOriginsMax: 1024,
  /** Operations and small bodies that a peer asks for at once; an answer may be a bit more. */
  replicationPageBytes: 4 * MIB,
  replicationAnswerBytesMax: 16 * MIB,
  /** Of the batches written last, kept in memory while peers read the end of the log. */
  recentBatchesBytesMax: 16 * MIB,
  /** How long a peer may wait for operations that are not there yet. */
  replicationWaitMsMax: 30_000,
  /** Lists of chunks that are asked for at once; that of 5 GiB is 46 KiB. */
  replicationManifestsMax: 128,
  /** Bytes of large bodies that are fetched with a page; what is more is fetched beside it. */
  replicationFetchNowBytes: 8 * MIB,
  /**
   * Large bodies that are fetched at once, each with two chunks in memory; and so many when they
   * are of different origins, so that one whose site does not answer keeps no other waiting.
   */
  replicationFetchesMax: 2,
  replicationFetchesOfAllMax: 8,
  /** How long chunks are kept for a peer that was told of them, and of how many manifests. */
  replicationLeaseMs: 60_000,
  replicationLeasesMax: 1024,
  /** Position of a row: bucket, key and version with what separates them. */
  rowPositionCharsMax: 2048,
  /** Rows that a peer asks for by position at once. */
  rowsAskedMax: 256,
  /** Ranges of rows that are compared at once; one is hashed so far, listed when it is so short. */
  rowRangesMax: 64,
  rowsHashedMax: 50_000,
  rowsListedMax: 512,
  /** Writes that are known to be overwritten before they come, told to who takes over rows. */
  settledWritesMax: 8192,
  /** Sites that take over all rows of this one at the same time. */
  bootstrapsServedMax: 4,
  /** How long what a bootstrap rests on is kept after it was last heard of. */
  bootstrapLeaseMs: 60 * 60 * 1000,
} as const;
