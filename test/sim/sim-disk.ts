import type {
  Disk,
  FileFacts,
  FileSystemFacts,
  ReadFile,
  WriteFile,
  WriteMode,
} from "../../src/ports/disk.ts";
import type { Seed } from "./seed.ts";
import { type Attachment, PAGE_BYTES, type SimFile } from "./sim-file.ts";
import { SimReadFile, SimWriteFile } from "./sim-handles.ts";
import { type CallKind, faultCode, type InjectedFault, SimSteps } from "./sim-steps.ts";
import { type FileNode, type Place, type SimNode, SimTree, systemError } from "./sim-tree.ts";

const EXT4_TYPE = 0xef53;

export type SimDiskOptions = {
  /** Directories that exist from the beginning, durably. */
  readonly directories?: readonly string[];
  readonly capacityBytes?: number;
  /** Time for `modifiedMs`. */
  readonly nowMs?: () => number;
};

/**
 * A disk in memory that can lose power. What was written is seen at once; what a power cut leaves
 * is decided by the seed, within what the Disk contract allows.
 */
export class SimDisk implements Disk {
  readonly seed: Seed;
  readonly steps = new SimSteps();
  readonly #options: SimDiskOptions;
  readonly #aligned = new WeakSet<ArrayBufferLike>();
  #tree = new SimTree();
  #freeBytes: number;

  constructor(seed: Seed, options: SimDiskOptions = {}) {
    this.seed = seed;
    this.#options = options;
    this.#freeBytes = options.capacityBytes ?? 2 ** 40;
    for (const path of options.directories ?? []) this.makeDirectories(path);
  }

  // What tests do to it

  /** The disk after a power cut. This one is dead. */
  crash(): SimDisk {
    this.steps.stop();
    return this.#successor("crash", this.#tree.crash(this.seed.derive("crash")));
  }

  /** The disk as the next process finds it when this one is killed. This one is dead. */
  kill(): SimDisk {
    this.steps.stop();
    return this.#successor("kill", this.#tree);
  }

  /** What a power cut at this moment would leave; this one goes on. */
  ghost(seed: Seed): SimDisk {
    return this.#copyOf(seed, this.#tree.crash(seed));
  }

  /** Another disk with the same on it, all of it synced; this one goes on. */
  copy(seed: Seed): SimDisk {
    return this.#copyOf(seed, this.#tree.copy());
  }

  /** Gives a directory another inode, as a copy of it would have. */
  renewInode(path: string): void {
    this.#tree.renewInode(path);
  }

  /** Bytes that can still be written before ENOSPC. */
  set freeBytes(bytes: number) {
    this.#freeBytes = bytes;
  }

  flipBit(path: string, bit: number): void {
    this.#file(path).file.flipBit(bit);
  }

  /** Makes a symbolic link, durably. */
  plantSymlink(path: string, target: string): void {
    const place = this.#tree.place(path);
    this.#tree.set(place, this.#tree.newSymlink(target));
    this.#tree.beginSync(place.directory)();
  }

  /** Makes a directory and those above it without a step. */
  makeDirectories(path: string, durable = true): void {
    let at = "";
    for (const name of path.split("/").filter((part) => part !== "")) {
      at += `/${name}`;
      const place = this.#tree.place(at);
      if (place.node === undefined) this.#tree.set(place, this.#tree.newDirectory());
      if (durable) this.#tree.beginSync(place.directory)();
    }
  }

  // What simulated companions need

  /** The rider of a file, undefined when there is no such file or no rider. */
  attachment(path: string): Attachment | undefined {
    try {
      return this.#file(path).file.attachment;
    } catch {
      return undefined;
    }
  }

  /** Puts a rider on a file, creating it (as a pending entry) when there is none. */
  attach(path: string, attachment: Attachment): void {
    const place = this.#tree.place(path);
    const node = place.node ?? this.#tree.newFile();
    if (node.kind !== "file") throw systemError("EISDIR", path);
    if (place.node === undefined) this.#tree.set(place, node);
    node.file.attachment = attachment;
  }

  // Disk

  allocateAligned(bytes: number): Uint8Array {
    const memory = new ArrayBuffer(Math.max(bytes, 1));
    this.#aligned.add(memory);
    return new Uint8Array(memory, 0, bytes);
  }

  create(path: string, mode: WriteMode): Promise<WriteFile> {
    return this.#run("create", path, () => {
      const place = this.#tree.place(path);
      if (place.node !== undefined) throw systemError("EEXIST", path);
      const node = this.#tree.newFile();
      this.#touch(node, place);
      this.#tree.set(place, node);
      return this.#openedWrite(node, path, mode);
    });
  }

  openWrite(path: string, mode: WriteMode): Promise<WriteFile> {
    return this.#run("open", path, () => this.#openedWrite(this.#file(path), path, mode));
  }

  openRead(path: string): Promise<ReadFile> {
    return this.#run("open", path, () => new SimReadFile(this, this.#file(path), path));
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#run("read", path, () => {
      const { file } = this.#file(path);
      const bytes = Buffer.alloc(file.size);
      file.read(bytes, 0);
      return bytes;
    });
  }

  async readNamed(path: string): Promise<Uint8Array> {
    const node = this.#tree.node(path);
    return await this.readFile(node.kind === "symlink" ? node.target : path);
  }

  makeDirectory(path: string): Promise<void> {
    return this.#run("make-directory", path, () => {
      const place = this.#tree.place(path);
      if (place.node?.kind === "directory") return;
      if (place.node !== undefined) throw systemError("EEXIST", path);
      this.#tree.set(place, this.#tree.newDirectory());
    });
  }

  list(path: string): Promise<string[]> {
    return this.#run("list", path, () => [...this.#tree.directory(path).entries.keys()].sort());
  }

  stat(path: string): Promise<FileFacts | undefined> {
    return this.#run("stat", path, () => {
      try {
        return factsOf(this.#tree.node(path));
      } catch (failure) {
        if ((failure as { code?: string }).code === "ENOENT") return undefined;
        throw failure;
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run("rename", to, () => {
      const source = this.#tree.place(from);
      const target = this.#tree.place(to);
      if (source.node === undefined) throw systemError("ENOENT", from);
      if (source.node === target.node) return;
      refuseReplacing(source.node, target.node, to);
      this.#tree.rename(source, target);
      this.#freed(target.node);
    });
  }

  link(from: string, to: string): Promise<void> {
    return this.#run("link", to, () => {
      const node = this.#file(from);
      const place = this.#tree.place(to);
      if (place.node !== undefined) throw systemError("EEXIST", to);
      this.#tree.set(place, node);
    });
  }

  remove(path: string): Promise<void> {
    return this.#run("remove", path, () => {
      const place = this.#tree.place(path);
      if (place.node === undefined) throw systemError("ENOENT", path);
      if (place.node.kind === "directory") throw systemError("EISDIR", path);
      this.#tree.remove(place);
      this.#freed(place.node);
    });
  }

  async removeTree(path: string): Promise<void> {
    const facts = await this.stat(path);
    if (facts === undefined) return;
    if (facts.kind !== "directory") return this.remove(path);
    for (const name of await this.list(path)) await this.removeTree(`${path}/${name}`);
    await this.#run("remove", path, () => {
      const place = this.#tree.place(path);
      if (place.node?.kind === "directory" && place.node.entries.size > 0) {
        throw systemError("ENOTEMPTY", path);
      }
      if (place.node !== undefined) this.#tree.remove(place);
    });
  }

  async syncDirectory(path: string): Promise<void> {
    const finish = await this.#run("sync-directory", path, () =>
      this.#tree.beginSync(this.#tree.directory(path)),
    );
    finish();
  }

  fileSystem(path: string): Promise<FileSystemFacts> {
    return this.#run("file-system", path, () => this.fileSystemNow());
  }

  fileSystemNow(): FileSystemFacts {
    return {
      type: EXT4_TYPE,
      freeBytes: Math.max(0, this.#freeBytes),
      totalBytes: this.#options.capacityBytes ?? 2 ** 40,
    };
  }

  // For its files

  /** Refuses memory, offsets and lengths that direct I/O would refuse. */
  checkAligned(bytes: Uint8Array, offset: number, path: string): void {
    const aligned =
      this.#aligned.has(bytes.buffer) &&
      bytes.byteOffset % PAGE_BYTES === 0 &&
      bytes.length % PAGE_BYTES === 0 &&
      offset % PAGE_BYTES === 0;
    if (!aligned) throw systemError("EINVAL", `${path}: direct write that is not aligned`);
  }

  async enter(kind: CallKind, path: string): Promise<InjectedFault | "cut" | undefined> {
    if (this.steps.stopped) await this.steps.lost();
    return this.steps.enter(kind, path);
  }

  /** Writes to the page cache, as far as there is room; the rest fails with ENOSPC. */
  writeTo(file: SimFile, bytes: Uint8Array, offset: number): ReadonlyMap<number, Uint8Array> {
    const before = file.pageCount;
    const room = Math.floor(this.#freeBytes / PAGE_BYTES) * PAGE_BYTES;
    const newBytes = Math.max(0, offset + bytes.length - Math.max(file.size, offset));
    const fits = newBytes <= room || bytes.length === 0;
    const made = file.write(fits ? bytes : bytes.subarray(0, Math.max(0, room)), offset);
    this.#freeBytes -= (file.pageCount - before) * PAGE_BYTES;
    if (!fits) throw systemError("ENOSPC", "no space left on device");
    return made;
  }

  now(): number {
    return this.#options.nowMs?.() ?? 0;
  }

  /**
   * One call that is atomic in itself. A cut inside it leaves its effect pending or never begun;
   * an injected fault leaves nothing.
   */
  async #run<Value>(kind: CallKind, path: string, act: () => Value): Promise<Value> {
    const fault = await this.enter(kind, path);
    if (fault === "cut") {
      if (this.seed.chance(0.5)) act();
      return this.steps.lost();
    }
    if (fault !== undefined) throw systemError(faultCode(fault), path);
    const value = act();
    await this.steps.settle(this.seed);
    return value;
  }

  #successor(name: string, tree: SimTree): SimDisk {
    return this.#copyOf(this.seed.derive(name), tree);
  }

  #copyOf(seed: Seed, tree: SimTree): SimDisk {
    const disk = new SimDisk(seed, { ...this.#options, directories: [] });
    disk.#tree = tree;
    disk.#freeBytes = this.#freeBytes;
    return disk;
  }

  #file(path: string): FileNode {
    const node = this.#tree.node(path);
    if (node.kind === "symlink") throw systemError("ELOOP", path);
    if (node.kind === "directory") throw systemError("EISDIR", path);
    return node;
  }

  #openedWrite(node: FileNode, path: string, mode: WriteMode): WriteFile {
    return new SimWriteFile({ disk: this, node, path, direct: mode === "direct" });
  }

  #touch(node: FileNode, place: Place): void {
    node.modifiedMs = this.now();
    place.directory.modifiedMs = this.now();
  }

  #freed(node: SimNode | undefined): void {
    if (node?.kind !== "file" || node.links > 0) return;
    this.#freeBytes += node.file.pageCount * PAGE_BYTES;
  }
}

function factsOf(node: SimNode): FileFacts {
  return {
    kind: node.kind,
    sizeBytes: node.kind === "file" ? node.file.size : 0,
    mode: node.kind === "file" ? 0o600 : node.kind === "directory" ? 0o700 : 0o777,
    uid: process.getuid?.() ?? 0,
    device: 1,
    inode: node.inode,
    modifiedMs: node.modifiedMs,
  };
}

function refuseReplacing(source: SimNode, target: SimNode | undefined, path: string): void {
  if (target === undefined) return;
  if (target.kind === "directory") {
    if (source.kind !== "directory") throw systemError("EISDIR", path);
    if (target.entries.size > 0) throw systemError("ENOTEMPTY", path);
  } else if (source.kind === "directory") throw systemError("ENOTDIR", path);
}
