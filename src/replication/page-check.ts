import { verifyHead } from "../core/head-signature.ts";
import type { ClusterId, OriginId } from "../core/names.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { Hash } from "../ports/hash.ts";
import { ChainedEntry } from "../storage/chained-entry.ts";
import type { LogEntry, OriginHead, SignedHead } from "../storage/replica.ts";
import type { Withdrawn } from "../storage/withdrawn.ts";
import { chainBeforeOf, dotOf, sameChain } from "./log-entries.ts";
import { PeerLie } from "./peer-lie.ts";
import { mayBeBodyOf } from "./relayed-bodies.ts";

export type PageCheckDeps = {
  readonly clusterId: ClusterId;
  /** This site's own origin: no other site can know more of it. */
  readonly own: OriginId;
  /** Ends of this site's former logs that do not count any more. */
  readonly withdrawn: readonly Pick<Withdrawn, "origin" | "from" | "first">[];
  readonly hash: Hash;
};

/** A page that a peer handed over, and what this site knew when it asked. */
export type ReceivedPage = {
  readonly entries: readonly LogEntry[];
  readonly heads: readonly SignedHead[];
  readonly received: ReadonlyMap<OriginId, OriginHead>;
  readonly sites: Iterable<SiteRecord>;
  /** Origins of the peer itself: their operations and bodies it wrote itself. */
  readonly written: readonly OriginId[];
};

/** The part of a page that may be taken. */
export type CheckedPage = {
  /** In the order of the page; what is here already is left out. */
  readonly entries: readonly ChainedEntry[];
  readonly heads: readonly SignedHead[];
  /** Origins whose site's record is not here yet: they are asked for again when it is. */
  readonly unknown: readonly OriginId[];
  /** Origins of which the page has another history than this site. */
  readonly diverged: readonly OriginId[];
};

/** Consecutive operations of one origin. */
type Run = {
  readonly origin: OriginId;
  readonly entries: ChainedEntry[];
  chain: Uint8Array;
  seq: number;
};
type Read = { readonly entry: ChainedEntry; readonly run: Run; readonly seq: number };

/**
 * Checks that every operation of a page continues its origin's hash chain, and that the site of
 * that origin signed the chain's end. So a peer can hand over what others wrote, but cannot change
 * it. Bodies handed over by another site than the one that wrote them are compared with what their
 * operations say.
 *
 * @throws PeerLie when any of this does not hold; LayoutError when bytes are no operation.
 */
export function checkPage(deps: PageCheckDeps, page: ReceivedPage): CheckedPage {
  const { runs, read } = readRuns(deps, page.entries);
  const signers = new Signers(page.sites);
  const refused = { unknown: new Set<OriginId>(), diverged: new Set<OriginId>() };
  const heads: SignedHead[] = [];
  for (const [origin, run] of runs) {
    const head = page.heads.find((one) => one.origin === origin && one.seq === run.seq);
    if (head === undefined || !sameChain(head.chain, run.chain)) {
      throw new PeerLie(`operations of ${origin} do not end at a head that was signed`);
    }
    const signer = signers.find(head);
    if (signer === undefined) {
      refused.unknown.add(origin);
      continue;
    }
    if (!verifyHead(signer.publicKey, { cluster: deps.clusterId, ...head }, head.signature)) {
      throw new PeerLie(`the head of ${origin} has not been signed by its site`);
    }
    const known = page.received.get(origin);
    const isSetBack = origin === deps.own && run.seq > (known?.seq ?? 0);
    const isWithdrawn = deps.withdrawn.some((one) => goesInto(run, one));
    if (isSetBack || isWithdrawn || !continues(run, known)) refused.diverged.add(origin);
    else if (head.seq > (known?.seq ?? 0)) heads.push(head);
  }
  const unwanted = new Set([...refused.unknown, ...refused.diverged]);
  const wanted = read.filter(({ entry, run: { origin }, seq }) => {
    if (unwanted.has(origin) || seq <= (page.received.get(origin)?.seq ?? 0)) return false;
    if (page.written.includes(origin) || mayBeBodyOf(deps.hash, entry)) return true;
    throw new PeerLie(`the body of operation ${seq} of ${origin} is another one`);
  });
  const entries = wanted.map(({ entry }) => entry);
  return { entries, heads, unknown: [...refused.unknown], diverged: [...refused.diverged] };
}

/** The operations of each origin, and all of them in the order of the page. */
function readRuns(
  { hash }: PageCheckDeps,
  entries: readonly LogEntry[],
): { readonly runs: ReadonlyMap<OriginId, Run>; readonly read: readonly Read[] } {
  const runs = new Map<OriginId, Run>();
  const read: Read[] = [];
  for (const one of entries) {
    const entry = new ChainedEntry(hash, one);
    const { origin, seq } = dotOf(one.encoded);
    const known = runs.get(origin);
    if (known === undefined) {
      const run = { origin, entries: [entry], chain: entry.chain, seq };
      runs.set(origin, run);
      read.push({ entry, run, seq });
      continue;
    }
    if (seq !== known.seq + 1 || !sameChain(chainBeforeOf(one.encoded), known.chain)) {
      throw new PeerLie(`operations of ${origin} do not follow each other at ${seq}`);
    }
    known.entries.push(entry);
    known.chain = entry.chain;
    known.seq = seq;
    read.push({ entry, run: known, seq });
  }
  return { runs, read };
}

/**
 * Whether a run continues where this site stands, or overlaps what it has: operations that arrived
 * meanwhile by another way are skipped. False: it is another history.
 */
function continues(run: Run, head: OriginHead | undefined): boolean {
  const known = head?.seq ?? 0;
  const first = run.seq - run.entries.length + 1;
  if (first > known + 1) throw new PeerLie(`operations before ${first} were left out`);
  if (head === undefined || run.seq < known) return true;
  const next = run.entries[known + 1 - first];
  if (next !== undefined) return sameChain(chainBeforeOf(next.encoded), head.chain);
  const last = run.entries.at(-1);
  return last === undefined || sameChain(last.chain, head.chain);
}

/**
 * Whether a run goes on with what this site wrote there and has withdrawn since: a peer took it for
 * this site's own, and knows another history than everybody who has what stood there before.
 */
function goesInto(
  { origin, entries, seq }: Run,
  { origin: of, from, first }: PageCheckDeps["withdrawn"][number],
): boolean {
  if (origin !== of || first === undefined) return false;
  const entry = entries[from - (seq - entries.length + 1)];
  return entry !== undefined && sameChain(entry.chain, first);
}

/** Who may sign for an origin: its site, and any member for an origin that nobody has named yet. */
class Signers {
  readonly #bySite = new Map<string, SiteRecord>();
  readonly #byOrigin = new Map<OriginId, SiteRecord>();

  constructor(sites: Iterable<SiteRecord>) {
    for (const site of sites) {
      this.#bySite.set(site.id, site);
      for (const origin of site.origins) this.#byOrigin.set(origin, site);
    }
  }

  find({ origin, site }: SignedHead): SiteRecord | undefined {
    const owner = this.#byOrigin.get(origin);
    if (owner !== undefined && owner.id !== site) {
      throw new PeerLie(`${origin} is an origin of ${owner.id}, and ${site} signed for it`);
    }
    return this.#bySite.get(site);
  }
}
