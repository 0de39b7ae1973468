import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createDescriptorSink } from "./descriptor-sink.ts";

let directory: string;
let descriptor: number;

beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/atoll-log-`);
  descriptor = openSync(`${directory}/log`, "a");
});
afterEach(() => rmSync(directory, { recursive: true }));

const written = (): string => readFileSync(`${directory}/log`, "utf8");

test("everything written has arrived in order once flush has resolved", async () => {
  const sink = createDescriptorSink(descriptor);
  const lines = Array.from({ length: 5000 }, (_, index) => `line ${index} ü\n`);
  for (const line of lines) sink.write(line);
  await sink.flush();
  expect(written()).toBe(lines.join(""));
  sink.write("more\n");
  await Promise.all([sink.flush(), sink.flush()]);
  expect(written().endsWith("ü\nmore\n")).toBe(true);
  closeSync(descriptor);
});

test("flushing nothing resolves", async () => {
  await createDescriptorSink(descriptor).flush();
  expect(written()).toBe("");
  closeSync(descriptor);
});

test("a descriptor that takes nothing swallows lines without failing", async () => {
  const sink = createDescriptorSink(openSync(`${directory}/log`, "r"));
  sink.write("lost\n");
  await sink.flush();
  sink.write("lost too\n");
  await sink.flush();
  expect(written()).toBe("");
  closeSync(descriptor);
});
