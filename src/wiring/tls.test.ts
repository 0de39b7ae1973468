import { expect, test } from "vitest";
import { createMemoryLog } from "../../test/sim/memory-log.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { createInlineHash } from "../../test/sim/sim-hash.ts";
import { StorageFault } from "../core/faults.ts";
import type { SitePorts } from "../storage/site-ports.ts";
import { watchTls } from "./tls.ts";

const MINUTE_MS = 60_000;
const FILES = { certificatePath: "/tls/cert.pem", keyPath: "/tls/key.pem" };

test("changed files are taken within a minute, and tried again until they fit together", async () => {
  const contents = new Map([
    [FILES.certificatePath, "one"],
    [FILES.keyPath, "one"],
  ]);
  const taken: string[] = [];
  const server = {
    port: 0,
    close: async () => undefined,
    reloadTls: async () => {
      const [certificate, key] = contents.values();
      if (certificate !== key) throw new StorageFault("unsupported", "they do not fit");
      taken.push(String(key));
    },
  };
  const clock = new SimClock(0);
  const log = createMemoryLog();
  const disk = { readFile: async (path: string) => Buffer.from(contents.get(path) ?? "") };
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
