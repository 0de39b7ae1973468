import { createHash } from "node:crypto";
import { parseSeq } from "../../src/core/names.ts";
import { decodeOperation } from "../../src/core/operation-codec.ts";
import type { Hash } from "../../src/ports/hash.ts";
import type {
  IncomingManifest,
  IncomingOperation,
  LogEntry,
  Replica,
  SignedHead,
} from "../../src/storage/replica.ts";
import type { Store } from "../../src/storage/store.ts";
import { Seed } from "./seed.ts";
import { SimMachine } from "./sim-machine.ts";
import { BrokenPromise, ELSEWHERE, readBody } from "./store-check.ts";
import { bucketOf, keyOf } from "./store-journal.ts";

const DAY_MS = 24 * 3_600_000;
const OPERATIONS = 60;
const SIZES = [0, 5, 900, 4000, 150_000];

type Written = {
  readonly entry: LogEntry;
  readonly manifests: ReadonlyArray<{
    readonly manifest: IncomingManifest;
    readonly bytes: Buffer;
  }>;
  readonly head: SignedHead;
  /** What the bucket holds behind this operation: keys and their bytes. */
  readonly shown: string;
};

/** What another site wrote once, to be taken in by a site that is tried. */
export type ForeignLog = readonly Written[];

let written: Promise<ForeignLog> | undefined;

/** The same log for everybody: writing it takes longer than a schedule. */
export function foreignLog(hash: Hash): Promise<ForeignLog> {
  written ??= writeLog(hash);
  return written;
}

async function writeLog(hash: Hash): Promise<ForeignLog> {
  const seed = new Seed("elsewhere");
  const machine = new SimMachine(seed, { hash, directIo: "off", segmentBytes: 1024 * 1024 });
  // Behind every clock of the sites that are tried, wherever those jump.
  machine.clock.jump(-DAY_MS);
  const { site } = await machine.open();
  const { store } = site;
  const bucket = bucketOf(ELSEWHERE);
  await store.createBucket({ name: bucket, owner: "o" });
  const log = [await lastOf(store, site.identity.siteId)];
  for (let count = 0; count < OPERATIONS; count++) {
    machine.clock.leap(seed.int(50));
    const key = keyOf(seed.pick(["a", "dir/b", "c"]));
    if (seed.chance(0.25)) await store.deleteObject({ bucket, key });
    else await putSome(store, key, seed);
    const last = await lastOf(store, site.identity.siteId);
    // A delete of nothing is no operation.
    if (last.head.seq > (log.at(-1)?.head.seq ?? 0)) log.push(last);
  }
  await site.close();
  return log;
}

async function putSome(store: Store, key: ReturnType<typeof keyOf>, seed: Seed): Promise<void> {
  const bytes = seed.bytes(seed.pick(SIZES));
  const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
  const rest = { checksums: [], parts: [], encryption: undefined };
  const etag = createHash("md5").update(bytes).digest("hex");
  const object = { size: bytes.length, etag, attributes, ...rest };
  const name = { bucket: bucketOf(ELSEWHERE), key, object };
  if (bytes.length <= 128 * 1024) {
    await store.putObject({ ...name, body: { kind: "inline", bytes } });
    return;
  }
  const writer = await store.stageBody();
  await writer.write(bytes);
  await store.putObject({ ...name, body: { kind: "staged", staged: await writer.finish() } });
}

async function lastOf(store: Store, siteId: SignedHead["site"]): Promise<Written> {
  const { replica } = store;
  const head = replica.received().get(replica.origin);
  if (head === undefined) throw new Error("nothing was written");
  const { origin, seq, chain } = head;
  const after = new Map([...replica.applied()]);
  after.set(origin, parseSeq(seq - 1) ?? seq);
  const page = await replica.readLog(after, 1);
  const [entry] = page.outcome === "page" ? page.entries : [];
  if (entry === undefined) throw new Error("an operation is not in the log");
  const signature = Buffer.alloc(64, seq);
  return {
    entry,
    manifests: await manifestsOf(replica, entry),
    head: { origin, site: siteId, seq, chain, signature },
    shown: await showElsewhere(store),
  };
}

async function manifestsOf(replica: Replica, entry: LogEntry): Promise<Written["manifests"]> {
  const { body } = decodeOperation(entry.encoded);
  if (body.kind !== "object-put" || body.object.body.kind !== "manifests") return [];
  const found: Array<Written["manifests"][number]> = [];
  for (const { hash } of body.object.body.manifests) {
    const chunks = replica.manifest(hash) ?? [];
    const parts: Buffer[] = [];
    for (const chunk of chunks) {
      parts.push((await replica.readChunk(chunk.hash, 0, chunk.bytes)) ?? Buffer.alloc(0));
    }
    const bytes = Buffer.concat(parts);
    found.push({ manifest: { hash, chunks, staged: undefined }, bytes });
  }
  return found;
}

/** Keys and bytes of what stands in the bucket; empty when there is none yet. */
async function showElsewhere(store: Store): Promise<string> {
  const bucket = bucketOf(ELSEWHERE);
  if (store.bucket(bucket) === undefined) return "";
  const cursor = store.objects(bucket);
  const keys: string[] = [];
  for (let next = cursor.next(); next !== undefined; next = cursor.next()) keys.push(next.key);
  cursor.close();
  const shown: string[] = [];
  for (const key of keys) {
    const object = store.object(bucket, keyOf(key));
    if (object === undefined) continue;
    const bytes = await readBody(store, object, 0, object.record.size);
    shown.push(`${key}=${bytes.toString("base64")}`);
  }
  return JSON.stringify(shown);
}

/** Takes pages of another site's log into a site that lives dangerously, and looks after crashes. */
export class ForeignFeed {
  readonly #log: ForeignLog;
  readonly #seed: Seed;
  /** How many operations the site has said that it has. */
  #acknowledged = 0;
  #feeding: Promise<void> = Promise.resolve();

  constructor(log: ForeignLog, seed: Seed) {
    this.#log = log;
    this.#seed = seed;
  }

  /** Hands the next page over, or one that begins earlier; one page after the other. */
  feed(store: Store): Promise<void> {
    const fed = this.#feeding.then(() => this.#feedNext(store));
    this.#feeding = fed.catch(() => undefined);
    return fed;
  }

  /** A new life begins: what hung in the one before never comes back. */
  begin(): void {
    this.#feeding = Promise.resolve();
  }

  async #feedNext({ replica }: Store): Promise<void> {
    const [first] = this.#log;
    if (first === undefined) return;
    const have = replica.received().get(first.head.origin)?.seq ?? 0;
    const from = this.#seed.chance(0.2) ? this.#seed.int(have + 1) : have;
    const page = this.#log.slice(from, from + 1 + this.#seed.int(8));
    const incoming: IncomingOperation[] = [];
    for (const one of page) incoming.push(await this.#incomingOf(replica, one));
    const last = page.at(-1);
    const outcomes = await replica.ingest(incoming, last === undefined ? [] : [last.head]);
    const refused = outcomes.find(({ outcome }) => outcome === "refused");
    if (refused !== undefined) throw new BrokenPromise(`refused: ${JSON.stringify(refused)}`);
    this.#acknowledged = Math.max(this.#acknowledged, from + page.length);
  }

  async #incomingOf(replica: Replica, one: Written): Promise<IncomingOperation> {
    if (this.#seed.chance(0.15)) {
      const state = { kind: "parked", reason: "it is on its way" } as const;
      return { ...one.entry, inline: undefined, state };
    }
    const manifests: IncomingManifest[] = [];
    for (const { manifest, bytes } of one.manifests) {
      if (replica.manifest(manifest.hash) !== undefined) continue;
      const writer = await replica.stageBody();
      await writer.write(bytes);
      manifests.push({ ...manifest, staged: await writer.finish() });
    }
    return { ...one.entry, state: { kind: "whole", manifests } };
  }

  /** What was acknowledged is there, parked operations come, and the bucket is as its log says. */
  async look(store: Store): Promise<void> {
    const { replica } = store;
    const [first] = this.#log;
    if (first === undefined) return;
    const { origin } = first.head;
    const have = replica.received().get(origin)?.seq ?? 0;
    if (have < this.#acknowledged) {
      throw new BrokenPromise(
        `${have} operations of another site are left of ${this.#acknowledged}`,
      );
    }
    this.#acknowledged = have;
    for (const { dot } of replica.parked()) {
      const one = this.#log[dot.seq - 1];
      const entry = await replica.parkedEntry(dot);
      if (one === undefined || !Buffer.from(one.entry.encoded).equals(entry?.encoded ?? NOTHING)) {
        throw new BrokenPromise(`operation ${dot.seq} was parked and is not in the log`);
      }
    }
    if (replica.parked().length > 0) return;
    const wanted = this.#log[have - 1]?.shown ?? "";
    const shown = await showElsewhere(store);
    if (shown !== wanted) throw new BrokenPromise(`elsewhere has ${shown.slice(0, 200)}`);
  }
}

const NOTHING = Buffer.alloc(0);
