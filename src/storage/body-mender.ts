import type { Damage, MendTold } from "./logical-rows.ts";
import { versionKeyOf, writeIdOf } from "./metadata/key-versions.ts";
import { TABLES } from "./metadata/rows.ts";
import { stagedChunks } from "./objects.ts";
import { mayBeBody } from "./right-body.ts";
import { importRows } from "./row-import.ts";
import { encodeLogicalRow, SECTIONS } from "./row-operations.ts";
import { readRows } from "./row-walk.ts";
import { ChunkWriter } from "./staged-body.ts";
import type { StoreParts } from "./store-parts.ts";
import type { StoredObject } from "./stored.ts";

/** Bodies that are written anew at once; more are mended when they are read the next time. */
const MENDING_MAX = 8;

/**
 * Writes bytes anew whose copy here is damaged, and lets rows point there. The damaged copy stays
 * where it is until its segment holds nothing live.
 */
export class BodyMender {
  readonly #parts: StoreParts;
  readonly #mending = new Set<string>();
  #mended = 0;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** Copies that have been written anew since the start. */
  get mended(): number {
    return this.#mended;
  }

  /** Mends in the background; bytes that are damaged still are noticed again by the next reader. */
  begin(damage: Damage, bytes: Uint8Array, told: MendTold): void {
    const name = nameOf(damage);
    if (this.#mending.has(name) || this.#mending.size >= MENDING_MAX) return;
    this.#mending.add(name);
    this.mend(damage, bytes)
      .then(
        (done) => (done ? told(damage, undefined) : undefined),
        (failure: unknown) => told(damage, failure),
      )
      .finally(() => this.#mending.delete(name));
  }

  /** Mends now; false when what was damaged is not needed any more, or these are other bytes. */
  async mend(damage: Damage, bytes: Uint8Array): Promise<boolean> {
    const done =
      damage.kind === "chunk"
        ? await this.#mendChunk(damage, bytes)
        : await this.#mendInline(damage.object, bytes);
    if (!done) return false;
    this.#mended += 1;
    return true;
  }

  async #mendChunk(
    { hash }: Extract<Damage, { kind: "chunk" }>,
    bytes: Uint8Array,
  ): Promise<boolean> {
    const { bulk, committer, admission } = this.#parts;
    const writer = new ChunkWriter(bulk, {
      admit: (count) => admission.admit(count),
      ended: nothing,
    });
    await writer.write(bytes);
    const staged = stagedChunks(await writer.finish());
    try {
      return await committer.submit(1024, (batch) => {
        if (batch.context.view.get(TABLES.chunk, hash) === undefined) return false;
        const chunks = staged.chunks.filter((chunk) => chunk.hash === hash);
        if (chunks.length > 0) batch.local({ kind: "chunks-placed", chunks });
        return chunks.length > 0;
      });
    } finally {
      staged.release();
    }
  }

  async #mendInline(object: StoredObject, bytes: Uint8Array): Promise<boolean> {
    if (!mayBeBody(this.#parts.hash, object.record, bytes)) return false;
    const start = `${SECTIONS.objects}${versionKeyOf(object, writeIdOf(object.version))}`;
    // A version that stands in a slot, or one that is kept as a conflict.
    const { rows } = readRows(this.#parts, { from: start, to: `${start}~` }, 8);
    const row = rows.find(({ stored }) => stored?.version === object.version);
    if (row === undefined) return false;
    const inline = Buffer.from(bytes);
    const incoming = { encoded: encodeLogicalRow(row), inline, manifests: [] };
    const step = { rows: [incoming], removed: [], progress: undefined, rewrite: true };
    return (await importRows(this.#parts, step)).imported === 1;
  }
}

function nameOf(damage: Damage): string {
  if (damage.kind === "chunk") return damage.hash;
  const { bucket, key, version } = damage.object;
  return `${bucket}/${key} ${version}`;
}

function nothing(): void {
  // Writers of chunks count what they hold; a chunk that is mended is one at a time.
}
