import type { OriginId, SiteId } from "../core/names.ts";

/** How long a site is refused after two of its incarnations were seen in turns. */
const DOUBT_MS = 60_000;

type Seen = {
  current: OriginId;
  readonly former: Set<OriginId>;
  /** Monotonic; the site is in doubt before that. */
  doubtedUntilMs: number;
};

/**
 * Tells a site that was copied. A restored site continues as a new incarnation and its former one
 * falls silent; when a former one speaks again, two programs run as one site. Whichever of them is
 * the copy, neither is heard until only one has spoken for a minute: what they write would be
 * merged as one site's word.
 */
export class Incarnations {
  readonly #nowMs: () => number;
  readonly #seen = new Map<SiteId, Seen>();

  /** @param nowMs monotonic milliseconds. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Notes which incarnation of a site has spoken; false while there are two. */
  isAlone(site: SiteId, origin: OriginId): boolean {
    const nowMs = this.#nowMs();
    const seen = this.#seen.get(site);
    if (seen === undefined) {
      this.#seen.set(site, { current: origin, former: new Set(), doubtedUntilMs: nowMs });
      return true;
    }
    if (seen.current !== origin) {
      if (seen.former.has(origin)) seen.doubtedUntilMs = nowMs + DOUBT_MS;
      seen.former.add(seen.current);
      seen.current = origin;
    }
    return nowMs >= seen.doubtedUntilMs;
  }
}
