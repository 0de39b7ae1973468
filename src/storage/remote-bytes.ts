import { StorageFault } from "../core/faults.ts";
import type { ManifestRef } from "../core/records.ts";
import { writeIdOf } from "./metadata/key-versions.ts";
import { REMOTE_SUM_KEY } from "./metadata/remote-rows.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { BytesSource, RemoteSum } from "./remote-bodies.ts";
import type { BodyReader, ByteRange, StoredObject } from "./stored.ts";

const NOTHING: RemoteSum = { manifests: 0, bytes: 0 };

/**
 * Bytes that stand at other sites only, of buckets that show rows first. Which they are follows
 * from the index; they are fetched from where `bringFrom` says, and stay here then.
 */
export class RemoteBytes {
  readonly #index: RowReader;
  #source: BytesSource | undefined;

  constructor(index: RowReader) {
    this.#index = index;
  }

  /** From now on bytes that are missing are fetched by this. */
  bringFrom(source: BytesSource): void {
    this.#source = source;
  }

  sum(): RemoteSum {
    return this.#index.get(TABLES.remoteSum, REMOTE_SUM_KEY) ?? NOTHING;
  }

  /** Whether any byte of a body is missing here. One look-up where nothing is missing at all. */
  isRemote({ record: { body } }: StoredObject): boolean {
    if (body.kind === "inline" || this.sum().manifests === 0) return false;
    return body.manifests.some(({ hash }) => this.#index.get(TABLES.remote, hash) !== undefined);
  }

  /**
   * Fetches all of a body that is missing here: before it is named once more, because a site must
   * not name bytes that it could not give.
   *
   * @throws StorageFault "unreachable".
   */
  async bring(object: StoredObject): Promise<void> {
    const { body } = object.record;
    if (body.kind === "inline" || !this.isRemote(object)) return;
    for (const manifest of body.manifests) await this.#bringOne(manifest, object);
  }

  /**
   * Reads a body of which bytes are missing, in order: what each manifest lists is fetched when it
   * is come to, and read then by `open`, which verifies it as any other body.
   */
  reader(
    object: StoredObject,
    range: ByteRange,
    open: (manifest: ManifestRef, range: ByteRange) => BodyReader,
  ): BodyReader {
    const { body } = object.record;
    const manifests = body.kind === "inline" ? [] : body.manifests;
    const pieces = piecesOf(manifests, range);
    let current: BodyReader | undefined;
    let closed = false;
    const close = (): void => {
      closed = true;
      current?.close();
      current = undefined;
    };
    const next = async (): Promise<Uint8Array | undefined> => {
      while (!closed) {
        if (current === undefined) {
          const piece = pieces.next();
          if (piece.done === true) return undefined;
          await this.#bringOne(piece.value.manifest, object);
          // Whoever asked may have gone while the bytes came.
          if (closed) return undefined;
          current = open(piece.value.manifest, piece.value.range);
        }
        const slice = await current.next();
        if (slice !== undefined) return slice;
        current?.close();
        current = undefined;
      }
      return undefined;
    };
    return { next, close };
  }

  async #bringOne(manifest: ManifestRef, { version }: StoredObject): Promise<void> {
    const isMissing = () => this.#index.get(TABLES.remote, manifest.hash) !== undefined;
    if (!isMissing()) return;
    await this.#source?.(manifest, writeIdOf(version).origin);
    if (!isMissing()) return;
    throw new StorageFault("unreachable", "bytes of an object stand at other sites only", {
      hint: "Bring the site back that has them: `atoll repl-status` says who cannot be reached.",
    });
  }
}

type Piece = { readonly manifest: ManifestRef; readonly range: ByteRange };

/** What of each manifest a range covers, in order. */
function* piecesOf(manifests: readonly ManifestRef[], range: ByteRange): Generator<Piece> {
  let start = 0;
  for (const manifest of manifests) {
    const end = start + manifest.bytes;
    if (start < range.end && end > range.start) {
      const from = Math.max(0, range.start - start);
      yield { manifest, range: { start: from, end: Math.min(range.end, end) - start } };
    }
    start = end;
  }
}
