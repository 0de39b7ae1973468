import type { Seed } from "./seed.ts";
import { SimFile } from "./sim-file.ts";

export type FileNode = {
  readonly kind: "file";
  readonly inode: number;
  readonly file: SimFile;
  modifiedMs: number;
  links: number;
};
export type DirectoryNode = {
  readonly kind: "directory";
  readonly inode: number;
  readonly entries: Map<string, SimNode>;
  readonly durable: Map<string, SimNode>;
  modifiedMs: number;
};
export type SymlinkNode = {
  readonly kind: "symlink";
  readonly inode: number;
  readonly target: string;
  modifiedMs: number;
};
export type SimNode = FileNode | DirectoryNode | SymlinkNode;

type Change = {
  readonly directory: DirectoryNode;
  readonly name: string;
  /** Undefined takes the name away. */
  readonly node: SimNode | undefined;
};

/** Where a path points: the directory that holds it, the name there, and what is there now. */
export type Place = {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: SimNode | undefined;
};

export function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}

/**
 * The names of a file system. Every change takes effect at once for programs, and is pending for
 * power cuts until its directory is synced. Changes of one call survive together or not at all.
 */
export class SimTree {
  #root: DirectoryNode;
  #inodes = 1;
  #pending: Change[][] = [];

  constructor() {
    this.#root = this.newDirectory();
  }

  newFile(): FileNode {
    return { kind: "file", inode: this.#inodes++, file: new SimFile(), modifiedMs: 0, links: 0 };
  }

  newDirectory(): DirectoryNode {
    const inode = this.#inodes++;
    return { kind: "directory", inode, entries: new Map(), durable: new Map(), modifiedMs: 0 };
  }

  newSymlink(target: string): SymlinkNode {
    return { kind: "symlink", inode: this.#inodes++, target, modifiedMs: 0 };
  }

  /** Fails with ENOENT or ENOTDIR when the way there is not made of directories. */
  place(path: string): Place {
    const names = path.split("/").filter((name) => name !== "");
    const last = names.pop();
    if (last === undefined) return { directory: this.#root, name: "", node: this.#root };
    let directory = this.#root;
    for (const name of names) {
      const next = directory.entries.get(name);
      if (next === undefined) throw systemError("ENOENT", path);
      if (next.kind !== "directory") throw systemError("ENOTDIR", path);
      directory = next;
    }
    return { directory, name: last, node: directory.entries.get(last) };
  }

  /** What is there; fails with ENOENT when nothing is. */
  node(path: string): SimNode {
    const { node } = this.place(path);
    if (node === undefined) throw systemError("ENOENT", path);
    return node;
  }

  directory(path: string): DirectoryNode {
    const node = this.node(path);
    if (node.kind !== "directory") throw systemError("ENOTDIR", path);
    return node;
  }

  set(place: Place, node: SimNode): void {
    this.#change([{ directory: place.directory, name: place.name, node }]);
  }

  remove(place: Place): void {
    this.#change([{ directory: place.directory, name: place.name, node: undefined }]);
  }

  rename(from: Place, to: Place): void {
    this.#change([
      { directory: from.directory, name: from.name, node: undefined },
      { directory: to.directory, name: to.name, node: from.node },
    ]);
  }

  /**
   * Begins a sync; the function it returns makes durable the changes of this directory that were
   * pending by now, and earlier ones that they build upon.
   */
  beginSync(directory: DirectoryNode): () => void {
    const chosen = new Set<Change[]>();
    const names = new Map<DirectoryNode, Set<string>>();
    for (const changes of this.#pending.toReversed()) {
      const touches = changes.some(
        (change) => change.directory === directory || names.get(change.directory)?.has(change.name),
      );
      if (!touches) continue;
      chosen.add(changes);
      for (const change of changes) {
        const known = names.get(change.directory) ?? new Set();
        names.set(change.directory, known.add(change.name));
      }
    }
    return () => {
      for (const changes of this.#pending) if (chosen.has(changes)) settle(changes);
      this.#pending = this.#pending.filter((changes) => !chosen.has(changes));
    };
  }

  /** The tree after a power cut; files crash as well. */
  crash(seed: Seed): SimTree {
    for (const changes of this.#survivors(seed)) settle(changes);
    const tree = new SimTree();
    tree.#inodes = this.#inodes;
    tree.#root = copyDurable(this.#root, seed, new Map());
    return tree;
  }

  /** The tree as programs see it now, all of it synced. */
  copy(): SimTree {
    const tree = new SimTree();
    tree.#inodes = this.#inodes;
    tree.#root = copyLive(this.#root, new Map());
    return tree;
  }

  /** Gives a directory another inode, durably, as a copy of it would have. */
  renewInode(path: string): void {
    const place = this.place(path);
    const { node } = place;
    if (node?.kind !== "directory") throw systemError("ENOTDIR", path);
    this.set(place, { ...node, inode: this.#inodes++ });
    this.beginSync(place.directory)();
  }

  /** A journal loses a tail of its changes; the contract allows any of them to be lost. */
  #survivors(seed: Seed): Change[][] {
    if (seed.chance(0.3)) return this.#pending.slice(0, seed.int(this.#pending.length + 1));
    return this.#pending.filter(() => seed.chance(0.5));
  }

  #change(changes: Change[]): void {
    for (const { directory, name, node } of changes) {
      const old = directory.entries.get(name);
      if (old?.kind === "file") old.links -= 1;
      if (node === undefined) directory.entries.delete(name);
      else directory.entries.set(name, node);
      if (node?.kind === "file") node.links += 1;
    }
    this.#pending.push(changes);
  }
}

function settle(changes: readonly Change[]): void {
  for (const { directory, name, node } of changes) {
    if (node === undefined) directory.durable.delete(name);
    else directory.durable.set(name, node);
  }
}

function copyDurable(
  from: DirectoryNode,
  seed: Seed,
  files: Map<SimNode, FileNode>,
): DirectoryNode {
  const entries = new Map<string, SimNode>();
  for (const [name, node] of from.durable) {
    if (node.kind === "directory") entries.set(name, copyDurable(node, seed, files));
    else if (node.kind === "symlink") entries.set(name, node);
    else {
      // Two names of one file stay two names of one file.
      const file = files.get(node) ?? { ...node, file: node.file.crash(seed), links: 0 };
      file.links += 1;
      files.set(node, file);
      entries.set(name, file);
    }
  }
  return { ...from, entries, durable: new Map(entries) };
}

function copyLive(from: DirectoryNode, files: Map<SimNode, FileNode>): DirectoryNode {
  const entries = new Map<string, SimNode>();
  for (const [name, node] of from.entries) {
    if (node.kind === "directory") entries.set(name, copyLive(node, files));
    else if (node.kind === "symlink") entries.set(name, node);
    else {
      const file = files.get(node) ?? { ...node, file: node.file.copy() };
      files.set(node, file);
      entries.set(name, file);
    }
  }
  return { ...from, entries, durable: new Map(entries) };
}
