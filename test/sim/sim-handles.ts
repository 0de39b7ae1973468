import type { ReadFile, WriteFile } from "../../src/ports/disk.ts";
import type { Seed } from "./seed.ts";
import type { SimFile } from "./sim-file.ts";
import { type CallKind, faultCode, type InjectedFault, type SimSteps } from "./sim-steps.ts";
import { type FileNode, systemError } from "./sim-tree.ts";

/** What an open file asks of the disk it lies on. */
interface HandleDisk {
  readonly seed: Seed;
  readonly steps: SimSteps;
  now(): number;
  enter(kind: CallKind, path: string): Promise<InjectedFault | "cut" | undefined>;
  /** Refuses what direct I/O would refuse. */
  checkAligned(bytes: Uint8Array, offset: number, path: string): void;
  writeTo(file: SimFile, bytes: Uint8Array, offset: number): ReadonlyMap<number, Uint8Array>;
}

type WriteParts = {
  readonly disk: HandleDisk;
  readonly node: FileNode;
  readonly path: string;
  readonly direct: boolean;
};

/** An open file of a simulated disk. */
export class SimWriteFile implements WriteFile {
  readonly #parts: WriteParts;
  #open = true;

  constructor(parts: WriteParts) {
    this.#parts = parts;
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return this.writeParts([bytes], offset);
  }

  async writeParts(parts: readonly Uint8Array[], offset: number): Promise<void> {
    const { disk, node, path, direct } = this.#parts;
    const taken = Buffer.concat(parts);
    const fault = await this.#enter("write");
    let at = offset;
    for (const part of parts) {
      if (direct) disk.checkAligned(part, at, path);
      at += part.length;
    }
    if (fault !== undefined) {
      // Torn at any byte: none of it, some of it or all of it has arrived.
      const arrived = fault === "EMFILE" ? 0 : disk.seed.int(taken.length + 1);
      disk.writeTo(node.file, taken.subarray(0, arrived), offset);
      if (fault === "cut") return disk.steps.lost();
      throw systemError(faultCode(fault), path);
    }
    const made = disk.writeTo(node.file, taken, offset);
    node.modifiedMs = disk.now();
    await disk.steps.settle(disk.seed);
    if (!taken.equals(Buffer.concat(parts))) {
      throw new Error(`${path}: bytes were changed while they were being written`);
    }
    if (direct) node.file.syncPages(made, at);
  }

  async sync(): Promise<void> {
    const { disk, node, path, direct } = this.#parts;
    if (direct) return;
    const fault = await this.#enter("sync");
    if (fault === "cut") return disk.steps.lost();
    if (fault !== undefined) {
      node.file.failSync(disk.seed);
      throw systemError(fault === "short-write" ? "EIO" : fault, path);
    }
    // What is written while the sync runs is not promised, and nothing is before it resolves.
    const finish = node.file.beginSync();
    await disk.steps.settle(disk.seed);
    finish();
  }

  async truncate(sizeBytes: number): Promise<void> {
    const { disk, node, path, direct } = this.#parts;
    const fault = await this.#enter("truncate");
    if (fault === "cut") {
      if (disk.seed.chance(0.5)) node.file.truncate(sizeBytes);
      return disk.steps.lost();
    }
    if (fault !== undefined) throw systemError(faultCode(fault), path);
    node.file.truncate(sizeBytes);
    const finish = node.file.beginSync();
    await disk.steps.settle(disk.seed);
    if (direct) finish();
  }

  async close(): Promise<void> {
    if (!this.#open) throw systemError("EBADF", this.#parts.path);
    this.#open = false;
  }

  async #enter(kind: "write" | "sync" | "truncate") {
    if (!this.#open) throw systemError("EBADF", this.#parts.path);
    return this.#parts.disk.enter(kind, this.#parts.path);
  }
}

/** An open file of a simulated disk; it outlives its name. */
export class SimReadFile implements ReadFile {
  readonly #disk: HandleDisk;
  readonly #node: FileNode;
  readonly #path: string;
  #open = true;

  constructor(disk: HandleDisk, node: FileNode, path: string) {
    this.#disk = disk;
    this.#node = node;
    this.#path = path;
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    if (this.#disk.steps.stopped) return this.#disk.steps.lost();
    const count = this.readSync(into, offset);
    await this.#disk.steps.settle(this.#disk.seed);
    return count;
  }

  readSync(into: Uint8Array, offset: number): number {
    if (!this.#open) throw systemError("EBADF", this.#path);
    const fault = this.#disk.steps.enter("read", this.#path);
    if (fault !== undefined) throw systemError("EIO", this.#path);
    return this.#node.file.read(into, offset);
  }

  async sizeBytes(): Promise<number> {
    if (this.#disk.steps.stopped) await this.#disk.steps.lost();
    return this.#node.file.size;
  }

  async close(): Promise<void> {
    if (!this.#open) throw systemError("EBADF", this.#path);
    this.#open = false;
  }
}
