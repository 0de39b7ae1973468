import { expect, test } from "vitest";
import type { Kv } from "../../src/ports/kv.ts";
import { diskWith, overlay } from "../support/overlay.ts";
import { runSchedule } from "./power-loss.ts";
import { createInlineHash } from "./sim-hash.ts";
import type { Sabotage } from "./sim-machine.ts";

const SCHEDULES_MAX = 400;

function isSegment(path: string): boolean {
  return path.includes("/segments/");
}

/** Begins it in a later turn, and says at once that it is done. */
function later(work: () => Promise<void>): Promise<void> {
  setImmediate(() => void work().catch(() => undefined));
  return Promise.resolve();
}

/** Holds back what is written to segments until the index has been written. */
function indexBeforeLog(): Sabotage {
  let heldBack: Array<() => Promise<void>> = [];
  const hold = (work: () => Promise<void>): Promise<void> => {
    heldBack.push(work);
    return Promise.resolve();
  };
  const release = async (): Promise<void> => {
    const works = heldBack;
    heldBack = [];
    for (const work of works) await work().catch(() => undefined);
  };
  return {
    disk: (disk) =>
      diskWith(disk, (file, path) =>
        isSegment(path)
          ? overlay(file, {
              write: (bytes, offset) => {
                const kept = disk.allocateAligned(bytes.length);
                kept.set(bytes);
                return offset === 0 ? file.write(bytes, 0) : hold(() => file.write(kept, offset));
              },
              sync: async () => {
                if (heldBack.length === 0) return file.sync();
                return hold(() => file.sync());
              },
              close: async () => {
                await release();
                await file.close();
              },
            })
          : file,
      ),
    kv: (kv) =>
      overlay(kv, {
        write: async (mutations) => {
          await kv.write(mutations);
          void release();
        },
      }),
  };
}

/** Writes a batch of the index in two transactions. */
function inHalves(kv: Kv): Kv {
  return overlay(kv, {
    write: async (mutations) => {
      const half = Math.ceil(mutations.length / 2);
      await kv.write(mutations.slice(0, half));
      if (half < mutations.length) await kv.write(mutations.slice(half));
    },
  });
}

const BUGS: Readonly<Record<string, () => Sabotage>> = {
  "acknowledged before the log is synced": () => ({
    disk: (disk) =>
      diskWith(disk, (file, path) =>
        isSegment(path)
          ? overlay(file, {
              write: (bytes, offset) => {
                const kept = disk.allocateAligned(bytes.length);
                kept.set(bytes);
                return later(() => file.write(kept, offset));
              },
              sync: () => later(() => file.sync()),
            })
          : file,
      ),
  }),
  "index before log": indexBeforeLog,
  "no file is ever synced": () => ({
    disk: (disk) =>
      overlay(
        diskWith(disk, (file) => overlay(file, { sync: () => Promise.resolve() })),
        {
          create: async (path) => {
            const file = await disk.create(path, "buffered");
            return overlay(file, { sync: () => Promise.resolve() });
          },
        },
      ),
  }),
  "no directory is ever synced": () => ({
    disk: (disk) => overlay(disk, { syncDirectory: () => Promise.resolve() }),
  }),
  "checksums are not verified": () => ({
    hash: (hash) => ({ ...hash, crc32: () => 0 }),
  }),
  "a torn end is cut in the middle of what is whole": () => ({
    disk: (disk) =>
      diskWith(disk, (file) =>
        overlay(file, {
          truncate: (sizeBytes) => file.truncate(Math.max(4096, sizeBytes - 4096)),
        }),
      ),
  }),
  "the index is believed after a power cut": () => ({ bootId: "the only boot" }),
  "the index is written in two transactions": () => ({ kv: inHalves }),
  "removals from the index are lost": () => ({
    kv: (kv) =>
      overlay(kv, {
        write: (mutations) => kv.write(mutations.filter(({ value }) => value !== undefined)),
      }),
  }),
};

test.each(Object.entries(BUGS))("a store with this bug is found out: %s", async (name, make) => {
  const hash = await createInlineHash();
  for (let number = 0; number < SCHEDULES_MAX; number++) {
    try {
      await runSchedule(number, hash, make());
    } catch (failure) {
      process.stdout.write(`${name}: schedule ${number + 1}: ${String(failure).slice(0, 150)}\n`);
      expect(String(failure)).toMatch(/BrokenPromise|StorageFault|AssertionFault/);
      return;
    }
  }
  throw new Error(`not noticed in ${SCHEDULES_MAX} schedules: ${name}`);
});
