import type { Disk, WriteFile } from "../../src/ports/disk.ts";

/** An object that differs from another in some of its methods. */
export function overlay<Target extends object>(target: Target, changed: Partial<Target>): Target {
  return new Proxy(target, {
    get(_, name) {
      const own = Reflect.get(changed, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A disk whose files are wrapped when they are opened for writing. */
export function diskWith(disk: Disk, wrap: (file: WriteFile, path: string) => WriteFile): Disk {
  return overlay(disk, {
    create: async (path, mode) => wrap(await disk.create(path, mode), path),
    openWrite: async (path, mode) => wrap(await disk.openWrite(path, mode), path),
  });
}

/** A disk on which writes into segments go another way. */
export function diskWithSegmentWrites(
  disk: Disk,
  write: (file: WriteFile, ...written: Parameters<WriteFile["write"]>) => Promise<void>,
): Disk {
  return diskWith(disk, (file, path) => {
    if (!path.includes("/segments/")) return file;
    return overlay(file, { write: (...written) => write(file, ...written) });
  });
}
