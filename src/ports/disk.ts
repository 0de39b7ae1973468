/**
 * A local file system. Paths are absolute. Every failure rejects with an Error that carries `code`
 * ("ENOENT", "ENOSPC", …), as node:fs does.
 *
 * Durability: what was written to a file survives a power cut once `sync()` of that file has
 * resolved. A created, renamed or removed directory entry survives once `syncDirectory()` of its
 * directory has resolved. Nothing else promises anything.
 */
export interface Disk {
  /** Memory whose address is page-aligned, as direct I/O needs it. Never freed; pool it. */
  allocateAligned(bytes: number): Uint8Array;
  /** Creates a file that must not exist yet, mode 0600. */
  create(path: string, mode: WriteMode): Promise<WriteFile>;
  /** Opens an existing file for writing at offsets. Does not follow a symbolic link. */
  openWrite(path: string, mode: WriteMode): Promise<WriteFile>;
  /** Opens an existing file for reading. Does not follow a symbolic link. */
  openRead(path: string): Promise<ReadFile>;
  /** The whole of a small file. Does not follow a symbolic link. */
  readFile(path: string): Promise<Uint8Array>;
  /**
   * The whole of a small file that the operator names, wherever a symbolic link leads: renewed
   * certificates and mounted settings are put in place by links.
   */
  readNamed(path: string): Promise<Uint8Array>;
  /** Creates a directory with mode 0700; its parent must exist. An existing one is fine. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, sorted; without "." and "..". */
  list(path: string): Promise<string[]>;
  /** Facts about a path, not following a symbolic link; undefined when there is nothing. */
  stat(path: string): Promise<FileFacts | undefined>;
  rename(from: string, to: string): Promise<void>;
  /** Creates `to` as a second name of `from`; fails with EEXIST when `to` exists. */
  link(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Removes a directory and what is in it. Nothing there is fine. */
  removeTree(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** Facts about the file system that holds the path. */
  fileSystem(path: string): Promise<FileSystemFacts>;
  /** The same on this thread, in microseconds; throws as the other rejects. */
  fileSystemNow(path: string): FileSystemFacts;
}

/**
 * direct: O_DIRECT and O_DSYNC; memory, offsets and lengths are page-aligned and a resolved write
 * is durable already, so `sync()` has nothing left to do. buffered: through the page cache.
 */
export type WriteMode = "direct" | "buffered";

export interface WriteFile {
  /**
   * Writes all of `bytes` at the offset. The caller must not change them until it settles. After a
   * rejection any part of them, torn at any byte, may or may not be in the file. `isAlone`: nobody
   * else needs this thread, so a disk that has been fast may be written to on it, which saves two
   * thread switches.
   */
  write(bytes: Uint8Array, offset: number, isAlone?: boolean): Promise<void>;
  /** Writes parts one behind the other as if they were one; each is aligned where it has to be. */
  writeParts(parts: readonly Uint8Array[], offset: number): Promise<void>;
  /** See Disk. After a rejection nothing about unsynced bytes is known; never retry it. */
  sync(): Promise<void>;
  /** Cuts the file; durable after the next `sync()`. */
  truncate(sizeBytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface ReadFile {
  /** Reads at most `into.length` bytes; the count is smaller only at the end of the file. */
  read(into: Uint8Array, offset: number): Promise<number>;
  /** The same on this thread: for small reads of data believed to be in the page cache. */
  readSync(into: Uint8Array, offset: number): number;
  sizeBytes(): Promise<number>;
  close(): Promise<void>;
}

export type FileFacts = {
  readonly kind: "file" | "directory" | "symlink" | "other";
  readonly sizeBytes: number;
  /** Permission bits, such as 0o600. */
  readonly mode: number;
  readonly uid: number;
  readonly device: number;
  readonly inode: number;
  readonly modifiedMs: number;
};

export type FileSystemFacts = {
  /** f_type of statfs(2). */
  readonly type: number;
  readonly freeBytes: number;
  readonly totalBytes: number;
};
