import { expect, test } from "vitest";
import { Seed } from "../../../test/sim/seed.ts";
import { SimDisk } from "../../../test/sim/sim-disk.ts";
import { createInlineHash } from "../../../test/sim/sim-hash.ts";
import { HLC_ZERO } from "../../core/hlc.ts";
import { parseClusterId, parseOriginId, parseSiteId } from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
import type { Disk, ReadFile } from "../../ports/disk.ts";
import { Segments } from "./segments.ts";

const OWNER = {
  clusterId: required(parseClusterId("00112233445566778899aabbccddeeff"), "cluster"),
  formerClusterIds: [],
  siteId: required(parseSiteId("0123456789abcdef"), "site"),
  origin: required(parseOriginId("fedcba9876543210"), "origin"),
};

/** Segments on a disk that counts which files are open for reading. */
async function countedSegments(): Promise<{ segments: Segments; open: Set<ReadFile> }> {
  const open = new Set<ReadFile>();
  const disk: Disk = new SimDisk(new Seed("segments"), { directories: ["/segments"] });
  const openRead = disk.openRead.bind(disk);
  disk.openRead = async (path) => {
    const file = await openRead(path);
    const close = file.close.bind(file);
    open.add(file);
    file.close = () => {
      open.delete(file);
      return close();
    };
    return file;
  };
  const hash = await createInlineHash();
  const settings = { directory: "/segments", owner: OWNER, writeMode: "buffered" } as const;
  return { segments: new Segments({ disk, hash, ...settings }), open };
}

test("a segment that is dropped while it is read stays readable, and is closed after that", async () => {
  const { segments, open } = await countedSegments();
  const { facts } = await segments.create("bulk", HLC_ZERO);
  const page = Buffer.alloc(4096);
  await segments.use(facts.id, async (file) => {
    await segments.use(facts.id, async () => segments.drop(facts.id));
    expect(open.size).toBe(1);
    expect(await file.read(page, 0)).toBe(page.length);
  });
  expect(open.size).toBe(0);
});

test("a segment that nobody reads is closed when it is dropped", async () => {
  const { segments, open } = await countedSegments();
  const { facts } = await segments.create("bulk", HLC_ZERO);
  await segments.use(facts.id, async () => undefined);
  expect(open.size).toBe(1);
  await segments.drop(facts.id);
  expect(open.size).toBe(0);
});

test("of many segments some hundred stay open, and all are closed at the end", async () => {
  const { segments, open } = await countedSegments();
  for (let count = 0; count < 300; count++) {
    const { facts, file } = await segments.create("bulk", HLC_ZERO);
    await file.close();
    await segments.use(facts.id, async () => undefined);
  }
  expect(open.size).toBe(256);
  await segments.close();
  expect(open.size).toBe(0);
});
