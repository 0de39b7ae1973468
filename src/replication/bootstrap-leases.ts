import { LIMITS } from "../core/limits.ts";
import type { OriginId, Seq, SiteId } from "../core/names.ts";
import type { LogStart, Vector } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";

type Lease = { readonly site: SiteId; readonly heads: readonly LogStart[]; heardMs: number };

/**
 * Leases of sites that are taking over this one's rows. What came after a bootstrap began must
 * stay, in the log and as tombstones. A lease ends by itself an hour after it was last renewed, and
 * there are at most LIMITS.bootstrapsServedMax. A site that begins again gives up its former lease.
 */
export class BootstrapLeases {
  readonly #clock: Clock;
  readonly #leases = new Map<string, Lease>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins a lease; false when there are too many. */
  take(id: string, site: SiteId, heads: readonly LogStart[]): boolean {
    this.#endOld();
    for (const [known, lease] of this.#leases) if (lease.site === site) this.#leases.delete(known);
    if (this.#leases.size >= LIMITS.bootstrapsServedMax) return false;
    this.#leases.set(id, { site, heads, heardMs: this.#clock.monotonicMs() });
    return true;
  }

  /** Ends a lease: what it was taken for cannot be given. */
  end(id: string): void {
    this.#leases.delete(id);
  }

  /** Where the logs stood when the lease began; undefined when it has ended or is another's. */
  renew(id: string, site: SiteId): readonly LogStart[] | undefined {
    this.#endOld();
    const lease = this.#leases.get(id);
    if (lease?.site !== site) return undefined;
    lease.heardMs = this.#clock.monotonicMs();
    return lease.heads;
  }

  /** The position of every lease: nothing behind it may be dropped. */
  vectors(): Vector[] {
    this.#endOld();
    return Array.from(this.#leases.values(), ({ heads }) => {
      return new Map<OriginId, Seq>(heads.map(({ origin, seq }) => [origin, seq]));
    });
  }

  #endOld(): void {
    const before = this.#clock.monotonicMs() - LIMITS.bootstrapLeaseMs;
    for (const [id, { heardMs }] of this.#leases) if (heardMs < before) this.#leases.delete(id);
  }
}
