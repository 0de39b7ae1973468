import { type OriginId, parseSeq, type Seq } from "../../src/core/names.ts";
import { chainAfter, decodeOperation } from "../../src/core/operation-codec.ts";
import type { Hash } from "../../src/ports/hash.ts";
import type {
  IncomingManifest,
  IncomingOperation,
  IngestOutcome,
  LogEntry,
  Replica,
  SignedHead,
} from "../../src/storage/replica.ts";
import type { Store } from "../../src/storage/store.ts";
import type { Running } from "../sim/sim-machine.ts";

/** A site whose log is handed on, wherever it lives. */
export type LogSite = {
  readonly store: Store;
  readonly running: Running;
  readonly hash: Hash;
};

const PARKED = { kind: "parked", reason: "it is on its way" } as const;

/** How far a site is, as a vector to ask another one with. */
export function positionOf({ store }: LogSite): Map<OriginId, Seq> {
  return new Map(Array.from(store.replica.received(), ([origin, { seq }]) => [origin, seq]));
}

/** Hands one page over, as replication would, without a network. */
export async function handOver(
  from: LogSite,
  to: LogSite,
  bytesMax = 1024 * 1024,
  isParked: () => boolean = () => false,
): Promise<readonly IngestOutcome[]> {
  const page = await from.store.replica.readLog(positionOf(to), bytesMax);
  if (page.outcome !== "page") throw new Error("the log begins later");
  const incoming: IncomingOperation[] = [];
  for (const entry of page.entries) {
    const parked = { ...entry, inline: undefined, state: PARKED };
    const taken = isParked() ? parked : await whole(from.store.replica, to.store.replica, entry);
    incoming.push(taken);
  }
  const heads = [...page.heads, ...signedHere(from, page.entries)];
  return await to.store.replica.ingest(incoming, heads);
}

/** Hands over until there is nothing more. */
export async function handOverAll(from: LogSite, to: LogSite, bytesMax?: number): Promise<void> {
  for (;;) {
    const outcomes = await handOver(from, to, bytesMax);
    // Bytes that were here go with a delete in the page, and are brought with the next one.
    const isTaken = outcomes.some(({ outcome }) => outcome === "applied");
    const refused = outcomes.find((one) => one.outcome === "refused" && !mayCome(one, isTaken));
    if (refused !== undefined) throw new Error(`refused: ${JSON.stringify(refused)}`);
    if (outcomes.length === 0) return;
  }
}

function mayCome(refused: IngestOutcome & { outcome: "refused" }, isTaken: boolean): boolean {
  return isTaken && (refused.reason === "bytes" || refused.reason === "gap");
}

/** Fetches what is parked at a site from another one, as far as that has it. */
export async function fetchParked(from: LogSite, to: LogSite): Promise<void> {
  const { replica } = to.store;
  for (const { dot } of replica.parked()) {
    const after = new Map(positionOf(from));
    after.set(dot.origin, seqBefore(dot.seq));
    const page = await from.store.replica.readLog(after, 1);
    const [entry] = page.outcome === "page" ? page.entries : [];
    if (entry === undefined || entry.missing === "parked") continue;
    await replica.ingest([await whole(from.store.replica, replica, entry)], []);
  }
}

function seqBefore(seq: Seq): Seq {
  return parseSeq(seq - 1) ?? seq;
}

/** An operation with everything of its body that the other store lacks. */
export async function whole(
  source: Replica,
  target: Replica,
  entry: LogEntry,
): Promise<IncomingOperation> {
  if (entry.missing === "void") return { ...entry, state: { kind: "void" } };
  if (entry.missing === "parked")
    return { ...entry, state: { kind: "parked", reason: "so there" } };
  const { body } = decodeOperation(entry.encoded);
  const manifests: IncomingManifest[] = [];
  if (body.kind === "object-put" && body.object.body.kind === "manifests") {
    for (const { hash } of body.object.body.manifests) {
      const incoming = await manifestOf(source, target, hash);
      if (incoming === "gone") return { ...entry, state: { kind: "void" } };
      if (incoming !== undefined) manifests.push(incoming);
    }
  }
  return { ...entry, state: { kind: "whole", manifests } };
}

async function manifestOf(
  source: Replica,
  target: Replica,
  hash: IncomingManifest["hash"],
): Promise<IncomingManifest | "gone" | undefined> {
  if (target.manifest(hash) !== undefined) return undefined;
  const chunks = source.manifest(hash);
  if (chunks === undefined) return "gone";
  const writer = await target.stageBody();
  for (const chunk of chunks) {
    if (target.hasChunk(chunk.hash)) continue;
    const bytes = await source.readChunk(chunk.hash, 0, chunk.bytes);
    if (bytes === undefined) return "gone";
    await writer.write(bytes);
  }
  return { hash, chunks, staged: await writer.finish() };
}

/** Heads of the page's end, as if the site had signed them that hands it over. */
export function signedHere(
  { store, running, hash }: LogSite,
  entries: readonly LogEntry[],
): SignedHead[] {
  const last = entries.findLast(({ encoded }) => {
    return decodeOperation(encoded).dot.origin === store.replica.origin;
  });
  return last === undefined ? [] : [headOf(last.encoded, running.site.identity.siteId, hash)];
}

/** A signature that nobody has checked, of the place behind an operation. */
export function headOf(encoded: Uint8Array, site: SignedHead["site"], hash: Hash): SignedHead {
  const { dot, chainBefore } = decodeOperation(encoded);
  const chain = chainAfter((bytes) => hash.digest("SHA256", bytes), chainBefore, encoded);
  return { ...dot, site, chain, signature: Buffer.alloc(64, 7) };
}

/** What one site has beyond another, said to be whole. */
export async function entriesFor(from: LogSite, to: LogSite): Promise<IncomingOperation[]> {
  const page = await from.store.replica.readLog(positionOf(to), 1024 * 1024);
  if (page.outcome !== "page") throw new Error("no page");
  return page.entries.map((entry) => ({ ...entry, state: { kind: "whole", manifests: [] } }));
}
