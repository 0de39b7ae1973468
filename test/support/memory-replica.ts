import { createHash } from "node:crypto";
import { type Hole, type Holes, holeOf } from "../../src/core/applied-set.ts";
import { ByteWriter, toHex } from "../../src/core/bytes.ts";
import { type HeadStatement, signHead } from "../../src/core/head-signature.ts";
import { hlcFromMs, hlcMs } from "../../src/core/hlc.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { encodeManifest } from "../../src/core/manifest-codec.ts";
import {
  type ContentHash,
  type OriginId,
  parseBucketName,
  parseContentHash,
  parseObjectKey,
  parseSeq,
  type Seq,
  type SiteId,
} from "../../src/core/names.ts";
import {
  decodeOperation,
  encodeOperation,
  operationHeader,
} from "../../src/core/operation-codec.ts";
import type {
  Dot,
  ManifestChunk,
  ManifestRef,
  ObjectRecord,
  OperationBody,
  Vector,
} from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import type { Hash } from "../../src/ports/hash.ts";
import { chainBehind, dotOf } from "../../src/replication/log-entries.ts";
import type { LogOwner } from "../../src/replication/page-server.ts";
import type {
  IncomingOperation,
  IngestOutcome,
  LogEntry,
  LogPage,
  OriginHead,
  ParkedOperation,
  ParkedPart,
  Replica,
  SignedHead,
} from "../../src/storage/replica.ts";
import type { BodyWriter, StagedBody } from "../../src/storage/store.ts";

const ZERO_CHAIN = Buffer.alloc(32);

class MemoryStaged implements StagedBody {
  readonly bytes: number;
  readonly pieces: readonly Buffer[];
  discarded = false;

  constructor(pieces: readonly Buffer[]) {
    this.pieces = pieces;
    this.bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  discard(): void {
    this.discarded = true;
  }
}

/** A log and its chunks in memory, for tests of what moves operations. */
export class MemoryReplica implements Replica {
  readonly origin: OriginId;
  readonly ownOrigins: ReadonlySet<OriginId>;
  readonly entries: LogEntry[] = [];
  readonly chunks = new Map<ContentHash, Buffer>();
  readonly manifests = new Map<ContentHash, readonly ManifestChunk[]>();
  readonly acknowledged = new Map<SiteId, Vector>();
  readonly staged: MemoryStaged[] = [];
  readonly leased: ContentHash[][] = [];
  /** Puts that are not wanted any more. */
  readonly gone = new Set<string>();
  nowMs: () => number = () => 0;
  readonly #hash: Hash;
  readonly #heads = new Map<OriginId, OriginHead>();
  readonly #signed: SignedHead[] = [];
  readonly #parked = new Map<string, ParkedOperation>();
  readonly #listeners = new Set<() => void>();

  constructor(origin: OriginId, hash: Hash) {
    this.origin = origin;
    this.ownOrigins = new Set([origin]);
    this.#hash = hash;
  }

  /** An operation of this site itself. */
  write(body: OperationBody, inline?: Uint8Array, hlcAtMs = this.nowMs()): Dot {
    const head = this.#heads.get(this.origin);
    const seq = seqOf((head?.seq ?? 0) + 1);
    const writer = new ByteWriter();
    encodeOperation(writer, {
      ...{ dot: { origin: this.origin, seq }, hlc: hlcFromMs(hlcAtMs), body },
      chainBefore: head?.chain ?? ZERO_CHAIN,
      ...{ vector: { full: false, entries: new Map() }, group: undefined, unknownFields: [] },
    });
    this.#append({ encoded: writer.finish(), inline });
    this.#tell();
    return { origin: this.origin, seq };
  }

  /** A large object of this site: its chunks, manifest and operation. */
  writeLarge(key: string, pieces: readonly Buffer[]): Dot {
    const chunks = pieces.map((piece) => {
      const hash = this.#name(piece);
      this.chunks.set(hash, piece);
      return { hash, bytes: piece.length };
    });
    const hash = this.#name(encodeManifest(chunks));
    this.manifests.set(hash, chunks);
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    return this.write(largePutOf(key, [{ hash, bytes }]));
  }

  /** Forgets all but the first operations, as a backup that is put back does. */
  setBack(count: number): void {
    const kept = this.entries.splice(0).slice(0, count);
    this.#heads.clear();
    for (const entry of kept) this.#append(entry);
  }

  received(): ReadonlyMap<OriginId, OriginHead> {
    return new Map(this.#heads);
  }

  applied(): Vector {
    const applied = new Map<OriginId, Seq>();
    for (const [origin, { seq }] of this.#heads) applied.set(origin, seq);
    for (const { dot } of this.#parked.values()) {
      const before = Math.min(applied.get(dot.origin) ?? 0, dot.seq - 1);
      applied.set(dot.origin, seqOf(before));
    }
    return applied;
  }

  holes(): Holes {
    const holes = new Map<OriginId, Hole>();
    for (const [origin, { seq }] of this.#heads) {
      const parked = [...this.#parked.values()].filter(({ dot }) => dot.origin === origin);
      const seqs = parked.map(({ dot }) => dot.seq).sort((left, right) => left - right);
      const hole = holeOf(seq, seqs, LIMITS.replicationHolesMax);
      if (hole !== undefined) holes.set(origin, hole);
    }
    return holes;
  }

  parkedCount(): number {
    return this.#parked.size;
  }

  parked(part?: ParkedPart): readonly ParkedOperation[] {
    const all = [...this.#parked.values()];
    if (part === undefined) return all;
    const { origin, behind, countMax } = part;
    const those = all.filter(({ dot }) => dot.origin === origin && dot.seq > behind);
    return those.sort((left, right) => left.dot.seq - right.dot.seq).slice(0, countMax);
  }

  floors(): Vector {
    return new Map();
  }

  async readLog(after: Vector, bytesMax: number): Promise<LogPage> {
    const entries: LogEntry[] = [];
    let bytes = 0;
    let more = false;
    for (const entry of this.entries) {
      const { origin, seq } = dotOf(entry.encoded);
      if (seq <= (after.get(origin) ?? 0)) continue;
      more = bytes >= bytesMax;
      if (more) break;
      entries.push(entry);
      bytes += entry.encoded.length + (entry.inline?.length ?? 0);
    }
    const ends = lastOf(entries);
    const heads = this.#signed.filter(({ origin, seq }) => ends.get(origin) === seq);
    return { outcome: "page", entries, heads, more };
  }

  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async ingest(
    operations: readonly IncomingOperation[],
    heads: readonly SignedHead[],
  ): Promise<readonly IngestOutcome[]> {
    const outcomes = operations.map((operation) => this.#take(operation));
    this.#signed.push(...heads);
    this.#tell();
    return outcomes;
  }

  async parkedEntry({ origin, seq }: Dot): Promise<LogEntry | undefined> {
    if (!this.#parked.has(`${origin} ${seq}`)) return undefined;
    return this.entries.find(({ encoded }) => {
      const dot = dotOf(encoded);
      return dot.origin === origin && dot.seq === seq;
    });
  }

  superseded({ dot }: { readonly dot: Dot }): boolean {
    return this.gone.has(`${dot.origin} ${dot.seq}`);
  }

  /** Parked operations that were given up. */
  readonly givenUp: string[] = [];

  async giveUp({ origin, seq }: Dot): Promise<boolean> {
    const name = `${origin} ${seq}`;
    if (!this.#parked.has(name)) return false;
    this.givenUp.push(name);
    this.gone.add(name);
    return true;
  }

  acknowledge(site: SiteId, applied: Vector): void {
    this.acknowledged.set(site, applied);
  }

  holdLog(): () => void {
    return () => undefined;
  }

  manifest(hash: ContentHash): readonly ManifestChunk[] | undefined {
    return this.manifests.get(hash);
  }

  hasChunk(hash: ContentHash): boolean {
    return this.chunks.has(hash);
  }

  async readChunk(hash: ContentHash, offset: number, bytes: number): Promise<Buffer | undefined> {
    return this.chunks.get(hash)?.subarray(offset, offset + bytes);
  }

  leaseChunks(hashes: readonly ContentHash[]): () => void {
    const lease = [...hashes];
    this.leased.push(lease);
    return () => {
      this.leased.splice(this.leased.indexOf(lease), 1);
    };
  }

  async stageBody(): Promise<BodyWriter> {
    const written: Buffer[] = [];
    return {
      write: (bytes) => {
        written.push(Buffer.from(bytes));
        return undefined;
      },
      finish: async () => {
        const all = Buffer.concat(written);
        const pieces: Buffer[] = [];
        for (let at = 0; at < all.length; at += LIMITS.chunkBytes) {
          pieces.push(all.subarray(at, at + LIMITS.chunkBytes));
        }
        const staged = new MemoryStaged(pieces);
        this.staged.push(staged);
        return staged;
      },
      abort: () => {
        written.length = 0;
      },
    };
  }

  #take({ encoded, inline, state }: IncomingOperation): IngestOutcome {
    const { hlc } = operationHeader(encoded);
    const dot = dotOf(encoded);
    const name = `${dot.origin} ${dot.seq}`;
    const head = this.#heads.get(dot.origin);
    const known = head?.seq ?? 0;
    if (dot.seq <= known && !this.#parked.has(name)) return { outcome: "duplicate" };
    if (dot.seq > known + 1) return refusal("gap", dot);
    if (hlcMs(hlc) > this.nowMs() + 5000) return refusal("clock", dot);
    if (state.kind === "whole" && !this.#keepBytes(encoded, state.manifests)) {
      return refusal("bytes", dot);
    }
    if (dot.seq === known + 1) this.#append({ encoded, inline });
    if (state.kind === "parked") this.#parked.set(name, { dot, hlc, reason: state.reason });
    else this.#parked.delete(name);
    const isTaken = state.kind === "whole" || state.kind === "remote";
    return { outcome: isTaken ? "applied" : state.kind };
  }

  #keepBytes(
    encoded: Uint8Array,
    manifests: Extract<IncomingOperation["state"], { kind: "whole" }>["manifests"],
  ): boolean {
    for (const { hash, chunks, staged } of manifests) {
      if (staged instanceof MemoryStaged) {
        for (const piece of staged.pieces) this.chunks.set(this.#name(piece), piece);
      }
      if (!chunks.every((chunk) => this.chunks.has(chunk.hash))) return false;
      this.manifests.set(hash, chunks);
    }
    const { body } = decodeOperation(encoded);
    if (body.kind !== "object-put" || body.object.body.kind !== "manifests") return true;
    return body.object.body.manifests.every(({ hash }) => this.manifests.has(hash));
  }

  #append(entry: LogEntry): void {
    const { hlc } = operationHeader(entry.encoded);
    const { origin, seq } = dotOf(entry.encoded);
    this.entries.push(entry);
    this.#heads.set(origin, { origin, seq, chain: chainBehind(this.#hash, entry.encoded), hlc });
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #name(bytes: Uint8Array): ContentHash {
    return required(parseContentHash(toHex(this.#hash.digest("BLAKE3", bytes))), "hash");
  }
}

/** A put of a small object with nothing special about it: its ETag is the MD5 of its bytes. */
export function putOf(key: string, body: Uint8Array): OperationBody {
  const etag = createHash("md5").update(body).digest("hex");
  return putOfRecord(key, {
    size: body.length,
    etag,
    body: { kind: "inline", bytes: body.length },
  });
}

/** A put of an object in chunks, as an upload of parts: its ETag says nothing of its bytes. */
function largePutOf(key: string, manifests: readonly ManifestRef[]): OperationBody {
  const size = manifests.reduce((sum, { bytes }) => sum + bytes, 0);
  const etag = `${"0".repeat(32)}-1`;
  return putOfRecord(key, { size, etag, body: { kind: "manifests", manifests } });
}

function putOfRecord(
  key: string,
  described: Pick<ObjectRecord, "size" | "etag" | "body">,
): OperationBody {
  return {
    kind: "object-put",
    bucket: required(parseBucketName("photos"), "bucket"),
    key: required(parseObjectKey(key), "key"),
    nullSlot: true,
    object: {
      ...{ ...described, lastModifiedMs: 0, checksums: [], parts: [], encryption: undefined },
      attributes: { system: [], user: [], storageClass: undefined, tags: [] },
    },
  };
}

/** Signs the end of what an origin wrote. */
export function signedHeadOf(owner: LogOwner, head: Omit<OriginHead, "hlc">): SignedHead {
  const { clusterId: cluster, siteId: site, keyPair } = owner;
  const { origin, seq, chain } = head;
  const statement: HeadStatement = { cluster, site, origin, seq, chain };
  return { origin, site, seq, chain, signature: signHead(keyPair, statement) };
}

function refusal(reason: "gap" | "clock" | "bytes", dot: Dot): IngestOutcome {
  return { outcome: "refused", reason, dot, message: `refused: ${reason}` };
}

function lastOf(entries: readonly LogEntry[]): Map<OriginId, number> {
  return new Map(
    entries.map(({ encoded }) => {
      const { origin, seq } = dotOf(encoded);
      return [origin, seq];
    }),
  );
}

function seqOf(value: number): Seq {
  return required(parseSeq(value), "sequence");
}
