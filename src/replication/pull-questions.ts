import { type AppliedSet, appliedSetOf } from "../core/applied-set.ts";
import { ignore } from "../core/ignore.ts";
import type { OriginId, SiteId } from "../core/names.ts";
import type { Replica, SignedHead } from "../storage/replica.ts";
import type { PeerCalls, PulledPage } from "./peer-calls.ts";
import { knownHeads } from "./wire-pages.ts";

export type PullQuestionsDeps = {
  readonly replica: Pick<Replica, "received" | "applied" | "holes">;
  readonly calls: Pick<PeerCalls, "site" | "pull">;
  /** Called with what a request says that this site has applied. */
  readonly telling: (peer: SiteId, has: AppliedSet) => void;
};

/** Which operations a question leaves out, and how long it may wait at the peer. */
export type PullWish = { readonly skip: ReadonlySet<OriginId>; readonly waitMs: number };

/** How far logs are, with the chains there. */
type Heads = ReadonlyMap<OriginId, Pick<SignedHead, "origin" | "seq" | "chain">>;
type Asked = {
  readonly skip: ReadonlySet<OriginId>;
  readonly known: Heads;
  readonly round: AbortController;
  readonly page: Promise<PulledPage>;
};

/**
 * Requests for pages, one of which is under way at a time. While a page is being taken, the next
 * may be requested as if that had been done. The result is used only if it still fits, and is
 * dropped when anything of the page before was refused, or when something else is wanted.
 * Invariant: at most one such page is kept, so that a peer costs two pages of memory.
 */
export class PullQuestions {
  readonly #deps: PullQuestionsDeps;
  #round = new AbortController();
  #ahead: Asked | undefined;

  constructor(deps: PullQuestionsDeps) {
    this.#deps = deps;
  }

  /** The page beyond what is here; undefined when the request was taken back. */
  async next(wish: PullWish): Promise<PulledPage | undefined> {
    const received = this.#deps.replica.received();
    const { round, page } = this.#takeAhead(received, wish.skip) ?? this.#ask(received, wish);
    this.#round = round;
    try {
      return await page;
    } catch (failure) {
      if (round.signal.aborted) return undefined;
      throw failure;
    }
  }

  /** Requests what follows a page that ends at these heads and is about to be taken. */
  askAhead(heads: readonly SignedHead[], wish: PullWish): void {
    this.#giveUpAhead();
    const known = new Map(this.#deps.replica.received() as Heads);
    for (const head of heads) known.set(head.origin, head);
    this.#ahead = this.#ask(known, wish);
  }

  /** Ends the request under way: something else is wanted, or nothing any more. */
  takeBack(): void {
    this.#round.abort();
    this.#giveUpAhead();
  }

  #ask(known: Heads, { skip, waitMs }: PullWish): Asked {
    const { replica, calls, telling } = this.#deps;
    const has = appliedSetOf(replica);
    const received = knownHeads(known.values());
    const round = new AbortController();
    telling(calls.site, has);
    const wish = { received, ...has, only: [], skip: [...skip], waitMs };
    const page = calls.pull(wish, round.signal);
    // Whoever waits for the page hears of a failure; when nobody does, it was given up.
    page.catch(ignore);
    return { skip, known, round, page };
  }

  #takeAhead(received: Heads, skip: ReadonlySet<OriginId>): Asked | undefined {
    const asked = this.#ahead;
    if (asked === undefined) return undefined;
    const isTaken = [...asked.known.values()].every(({ origin, seq }) => {
      return (received.get(origin)?.seq ?? 0) >= seq;
    });
    const isSame = skip.size === asked.skip.size && [...skip].every((one) => asked.skip.has(one));
    if (isTaken && isSame) this.#ahead = undefined;
    else this.#giveUpAhead();
    return isTaken && isSame ? asked : undefined;
  }

  #giveUpAhead(): void {
    this.#ahead?.round.abort();
    this.#ahead = undefined;
  }
}
