import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { createMemoryLog } from "../../test/sim/memory-log.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { createInlineHash } from "../../test/sim/sim-hash.ts";
import type { Settings } from "../config.ts";
import { StorageFault } from "../core/faults.ts";
import { createNodeDisk } from "../ports/node-disk.ts";
import { systemClock } from "../ports/system-clock.ts";
import type { SitePorts } from "../storage/site-ports.ts";
import { openTls, watchTls } from "./tls.ts";

const MINUTE_MS = 60_000;
const FILES = { certificatePath: "/tls/cert.pem", keyPath: "/tls/key.pem" };

test("changed files are taken within a minute, and tried again until they fit together", async () => {
  const contents = new Map([
    [FILES.certificatePath, "one"],
    [FILES.keyPath, "one"],
  ]);
  const taken: string[] = [];
  const server = {
    reloadTls: async () => {
      const [certificate, key] = contents.values();
      if (certificate !== key) throw new StorageFault("unsupported", "they do not fit");
      taken.push(String(key));
    },
  };
  const clock = new SimClock(0);
  const log = createMemoryLog();
  const disk = { readNamed: async (path: string) => Buffer.from(contents.get(path) ?? "") };
  const ports = { clock, log, disk, hash: await createInlineHash() } as unknown as SitePorts;
  const watch = watchTls(FILES, server, ports);
  await clock.advance(3 * MINUTE_MS);
  expect(taken).toEqual([]);
  contents.set(FILES.certificatePath, "two");
  await clock.advance(MINUTE_MS);
  expect(taken).toEqual([]);
  expect(log.lines.map(({ level }) => level)).toEqual(["warn"]);
  contents.set(FILES.keyPath, "two");
  await clock.advance(MINUTE_MS);
  await clock.advance(5 * MINUTE_MS);
  expect(taken).toEqual(["two"]);
  watch.end();
  expect(clock.pendingTimers).toBe(0);
});

test("files are looked at behind symbolic links, which renewals put in their place", async () => {
  const place = mkdtempSync(join(tmpdir(), "atoll-linked-certificate-"));
  onTestFinished(() => rmSync(place, { recursive: true }));
  for (const name of ["one", "two"]) writeFileSync(join(place, name), name);
  const live = join(place, "live.pem");
  symlinkSync("one", live);
  let reloads = 0;
  const reloadTls = async () => {
    reloads += 1;
  };
  const clock = new SimClock(0);
  const log = createMemoryLog();
  const hash = await createInlineHash();
  const ports = { clock, log, disk: createNodeDisk(), hash } as unknown as SitePorts;
  const files = { certificatePath: live, keyPath: live };
  const watch = watchTls(files, { reloadTls }, ports);
  await vi.waitFor(() => expect(clock.pendingTimers).toBe(1));
  symlinkSync("two", join(place, "next"));
  renameSync(join(place, "next"), live);
  await clock.advance(MINUTE_MS);
  await vi.waitFor(() => expect(reloads).toBe(1));
  expect(log.lines.filter(({ level }) => level === "warn")).toEqual([]);
  watch.end();
});

test("a certificate of the site's own is kept, and what it does not name is told", async () => {
  const data = mkdtempSync(join(tmpdir(), "atoll-own-certificate-"));
  onTestFinished(() => rmSync(data, { recursive: true }));
  const log = createMemoryLog();
  const ports = { clock: systemClock, log, disk: createNodeDisk() } as unknown as SitePorts;
  const listen = { host: "127.0.0.1", port: 9000 };
  const first = { data, listen, domains: [], tlsSelfSigned: true } as unknown as Settings;
  const files = await openTls(first, ports);
  const made = readFileSync(files?.certificatePath ?? "", "utf8");
  await openTls(first, ports);
  expect(log.lines.map(({ level }) => level)).toEqual(["info"]);
  await openTls({ ...first, domains: ["s3.example"], siteName: "berlin" }, ports);
  expect(log.lines.at(-1)).toMatchObject({
    level: "warn",
    fields: { missing: ["s3.example", "*.s3.example", "berlin"] },
  });
  expect(readFileSync(files?.certificatePath ?? "", "utf8")).toBe(made);
});
