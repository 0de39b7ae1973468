import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findServer, noServer } from "./offline.ts";

let directory: string;
let other: string;
let server: Server;
/** What the server on the socket says that it serves. */
let served: string;

beforeEach(async () => {
  [directory, other] = [0, 1].map(() =>
    realpathSync(mkdtempSync(join(tmpdir(), "atoll-lock-"))),
  ) as [string, string];
  served = directory;
  const socketPath = join(directory, "admin.sock");
  server = createServer((_request, response) => response.end(JSON.stringify({ data: served })));
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const holder = { id: "a".repeat(16), pid: process.pid, socketPath };
  writeFileSync(join(directory, "LOCK"), JSON.stringify(holder));
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  for (const path of [directory, other]) rmSync(path, { recursive: true });
});

test("the LOCK of a copy leads to the server of another directory, which is not asked", async () => {
  served = other;
  expect(await findServer(directory)).toBeUndefined();
  expect((await noServer(directory)).message).toContain("its LOCK is that of a server elsewhere");
});

test("a server that answers late is not called one of another directory", async () => {
  expect(await findServer(directory)).toBeDefined();
  const fault = await noServer(directory);
  expect(fault.message).toBe(`the server on ${directory} was too slow to answer`);
  expect(fault.hint).toBe("It answers now: try again.");
});
