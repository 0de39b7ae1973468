import { StorageFault } from "../core/faults.ts";
import { sha256Hex } from "../core/hmac.ts";
import { ignore } from "../core/ignore.ts";
import { LIMITS } from "../core/limits.ts";
import { encodeManifest } from "../core/manifest-codec.ts";
import type { ClusterId, ContentHash, SiteId } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { ManifestRef } from "../core/records.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { Disk } from "../ports/disk.ts";
import { removeIfThere } from "../storage/json-file.ts";
import type { LogicalRows } from "../storage/logical-rows.ts";
import type { LogEntry, Replica } from "../storage/replica.ts";
import { positionOfRow } from "../storage/row-operations.ts";
import { type BodyCalls, type FetchedBody, fetchBody } from "./body-fetch.ts";
import type { RowSource } from "./bootstrap.ts";
import { decodePage, encodePage } from "./page-frame.ts";
import { PeerLie } from "./peer-lie.ts";
import { RowRefusal } from "./row-calls.ts";
import { gatherRows, type RowServerDeps } from "./row-server.ts";
import { readManifests } from "./wire-bodies.ts";
import {
  type ArchiveHead,
  parseArchiveHead,
  parseRowsHead,
  writeArchiveHead,
  writeRowsHead,
} from "./wire-rows.ts";

/*
 * All rows of a site in a directory, for a disk that travels where the line is thin: "archive.json"
 * (written last: a directory without it is not whole), pages of rows as peers send them
 * ("rows-000001"), and what large bodies consist of by hash ("manifest-…", "chunk-…").
 */

export type ArchiveDeps = {
  readonly disk: Disk;
  readonly replica: Pick<Replica, "manifest" | "readChunk">;
  readonly rows: RowServerDeps["rows"] & Pick<LogicalRows, "remote">;
  readonly cluster: () => ClusterId;
  readonly site: SiteId;
  /** What to begin with, or why rows must not be taken from this site now. */
  readonly start: LogicalRows["start"];
};

export type ArchiveFacts = {
  readonly rows: number;
  readonly bytes: number;
  /** Rows and chunks that are damaged here, and bodies that stand at other sites only: left out. */
  readonly skipped: number;
};

const HEAD_NAME = "archive.json";

/**
 * Writes all rows with their bytes into a directory that is empty or not there yet. When it ends
 * before all is written, it takes back what it has written, and the directory if it made that.
 *
 * @throws StorageFault "unsupported" when the directory is in use, "busy" when rows cannot be taken
 *   from this site now, the reason of `signal` when it aborts, and what the disk says.
 */
export async function writeArchive(
  deps: ArchiveDeps,
  directory: string,
  signal: AbortSignal,
): Promise<ArchiveFacts> {
  const { disk } = deps;
  const isNew = (await disk.stat(directory)) === undefined;
  await disk.makeDirectory(directory);
  if ((await disk.list(directory)).length > 0) {
    throw new StorageFault("unsupported", `${directory} is not empty`, {
      hint:
        "Name a new directory: an archive is never written over anything. One without " +
        `${HEAD_NAME} may be removed, unless it is being written just now.`,
    });
  }
  const writer = new ArchiveWriter(deps, directory, signal);
  try {
    return await writeAll(deps, writer, signal);
  } catch (failure) {
    // What cannot be removed is refused by the next one, which says what to do with it.
    await writer.takeBack(isNew).catch(ignore);
    throw failure;
  }
}

async function writeAll(
  deps: ArchiveDeps,
  writer: ArchiveWriter,
  signal: AbortSignal,
): Promise<ArchiveFacts> {
  const { rows } = deps;
  const started = await deps.start(() => undefined);
  if ("problem" in started) throw new StorageFault("busy", started.problem);
  const { heads, settled } = started;
  const pages: string[] = [];
  const digests: string[] = [];
  for (let from: string | undefined = ""; from !== undefined; ) {
    signal.throwIfAborted();
    pages.push(from);
    const range = { from, to: undefined };
    const wish = { range, positions: [], bytesMax: LIMITS.replicationPageBytes, bodies: true };
    const page = await gatherRows(rows, wish);
    digests.push(await writer.page(pages.length, page));
    from = page.next;
  }
  const { cluster, site } = deps;
  const said = { rows: writer.rows, heads: [...heads], settled: [...settled] };
  const head = { cluster: cluster(), site, ...said, pages, digests };
  await writer.file(HEAD_NAME, writeArchiveHead(head));
  await writer.end();
  return { rows: writer.rows, bytes: writer.bytes, skipped: writer.skipped };
}

class ArchiveWriter {
  readonly #deps: ArchiveDeps;
  readonly #directory: string;
  readonly #signal: AbortSignal;
  readonly #written = new Set<ContentHash>();
  readonly #files: string[] = [];
  rows = 0;
  bytes = 0;
  skipped = 0;

  constructor(deps: ArchiveDeps, directory: string, signal: AbortSignal) {
    this.#deps = deps;
    this.#directory = directory;
    this.#signal = signal;
  }

  /** Writes a page of rows behind the bodies that it names; gives the digest of its file. */
  async page(number: number, page: Awaited<ReturnType<typeof gatherRows>>): Promise<string> {
    for (const { encoded } of page.entries) {
      const { body } = decodeOperation(encoded);
      if (body.kind !== "object-put" || body.object.body.kind !== "manifests") continue;
      for (const { hash } of body.object.body.manifests) await this.#manifest(hash);
    }
    this.rows += page.entries.length;
    this.skipped += page.refused.length;
    const head = writeRowsHead({ next: page.next, refused: page.refused });
    const bytes = encodePage({ head, entries: page.entries }, true);
    await this.file(pageName(number), bytes);
    return sha256Hex(bytes);
  }

  async #manifest(hash: ContentHash): Promise<void> {
    if (this.#written.has(hash)) return;
    this.#written.add(hash);
    const chunks = this.#deps.replica.manifest(hash);
    if (chunks === undefined) {
      if (this.#deps.rows.remote.find(hash) !== undefined) this.skipped += 1;
      return;
    }
    for (const chunk of chunks) {
      if (this.#written.has(chunk.hash)) continue;
      this.#written.add(chunk.hash);
      // Bodies of a page take long, and the site is not closed before this has ended.
      this.#signal.throwIfAborted();
      const bytes = await this.#deps.replica.readChunk(chunk.hash, 0, chunk.bytes);
      if (bytes === undefined) this.skipped += 1;
      else await this.file(`chunk-${chunk.hash}`, bytes);
    }
    await this.file(`manifest-${hash}`, encodeManifest(chunks));
  }

  async file(name: string, bytes: Uint8Array): Promise<void> {
    const path = `${this.#directory}/${name}`;
    const file = await this.#deps.disk.create(path, "buffered");
    this.#files.push(path);
    try {
      await file.write(bytes, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    this.bytes += bytes.length;
  }

  /** Makes the names of all files durable. */
  async end(): Promise<void> {
    await this.#deps.disk.syncDirectory(this.#directory);
  }

  /** Removes the files that were written, and nothing else; then the directory, if it is new. */
  async takeBack(isNew: boolean): Promise<void> {
    const { disk } = this.#deps;
    for (const path of this.#files) await removeIfThere(disk, path);
    if (isNew && (await disk.list(this.#directory)).length === 0) {
      await disk.removeTree(this.#directory);
    }
  }
}

function pageName(number: number): string {
  return `rows-${String(number).padStart(6, "0")}`;
}

/** A directory that was written by another site, as a source of rows and of bodies. */
export type Archive = {
  readonly head: ArchiveHead;
  readonly rows: RowSource;
  readonly bodies: BodyCalls;
};

/** Fetches bodies from an archive alone. */
export function fetchFromArchive(
  { replica, hash }: Pick<Parameters<typeof fetchBody>[0], "replica" | "hash">,
  { bodies }: Archive,
): (
  body: { readonly manifests: readonly ManifestRef[] },
  first: SiteId | undefined,
  signal: AbortSignal,
) => Promise<FetchedBody> {
  const from = {
    ...{ replica, hash, sources: () => [bodies], fetched: () => undefined },
    lied: (_site: SiteId, lie: Error) => {
      throw new StorageFault("corrupt", `the directory is damaged: ${lie.message}`, {
        hint: "Copy it once more from where it was written, and import it again.",
        cause: lie,
      });
    },
  };
  return ({ manifests }, first, signal) => fetchBody(from, manifests, first, signal);
}

/** The prefix of an import's lease name: the site that wrote the archive keeps nothing for it. */
const ARCHIVE_LEASE = "archive";

/** Whether a lease is that of an import, which only an operator continues. */
export function isOfArchive(lease: string): boolean {
  return lease.startsWith(ARCHIVE_LEASE);
}

/**
 * Opens a directory that `writeArchive` has written.
 *
 * @throws StorageFault "unsupported" when it is none, or one of another cluster.
 */
export async function openArchive(
  disk: Disk,
  directory: string,
  cluster: ClusterId,
): Promise<Archive> {
  const { head, digest } = await readHead(disk, directory);
  if (head.cluster !== cluster) {
    throw new StorageFault("unsupported", "the archive is of another cluster", {
      hint: "Let this site join first (`atoll repl-join`), then import what a member has written.",
    });
  }
  const { site, heads, rows, settled } = head;
  const lease = `${ARCHIVE_LEASE}-${digest}`;
  const read: ReadFile = (name) => readIfThere(disk, `${directory}/${name}`);
  return {
    head,
    rows: {
      ...{ site, hasBodies: true },
      start: async (asked) => {
        // Another directory holds rows that were read at another time.
        if (asked === undefined || asked === lease)
          return { lease, rows, bytes: 0, heads, settled };
        throw new RowRefusal(410, "the import that was begun is of another directory");
      },
      rows: ({ range }) => readPage(read, head, range.from),
    },
    bodies: bodiesOf(read, site),
  };
}

type ReadFile = (name: string) => Promise<Uint8Array | undefined>;

/** The page in which a position stands, from there on. */
async function readPage(
  read: ReadFile,
  { pages, digests }: ArchiveHead,
  from: string,
): ReturnType<RowSource["rows"]> {
  const behind = pages.findIndex((begin) => compareUtf8(begin, from) > 0);
  const number = behind < 0 ? pages.length : behind;
  const bytes = await read(pageName(number));
  if (bytes === undefined) throw damagedPage("missing");
  // The page holds small bodies, and nothing else tells that they are right.
  const right = digests[number - 1];
  if (right !== undefined && sha256Hex(bytes) !== right) throw damagedPage("damaged");
  const page = decodePage(bytes);
  const parsed = parseRowsHead(page.head);
  if (parsed.outcome === "bad") throw new PeerLie(`not a page: ${parsed.problem}`);
  const { next, refused } = parsed.value;
  // A step ends when it has grown large, perhaps in the middle of a page.
  const entries = page.entries.filter((entry) => isAtOrBehind(entry, from));
  const left = refused.filter((position) => compareUtf8(position, from) >= 0);
  return { entries, next, refused: left };
}

function bodiesOf(read: ReadFile, site: SiteId): BodyCalls {
  return {
    site,
    manifests: async (hashes) => {
      const found = await Promise.all(hashes.map((hash) => read(`manifest-${hash}`)));
      return found.map((bytes) => {
        if (bytes === undefined) return undefined;
        const framed = Buffer.alloc(4 + bytes.length);
        framed.writeUInt32LE(bytes.length, 0);
        framed.set(bytes, 4);
        return readManifests(framed, 1)[0];
      });
    },
    chunk: async ({ hash, offset, bytes }) => {
      const piece = (await read(`chunk-${hash}`))?.subarray(offset, offset + bytes);
      // The caller continues behind what it got; a file that was cut short has nothing more.
      if (piece?.length === 0) throw new PeerLie("a chunk of another length");
      return piece;
    },
  };
}

function damagedPage(how: string): StorageFault {
  return new StorageFault("corrupt", `a page of rows in the directory is ${how}`, {
    hint: "Copy the directory once more from where it was written, and import it again.",
  });
}

/** Entries that are no rows are passed on: whoever takes rows refuses them. */
function isAtOrBehind({ encoded }: LogEntry, from: string): boolean {
  const position = positionOfRow(decodeOperation(encoded));
  return position === undefined || compareUtf8(position, from) >= 0;
}

/** What the head of an archive says, and a name that only the very same archive has. */
async function readHead(
  disk: Disk,
  directory: string,
): Promise<{ readonly head: ArchiveHead; readonly digest: string }> {
  const bytes = await readIfThere(disk, `${directory}/${HEAD_NAME}`);
  const parsed = bytes === undefined ? undefined : parseArchiveHead(bytes);
  if (bytes !== undefined && parsed?.outcome === "ok") {
    return { head: parsed.value, digest: sha256Hex(bytes).slice(0, 32) };
  }
  throw new StorageFault("unsupported", `${directory} holds no whole archive of a site`, {
    hint: "It is written by `atoll repl-bootstrap --export DIR` at another site, to its end.",
  });
}

async function readIfThere(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  const facts = await disk.stat(path);
  return facts?.kind === "file" ? await disk.readFile(path) : undefined;
}
