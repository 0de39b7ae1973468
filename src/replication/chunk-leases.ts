import { LIMITS } from "../core/limits.ts";
import type { ContentHash } from "../core/names.ts";
import type { Cancel, Clock } from "../ports/clock.ts";

export type ChunkLeasesDeps = {
  readonly clock: Clock;
  /** Keeps the segments of chunks from being dropped until what it gives is called. */
  readonly hold: (chunks: readonly ContentHash[]) => () => void;
};

type Lease = { readonly release: () => void; expires: Cancel };

/**
 * Keeps chunks that a peer has been told of, so that they are still there when it asks for them. A
 * lease ends by itself a minute after it was last used, and there are never more than
 * LIMITS.replicationLeasesMax: the one that was used least lately makes room.
 */
export class ChunkLeases {
  readonly #deps: ChunkLeasesDeps;
  /** By manifest; the one that was used least lately stands first. */
  readonly #leases = new Map<ContentHash, Lease>();

  constructor(deps: ChunkLeasesDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#leases.size;
  }

  /** Takes or renews the lease on a manifest's chunks. */
  take(manifest: ContentHash, chunks: () => readonly ContentHash[]): void {
    const held = this.#leases.get(manifest);
    const release = held?.release ?? this.#deps.hold(chunks());
    held?.expires();
    this.#leases.delete(manifest);
    const expires = this.#deps.clock.after(LIMITS.replicationLeaseMs, () => this.#end(manifest));
    this.#leases.set(manifest, { release, expires });
    if (this.#leases.size <= LIMITS.replicationLeasesMax) return;
    const [oldest] = this.#leases.keys();
    if (oldest !== undefined) this.#end(oldest);
  }

  /** Renews a lease that is held; does nothing otherwise. */
  renew(manifest: ContentHash): void {
    if (this.#leases.has(manifest)) this.take(manifest, () => []);
  }

  /** Lets go of everything. */
  close(): void {
    for (const manifest of [...this.#leases.keys()]) this.#end(manifest);
  }

  #end(manifest: ContentHash): void {
    const lease = this.#leases.get(manifest);
    if (lease === undefined) return;
    this.#leases.delete(manifest);
    lease.expires();
    lease.release();
  }
}
