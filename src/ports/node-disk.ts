import * as fs from "node:fs";
import { errnoOf } from "../core/faults.ts";
import type { Disk, FileFacts, FileSystemFacts, ReadFile, WriteFile, WriteMode } from "./disk.ts";
import { systemClock } from "./system-clock.ts";
import { WritePace } from "./write-pace.ts";

const { O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } =
  fs.constants;
/** Node's types leave WebAssembly to the browser's. */
declare const WebAssembly: {
  readonly Memory: new (size: {
    initial: number;
    maximum: number;
    shared: true;
  }) => { buffer: SharedArrayBuffer };
};

const PAGE_BYTES = 4096;
const WASM_PAGE_BYTES = 65_536;
/** One system call moves at most 2 GiB on Linux; half of that keeps every length page-aligned. */
const TRANSFER_BYTES_MAX = 1024 ** 3;
/** So many parts one system call takes. */
const PARTS_MAX = 1024;
/** A write this small finishes soon, or costs less than handing it to another thread. */
const SMALL_BYTES = 16 * 1024;

/** The local file system through node:fs, by file descriptors: FileHandle costs twice as much. */
export function createNodeDisk(): Disk {
  const pace = new WritePace();
  return {
    allocateAligned,
    create: (path, mode) => openForWriting(path, mode, O_CREAT | O_EXCL, pace),
    openWrite: (path, mode) => openForWriting(path, mode, 0, pace),
    openRead: async (path) => new NodeReadFile(await open(path, O_RDONLY | O_NOFOLLOW)),
    readFile,
    readNamed: (path) => call<Buffer>((done) => fs.readFile(path, done)),
    makeDirectory,
    list: async (path) => (await call<string[]>((done) => fs.readdir(path, done))).sort(),
    stat,
    rename: (from, to) => call((done) => fs.rename(from, to, done)),
    link: (from, to) => call((done) => fs.link(from, to, done)),
    remove: (path) => call((done) => fs.unlink(path, done)),
    removeTree: (path) => call((done) => fs.rm(path, { recursive: true, force: true }, done)),
    syncDirectory,
    fileSystem: async (path) =>
      fileSystemFacts(await call<fs.StatsFs>((done) => fs.statfs(path, done))),
    fileSystemNow: (path) => fileSystemFacts(fs.statfsSync(path)),
  };
}

type Done<Value> = (failure: Error | null, value?: Value) => void;

function call<Value = void>(start: (done: Done<Value>) => void): Promise<Value> {
  return new Promise((resolve, reject) => {
    start((failure, value) => {
      if (failure) reject(failure);
      else resolve(value as Value);
    });
  });
}

function allocateAligned(bytes: number): Uint8Array {
  // V8 maps WebAssembly memory by whole pages, the only page-aligned memory plain Node can get.
  const pages = Math.max(1, Math.ceil(bytes / WASM_PAGE_BYTES));
  // Shared, so that hash workers read a body where it lies.
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return new Uint8Array(memory.buffer, 0, bytes);
}

function open(path: string, flags: number): Promise<number> {
  return call<number>((done) => fs.open(path, flags, 0o600, done));
}

async function openForWriting(
  path: string,
  mode: WriteMode,
  extra: number,
  pace: WritePace,
): Promise<WriteFile> {
  const direct = mode === "direct";
  const flags = O_RDWR | O_NOFOLLOW | extra | (direct ? O_DIRECT | O_DSYNC : 0);
  return new NodeWriteFile(await open(path, flags), direct ? pace : undefined);
}

async function readFile(path: string): Promise<Uint8Array> {
  const descriptor = await open(path, O_RDONLY | O_NOFOLLOW);
  try {
    return await call<Buffer>((done) => fs.readFile(descriptor, done));
  } finally {
    await call((done) => fs.close(descriptor, done));
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await call((done) => fs.mkdir(path, 0o700, done));
  } catch (failure) {
    if (errnoOf(failure) !== "EEXIST" || (await stat(path))?.kind !== "directory") throw failure;
  }
}

async function stat(path: string): Promise<FileFacts | undefined> {
  try {
    const facts = await call<fs.Stats>((done) => fs.lstat(path, done));
    return {
      kind: kindOf(facts),
      sizeBytes: facts.size,
      mode: facts.mode & 0o7777,
      uid: facts.uid,
      device: facts.dev,
      inode: facts.ino,
      modifiedMs: facts.mtimeMs,
    };
  } catch (failure) {
    if (errnoOf(failure) === "ENOENT") return undefined;
    throw failure;
  }
}

function kindOf(facts: fs.Stats): FileFacts["kind"] {
  if (facts.isFile()) return "file";
  if (facts.isDirectory()) return "directory";
  return facts.isSymbolicLink() ? "symlink" : "other";
}

async function syncDirectory(path: string): Promise<void> {
  const descriptor = await open(path, O_RDONLY | O_DIRECTORY);
  try {
    await call((done) => fs.fsync(descriptor, done));
  } finally {
    await call((done) => fs.close(descriptor, done));
  }
}

function fileSystemFacts(facts: fs.StatsFs): FileSystemFacts {
  return {
    type: facts.type,
    freeBytes: facts.bavail * facts.bsize,
    totalBytes: facts.blocks * facts.bsize,
  };
}

class NodeWriteFile implements WriteFile {
  readonly #descriptor: number;
  /** How fast direct writes have been; undefined for a file written through the page cache. */
  readonly #pace: WritePace | undefined;

  constructor(descriptor: number, pace: WritePace | undefined) {
    this.#descriptor = descriptor;
    this.#pace = pace;
  }

  async write(bytes: Uint8Array, offset: number, isAlone = false): Promise<void> {
    const pace = bytes.length <= SMALL_BYTES ? this.#pace : undefined;
    if (pace === undefined) return this.#handOver([bytes], offset);
    const startedMs = systemClock.monotonicMs();
    const written = isAlone && pace.isFast ? this.#writeHere(bytes, offset) : 0;
    if (written < bytes.length) {
      await this.#handOver([bytes.subarray(written)], offset + written);
    }
    pace.note(systemClock.monotonicMs() - startedMs);
  }

  #writeHere(bytes: Uint8Array, offset: number): number {
    const written = fs.writeSync(this.#descriptor, bytes, 0, bytes.length, offset);
    const stuck = written < bytes.length && shortWriteFailure(written, written, true);
    if (stuck) throw stuck;
    return written;
  }

  writeParts(parts: readonly Uint8Array[], offset: number): Promise<void> {
    return this.#handOver(parts, offset);
  }

  #handOver(parts: readonly Uint8Array[], offset: number): Promise<void> {
    const isDirect = this.#pace !== undefined;
    return new Promise((resolve, reject) => {
      let left = partsBehind(parts, 0);
      let written = 0;
      const next = (): void => {
        const [first] = left;
        const at = offset + written;
        if (first === undefined) resolve();
        else if (left.length > 1) fs.writev(this.#descriptor, left.slice(0, PARTS_MAX), at, hear);
        else fs.write(this.#descriptor, first, 0, transferBytes(first), at, hear);
      };
      const goOn = (count: number): void => {
        left = partsBehind(left, count);
        written += count;
        const stuck = left.length > 0 && shortWriteFailure(count, written, isDirect);
        if (stuck) reject(stuck);
        else next();
      };
      const hear = (failure: Error | null, count: number): void => {
        if (failure) reject(failure);
        else goOn(count);
      };
      next();
    });
  }

  sync(): Promise<void> {
    if (this.#pace !== undefined) return Promise.resolve();
    return call((done) => fs.fdatasync(this.#descriptor, done));
  }

  async truncate(sizeBytes: number): Promise<void> {
    await call((done) => fs.ftruncate(this.#descriptor, sizeBytes, done));
    // O_DSYNC covers writes only: in direct mode nobody would sync a cut later.
    if (this.#pace !== undefined) await call((done) => fs.fsync(this.#descriptor, done));
  }

  close(): Promise<void> {
    return call((done) => fs.close(this.#descriptor, done));
  }
}

function transferBytes({ length }: Uint8Array): number {
  return Math.min(length, TRANSFER_BYTES_MAX);
}

/** What is left of parts when so many bytes of them have been written. */
function partsBehind(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let done = bytes;
  return parts.flatMap((part) => {
    const skip = Math.min(part.length, done);
    done -= skip;
    return skip === part.length ? [] : [part.subarray(skip)];
  });
}

/** A short write is resumed, unless it got nowhere or left direct I/O off its alignment. */
function shortWriteFailure(count: number, written: number, direct: boolean): Error | undefined {
  if (count > 0 && !(direct && written % PAGE_BYTES !== 0)) return undefined;
  return Object.assign(new Error(`EIO: short write of ${count} bytes`), { code: "EIO" });
}

class NodeReadFile implements ReadFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  read(into: Uint8Array, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let filled = 0;
      const next = (): void => {
        const length = Math.min(into.length - filled, TRANSFER_BYTES_MAX);
        fs.read(this.#descriptor, into, filled, length, offset + filled, (failure, count) => {
          if (failure) return reject(failure);
          filled += count;
          if (count === 0 || filled === into.length) return resolve(filled);
          next();
        });
      };
      if (into.length === 0) resolve(0);
      else next();
    });
  }

  readSync(into: Uint8Array, offset: number): number {
    let filled = 0;
    while (filled < into.length) {
      const count = fs.readSync(
        this.#descriptor,
        into,
        filled,
        into.length - filled,
        offset + filled,
      );
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  async sizeBytes(): Promise<number> {
    return (await call<fs.Stats>((done) => fs.fstat(this.#descriptor, done))).size;
  }

  close(): Promise<void> {
    return call((done) => fs.close(this.#descriptor, done));
  }
}
