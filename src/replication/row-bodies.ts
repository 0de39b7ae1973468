import type { SiteId } from "../core/names.ts";
import type { ManifestRef, Operation } from "../core/records.ts";
import type { LogicalRows } from "../storage/logical-rows.ts";
import type { IncomingManifest, LogEntry } from "../storage/replica.ts";
import { encodeLogicalRow } from "../storage/row-operations.ts";
import { Ahead } from "./ahead.ts";
import type { FetchedBody } from "./body-fetch.ts";
import { rowAt } from "./row-at.ts";

/** A row of another site that has been checked. */
export type ReadRow = {
  readonly entry: LogEntry;
  readonly operation: Operation;
  readonly position: string;
};

/** `here`: the very row is stored already. `remote`: its bytes stay where they are. */
export type FoundBody = FetchedBody | "here" | "remote";

type RowBodiesDeps = {
  readonly rows: Pick<LogicalRows, "read" | "remote">;
  readonly fetch: (
    refs: readonly ManifestRef[],
    source: SiteId,
    signal: AbortSignal,
  ) => Promise<FetchedBody>;
};

/** Each body takes two journeys over the line or more. */
const AT_ONCE = 4;
const NO_BODY: FoundBody = { outcome: "whole", manifests: [] };

/** Finds the bytes of rows that are taken over from another site. */
export class RowBodies {
  readonly #deps: RowBodiesDeps;
  readonly #source: { readonly site: SiteId; readonly hasBodies?: true };

  /** @param source where the rows come from; `hasBodies`: its bytes come along in any case. */
  constructor(deps: RowBodiesDeps, source: { readonly site: SiteId; readonly hasBodies?: true }) {
    this.#deps = deps;
    this.#source = source;
  }

  /**
   * Those of a page, some at once. What a setting of a bucket decides about is not begun before the
   * setting was taken.
   */
  ahead(items: readonly ReadRow[], signal: AbortSignal): Ahead<ReadRow, FoundBody> {
    return new Ahead({
      ...{ items, atOnce: AT_ONCE },
      isWorthIt: ({ operation }) => namesBodies(operation),
      isFence: ({ operation }) => saysOfBucket(operation),
      find: (row) => this.find(row, signal),
      discard: (found) => discardAll(manifestsIn(found)),
    });
  }

  /** The bytes of a row that are not here. */
  async find({ entry, operation, position }: ReadRow, signal: AbortSignal): Promise<FoundBody> {
    const own = rowAt(this.#deps.rows, position);
    if (own !== undefined && encodeLogicalRow(own).equals(entry.encoded)) return "here";
    const { body } = operation;
    if (body.kind !== "object-put" || body.object.body.kind !== "manifests") return NO_BODY;
    const isShownFirst = this.#deps.rows.remote.showsRowsFirst(body.bucket);
    if (isShownFirst && this.#source.hasBodies !== true) return "remote";
    const refs = body.object.body.manifests;
    const found = await this.#deps.fetch(refs, this.#source.site, signal);
    return found.outcome === "gone" && isShownFirst ? "remote" : found;
  }
}

/** Whether a row is an object with a body that travels apart from it. */
export function namesBodies({ body }: Operation): boolean {
  return body.kind === "object-put" && body.object.body.kind === "manifests";
}

/** Whether a row may make its bucket metadata-first, or end that. */
export function saysOfBucket({ body }: Operation): boolean {
  return body.kind.startsWith("bucket-");
}

/** Gives back what was staged for manifests that are not taken after all. */
export function discardAll(manifests: readonly IncomingManifest[]): void {
  for (const { staged } of manifests) staged?.discard();
}

function manifestsIn(found: FoundBody): readonly IncomingManifest[] {
  return typeof found === "object" && found.outcome === "whole" ? found.manifests : [];
}
