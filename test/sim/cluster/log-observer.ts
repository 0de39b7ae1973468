import { hlcMs } from "../../../src/core/hlc.ts";
import {
  makeVersionId,
  type OriginId,
  parseSeq,
  type Seq,
  type VersionId,
} from "../../../src/core/names.ts";
import { chainAfter, decodeOperation } from "../../../src/core/operation-codec.ts";
import type { Operation, Vector } from "../../../src/core/records.ts";
import type { Hash } from "../../../src/ports/hash.ts";
import type { LogEntry, OriginHead } from "../../../src/storage/replica.ts";
import type { Store } from "../../../src/storage/store.ts";
import { BrokenPromise } from "../store-check.ts";
import { bodyOf, type Contents, describe, writerOf } from "./client-words.ts";

const PAGE_BYTES = 256 * 1024;

/** An operation as it stands in the logs, and the chain of its origin behind it. */
export type Observed = {
  readonly operation: Operation;
  readonly encoded: Uint8Array;
  readonly chain: Uint8Array;
};

/**
 * Reads the logs of all sites as they grow. What a log has once shown is durable, the same
 * everywhere, without gaps, chained, and later than what its origin wrote before.
 */
export class LogObserver {
  readonly #hash: Hash;
  readonly #contents: Contents;
  readonly #origins = new Map<OriginId, Observed[]>();
  /** Of origins whose site was set back: what stands in another history of theirs. */
  readonly #beside = new Map<OriginId, Observed[]>();
  readonly #versions = new Set<string>();
  /** Versions that were read before they were seen in a log, and what to say of them. */
  readonly #expected = new Map<VersionId, string>();
  /** How far each site's log has been read. */
  readonly #seen = new Map<string, Map<OriginId, Seq>>();

  constructor(hash: Hash, contents: Contents) {
    this.#hash = hash;
    this.#contents = contents;
  }

  /** Reads on in the log of a site. */
  async read(site: string, store: Store): Promise<void> {
    const seen = this.#seenBy(site);
    for (;;) {
      const page = await store.replica.readLog(seen, PAGE_BYTES);
      if (page.outcome === "below-floor") {
        this.#skipToFloors(seen, store.replica.floors());
        continue;
      }
      const floors = store.replica.floors();
      for (const { encoded, inline } of page.entries) {
        this.#take(site, seen, { encoded, inline, floors });
      }
      if (!page.more) return;
      if (page.entries.length === 0) throw new BrokenPromise(`${site}: a page holds nothing`);
    }
  }

  /** A site has come back: what its log had shown must still be in it. */
  restarted(site: string, store: Store): void {
    const received = store.replica.received();
    for (const [origin, seq] of this.#seenBy(site)) {
      const head = received.get(origin);
      if (head !== undefined && head.seq >= seq) continue;
      const was = `${origin}:${seq}`;
      throw new BrokenPromise(`${site} has lost ${was}, its log ends at ${head?.seq ?? 0}`);
    }
  }

  /** A site was set back: it may write other histories of its origins, until it hears of the first. */
  setBack(site: string, origins: readonly OriginId[]): void {
    this.forget(site);
    for (const origin of origins) {
      if (!this.#beside.has(origin)) this.#beside.set(origin, []);
    }
  }

  /** Whether a site was set back that wrote under this origin. */
  wasSetBack(origin: OriginId): boolean {
    return this.#beside.has(origin);
  }

  /** A site has become what it was before: it is read from its beginning again. */
  forget(site: string): void {
    this.#seen.delete(site);
  }

  /**
   * Whether a site has applied what its log shows to nobody yet: what follows was refused, so that
   * the signature behind it all did not come.
   */
  hasUnsigned(site: string, store: Store): boolean {
    const seen = this.#seenBy(site);
    return [...store.replica.received()].some(([origin, { seq }]) => seq > (seen.get(origin) ?? 0));
  }

  /** Whether a version that was read came from an operation that is in a log. */
  knowsVersion(version: VersionId): boolean {
    return this.#versions.has(version);
  }

  /** A version was read at a site whose log does not show it: it must be in that of another one. */
  expectVersion(version: VersionId, otherwise: string): void {
    this.#expected.set(version, otherwise);
  }

  /** An operation of an origin between two positions that fits. */
  find(
    origin: OriginId,
    after: number,
    upTo: number,
    fits: (operation: Operation) => boolean,
  ): boolean {
    const all = this.#origins.get(origin) ?? [];
    if (all.slice(after, upTo).some(({ operation }) => fits(operation))) return true;
    return (this.#beside.get(origin) ?? []).some(({ operation }) => {
      const { seq } = operation.dot;
      return seq > after && seq <= upTo && fits(operation);
    });
  }

  /** A site has withdrawn the end of its own log, which nobody else had. */
  withdraw(site: string, origin: OriginId, from: number): void {
    const operations = this.#origins.get(origin) ?? [];
    // Of a site that was set back the others have what stands there in its first history.
    if (!this.#beside.has(origin)) operations.length = Math.min(operations.length, from - 1);
    const seen = this.#seenBy(site);
    const left = parseSeq(Math.min(seen.get(origin) ?? 0, from - 1));
    if (left !== undefined) seen.set(origin, left);
  }

  /** Forgets what no site holds any more, because one was set back to an older state. */
  keepOnly(heads: readonly ReadonlyMap<OriginId, OriginHead>[]): void {
    for (const [origin, operations] of this.#origins) {
      const ends = heads.flatMap((each) => each.get(origin) ?? []);
      const beside = this.#beside.get(origin);
      if (beside === undefined) {
        operations.length = Math.min(operations.length, Math.max(0, ...ends.map(({ seq }) => seq)));
        continue;
      }
      const all = [...operations.splice(0), ...beside.splice(0)];
      for (const one of new Set(ends.flatMap((end) => historyTo(end, all)))) {
        const { seq } = one.operation.dot;
        if (operations[seq - 1] === undefined) operations[seq - 1] = one;
        else beside.push(one);
      }
    }
  }

  /**
   * Throws when operations are in nobody's log, because those that stand behind are, or because
   * what they wrote has been read.
   */
  checkWhole(): void {
    for (const [version, otherwise] of this.#expected) {
      if (!this.#versions.has(version)) throw new BrokenPromise(otherwise);
    }
    for (const [origin, operations] of this.#origins) {
      for (let at = 0; at < operations.length; at++) {
        if (operations[at] !== undefined) continue;
        throw new BrokenPromise(`${origin}:${at + 1} is in no log`);
      }
    }
  }

  /** Every operation that was made, by origin, in order. */
  get all(): ReadonlyMap<OriginId, readonly Observed[]> {
    return this.#origins;
  }

  /** The chain of an origin behind one of its operations. */
  chainAt(origin: OriginId, seq: number): Uint8Array | undefined {
    return this.#origins.get(origin)?.[seq - 1]?.chain;
  }

  #seenBy(site: string): Map<OriginId, Seq> {
    const seen = this.#seen.get(site) ?? new Map<OriginId, Seq>();
    this.#seen.set(site, seen);
    return seen;
  }

  #skipToFloors(seen: Map<OriginId, Seq>, floors: Vector): void {
    for (const [origin, seq] of floors) {
      if ((seen.get(origin) ?? 0) < seq) seen.set(origin, seq);
    }
  }

  #take(
    site: string,
    seen: Map<OriginId, Seq>,
    entry: Pick<LogEntry, "encoded" | "inline"> & { readonly floors: Vector },
  ): void {
    const operation = decodeOperation(entry.encoded);
    const { origin, seq } = operation.dot;
    const what = `${site}: ${describe(operation)}`;
    const before = seen.get(origin) ?? 0;
    if (seq !== before + 1) throw new BrokenPromise(`${what} stands behind ${before} of its log`);
    seen.set(origin, seq);
    const known = this.#origins.get(origin) ?? [];
    this.#origins.set(origin, known);
    const same = known[seq - 1];
    const beside = this.#beside.get(origin);
    if (same !== undefined) {
      if (sameBytes(same.encoded, entry.encoded)) return;
      if (beside === undefined) {
        throw new BrokenPromise(`${what} is ${describe(same.operation)} elsewhere`);
      }
      if (beside.some(({ encoded }) => sameBytes(encoded, entry.encoded))) return;
    }
    // What came as rows is in the logs of others, which are read later.
    const isBehindRows = (entry.floors.get(origin) ?? 0) >= seq - 1;
    const last = [known[seq - 2], ...(beside ?? [])].find(
      (one) => one?.operation.dot.seq === seq - 1 && sameBytes(one.chain, operation.chainBefore),
    );
    this.#checkNext(what, last ?? (beside ? undefined : known[seq - 2]), operation, isBehindRows);
    this.#checkInline(what, operation, entry.inline);
    const hash = (bytes: Uint8Array): Buffer => this.#hash.digest("SHA256", bytes);
    const chain = chainAfter(hash, operation.chainBefore, entry.encoded);
    const next = known[seq];
    const isOther = next !== undefined && !sameBytes(next.operation.chainBefore, chain);
    if (isOther && beside === undefined) {
      throw new BrokenPromise(`${what} is not what ${describe(next.operation)} continues`);
    }
    const observed = { operation, encoded: Uint8Array.from(entry.encoded), chain };
    if (same === undefined) known[seq - 1] = observed;
    else beside?.push(observed);
    this.#versions.add(makeVersionId(operation.hlc, origin));
  }

  #checkNext(
    what: string,
    last: Observed | undefined,
    operation: Operation,
    isBehindRows: boolean,
  ): void {
    if (last === undefined) {
      if (operation.dot.seq === 1 || isBehindRows) return;
      throw new BrokenPromise(`${what} is the first that was seen of its origin`);
    }
    if (!sameBytes(last.chain, operation.chainBefore)) {
      throw new BrokenPromise(`${what} does not continue the chain of its origin`);
    }
    if (operation.hlc <= last.operation.hlc) {
      const times = `${hlcMs(operation.hlc)} behind ${hlcMs(last.operation.hlc)}`;
      throw new BrokenPromise(`${what} is not later than the one before it: ${times}`);
    }
  }

  #checkInline(what: string, { body }: Operation, inline: Uint8Array | undefined): void {
    if (body.kind !== "object-put" || inline === undefined) return;
    const contents = this.#contents.get(writerOf(body.object));
    if (contents === undefined) throw new BrokenPromise(`${what} was written by nobody`);
    if (!bodyOf(contents).equals(inline))
      throw new BrokenPromise(`${what} travels with others' bytes`);
  }
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** Of several histories of an origin, the one that ends so; any, when that is not known. */
function historyTo({ seq, chain }: OriginHead, all: readonly (Observed | undefined)[]): Observed[] {
  const known = all.filter((one) => one !== undefined);
  const history: Observed[] = [];
  let end: Uint8Array = chain;
  for (;;) {
    const one = known.find((each) => sameBytes(each.chain, end));
    if (one === undefined) break;
    history.push(one);
    end = one.operation.chainBefore;
  }
  return history.length > 0 ? history : known.filter(({ operation: { dot } }) => dot.seq <= seq);
}
