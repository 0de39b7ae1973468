import type { Dot } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv } from "../ports/kv.ts";
import { type BatchPlace, type LogBatchDeps, readLogEncoded } from "./log-batch.ts";
import { placeOfOperation } from "./log-pages.ts";
import type { OriginLogs } from "./origin-logs.ts";
import type { LogEntry } from "./replica.ts";

export type ParkedEntriesDeps = LogBatchDeps & {
  readonly kv: Kv;
  readonly hash: Pick<Hash, "crc32">;
  readonly origins: Pick<OriginLogs, "isParked">;
};

type Kept = BatchPlace & {
  /** What was parked in the batch when it was read, by its dot. */
  readonly entries: Promise<ReadonlyMap<string, Uint8Array>>;
};

/**
 * Reads parked operations back from the log. Whoever fetches what is parked asks for each operation
 * of a batch in turn, and a batch may hold thousands: what is parked in it is remembered.
 * Invariant: one batch is remembered at most, without bodies and without what is not parked.
 */
export class ParkedEntries {
  readonly #deps: ParkedEntriesDeps;
  #kept: Kept | undefined;

  constructor(deps: ParkedEntriesDeps) {
    this.#deps = deps;
  }

  /**
   * The operation without its body; undefined when it is not parked.
   *
   * @throws StorageFault "corrupt" when its batch is damaged, or its segment is gone.
   */
  async read(dot: Dot): Promise<LogEntry | undefined> {
    if (!this.#deps.origins.isParked(dot)) return undefined;
    const place = placeOfOperation(this.#deps, dot.origin, dot.seq);
    if (place === undefined) return undefined;
    const known = isSame(place, this.#kept) ? await this.#kept.entries : undefined;
    const encoded = known?.get(nameOf(dot)) ?? (await this.#begin(place).entries).get(nameOf(dot));
    return encoded === undefined ? undefined : { encoded, inline: undefined };
  }

  #begin(place: BatchPlace): Kept {
    const kept: Kept = { ...place, entries: this.#read(place) };
    this.#kept = kept;
    kept.entries.catch(() => {
      // Whoever asked hears of it; the next one reads anew.
      if (this.#kept === kept) this.#kept = undefined;
    });
    return kept;
  }

  async #read(place: BatchPlace): Promise<ReadonlyMap<string, Uint8Array>> {
    const entries = new Map<string, Uint8Array>();
    for (const { dot, encoded } of await readLogEncoded(this.#deps, place)) {
      // Copied, so that the memory of the whole batch can go.
      if (this.#deps.origins.isParked(dot)) entries.set(nameOf(dot), Buffer.from(encoded));
    }
    return entries;
  }
}

function isSame(place: BatchPlace, kept: Kept | undefined): kept is Kept {
  return kept?.segment === place.segment && kept.offset === place.offset;
}

function nameOf({ origin, seq }: Dot): string {
  return `${origin} ${seq}`;
}
