import { StorageFault } from "../../core/faults.ts";
import type { ContentHash } from "../../core/names.ts";
import type { ChunkPlace, ManifestChunk, ManifestRef } from "../../core/records.ts";
import type { RemoteManifest } from "../../core/remote-record.ts";
import { segmentKeyOf } from "./keys.ts";
import { REMOTE_SUM_KEY, type RemoteRow } from "./remote-rows.ts";
import { type ChunkRow, type ManifestRow, TABLES, type Table } from "./rows.ts";
import type { IndexView } from "./view.ts";

/**
 * Keeps count of what is still needed: rows that name a manifest, manifests that name a chunk, and
 * for each segment the rows and body bytes that rest on it. The counts follow from rows that change
 * in the same transaction; the log holds no counts.
 *
 * What nothing names any more is removed at once, except in a replay that may cross dropped
 * segments (`keepUnnamed`). There the record that named it may be missing, so it is kept until
 * `sweep`, when all rows are known.
 */
export class ReferenceCounts {
  readonly #view: IndexView;
  readonly #keepUnnamed: boolean;
  readonly #unnamedManifests = new Set<string>();
  readonly #unnamedChunks = new Set<string>();
  /** In a replay: how often something was named whose own record has not been met, or is gone. */
  readonly #absent = new Map<string, number>();

  constructor(view: IndexView, options: { keepUnnamed: boolean }) {
    this.#view = view;
    this.#keepUnnamed = options.keepUnnamed;
  }

  /**
   * Adds to the rows and bytes that a segment is needed for; a segment that nothing needs has no
   * row.
   */
  addLive(segment: number, rows: number, bytes: number): void {
    const key = segmentKeyOf(segment);
    const before = this.#view.get(TABLES.segment, key);
    const after = { rows: (before?.rows ?? 0) + rows, bytes: (before?.bytes ?? 0) + bytes };
    if (after.rows === 0 && after.bytes === 0) this.#view.remove(TABLES.segment, key);
    else this.#view.put(TABLES.segment, key, after);
  }

  /**
   * Notes where a chunk lies: where its last record says. An older copy is dead space from now on.
   */
  placeChunk(hash: ContentHash, place: ChunkPlace, home: number): void {
    const before = this.#view.get(TABLES.chunk, hash);
    if (before !== undefined) this.#releaseChunkPlace(before);
    const refs = before?.refs ?? this.#takeAbsent(TABLES.chunk, hash);
    this.#view.put(TABLES.chunk, hash, { home, refs, place });
    this.addLive(home, 1, 0);
    this.addLive(place.segment, 1, place.bytes);
    if (before === undefined) this.#noteUnnamed(this.#unnamedChunks, hash);
  }

  addManifest(hash: ContentHash, chunks: readonly ManifestChunk[], home: number): void {
    const before = this.#view.get(TABLES.manifest, hash);
    this.addLive(home, 1, 0);
    if (before !== undefined) {
      this.addLive(before.home, -1, 0);
      this.#view.put(TABLES.manifest, hash, { ...before, home });
      return;
    }
    for (const chunk of chunks) this.#countChunk(chunk.hash, 1);
    const remote = this.#findRemote(hash);
    if (remote !== undefined) this.#removeRemote(hash, remote);
    const refs = remote?.refs ?? this.#takeAbsent(TABLES.manifest, hash);
    this.#view.put(TABLES.manifest, hash, { home, refs, chunks });
    this.#noteUnnamed(this.#unnamedManifests, hash);
  }

  /**
   * Notes a manifest that rows may name although it is not here. Of this record and the manifest's
   * own, the later one holds. Only a replay meets this one while the manifest is there: it had been
   * removed by then.
   */
  addRemote({ hash, bytes, buckets }: RemoteManifest, home: number): void {
    this.addLive(home, 1, 0);
    const before = this.#view.get(TABLES.remote, hash);
    if (before !== undefined) {
      this.addLive(before.home, -1, 0);
      this.#view.put(TABLES.remote, hash, { ...before, home, buckets });
      return;
    }
    const manifest = this.#view.get(TABLES.manifest, hash);
    if (manifest !== undefined) this.#removeManifest(hash, manifest);
    const refs = manifest?.refs ?? this.#takeAbsent(TABLES.manifest, hash);
    this.#view.put(TABLES.remote, hash, { home, refs, bytes, buckets });
    this.#addRemoteSum(1, bytes);
    this.#noteUnnamed(this.#unnamedManifests, hash);
  }

  addManifestRefs(manifests: readonly ManifestRef[]): void {
    for (const { hash } of manifests) this.#countManifest(hash, 1);
  }

  dropManifestRefs(manifests: readonly ManifestRef[]): void {
    for (const { hash } of manifests) this.#countManifest(hash, -1);
  }

  /**
   * Removes what a replay kept although nothing names it.
   *
   * @throws StorageFault "corrupt" when a row names something that no record placed.
   */
  sweep(): void {
    for (const hash of this.#unnamedManifests) {
      const row = this.#view.get(TABLES.manifest, hash);
      if (row !== undefined && row.refs === 0) this.#removeManifest(hash, row);
      const remote = this.#findRemote(hash);
      if (remote !== undefined && remote.refs === 0) this.#removeRemote(hash, remote);
    }
    for (const hash of this.#unnamedChunks) {
      const row = this.#view.get(TABLES.chunk, hash);
      if (row !== undefined && row.refs === 0) this.#removeChunk(hash, row);
    }
    this.#unnamedManifests.clear();
    this.#unnamedChunks.clear();
    for (const [name, count] of this.#absent) if (count !== 0) throw missing(name);
    this.#absent.clear();
  }

  #countManifest(hash: string, change: number): void {
    const remote = this.#findRemote(hash);
    if (remote !== undefined) {
      this.#countRemote(hash, remote, remote.refs + change);
      return;
    }
    const row = this.#find(TABLES.manifest, hash, change);
    if (row === undefined) return;
    const refs = row.refs + change;
    if (refs === 0 && !this.#keepUnnamed) {
      this.#removeManifest(hash, row);
      return;
    }
    if (refs === 0) this.#unnamedManifests.add(hash);
    this.#view.put(TABLES.manifest, hash, { ...row, refs });
  }

  #countChunk(hash: string, change: number): void {
    const row = this.#find(TABLES.chunk, hash, change);
    if (row === undefined) return;
    const refs = row.refs + change;
    if (refs === 0 && !this.#keepUnnamed) {
      this.#removeChunk(hash, row);
      return;
    }
    if (refs === 0) this.#unnamedChunks.add(hash);
    this.#view.put(TABLES.chunk, hash, { ...row, refs });
  }

  /** Looks nothing up where nothing is missing, as at nearly every site. */
  #findRemote(hash: string): RemoteRow | undefined {
    if (this.#view.get(TABLES.remoteSum, REMOTE_SUM_KEY) === undefined) return undefined;
    return this.#view.get(TABLES.remote, hash);
  }

  #countRemote(hash: string, row: RemoteRow, refs: number): void {
    if (refs === 0 && !this.#keepUnnamed) {
      this.#removeRemote(hash, row);
      return;
    }
    if (refs === 0) this.#unnamedManifests.add(hash);
    this.#view.put(TABLES.remote, hash, { ...row, refs });
  }

  #removeRemote(hash: string, { home, bytes }: RemoteRow): void {
    this.#view.remove(TABLES.remote, hash);
    this.addLive(home, -1, 0);
    this.#addRemoteSum(-1, -bytes);
  }

  #addRemoteSum(manifests: number, bytes: number): void {
    const before = this.#view.get(TABLES.remoteSum, REMOTE_SUM_KEY);
    const after = {
      manifests: (before?.manifests ?? 0) + manifests,
      bytes: (before?.bytes ?? 0) + bytes,
    };
    if (after.manifests === 0) this.#view.remove(TABLES.remoteSum, REMOTE_SUM_KEY);
    else this.#view.put(TABLES.remoteSum, REMOTE_SUM_KEY, after);
  }

  #removeManifest(hash: string, row: ManifestRow): void {
    this.#view.remove(TABLES.manifest, hash);
    this.addLive(row.home, -1, 0);
    for (const chunk of row.chunks) this.#countChunk(chunk.hash, -1);
  }

  #removeChunk(hash: string, row: ChunkRow): void {
    this.#view.remove(TABLES.chunk, hash);
    this.#releaseChunkPlace(row);
  }

  #releaseChunkPlace(row: ChunkRow): void {
    this.addLive(row.home, -1, 0);
    this.addLive(row.place.segment, -1, -row.place.bytes);
  }

  #noteUnnamed(names: Set<string>, hash: string): void {
    if (this.#keepUnnamed) names.add(hash);
  }

  /**
   * The row; when a replay has not met it yet, its naming is counted aside, and the result is
   * undefined.
   */
  #find<Row>(table: Table<Row>, hash: string, change: number): Row | undefined {
    const row = this.#view.get(table, hash);
    if (row !== undefined) return row;
    if (!this.#keepUnnamed) throw missing(table.prefix + hash);
    const name = table.prefix + hash;
    this.#absent.set(name, (this.#absent.get(name) ?? 0) + change);
    return undefined;
  }

  #takeAbsent(table: Table<unknown>, hash: string): number {
    const name = table.prefix + hash;
    const count = this.#absent.get(name) ?? 0;
    this.#absent.delete(name);
    return count;
  }
}

function missing(name: string): StorageFault {
  return new StorageFault("corrupt", `the log names ${name.slice(0, 17)} without its place`, {
    hint: "A segment is missing or damaged: restore it from a backup or another site.",
  });
}
