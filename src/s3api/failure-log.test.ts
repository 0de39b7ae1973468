import { expect, test } from "vitest";
import { StorageFault } from "../core/faults.ts";
import { FailureLog } from "./failure-log.ts";

const REQUEST = { requestId: "R", operation: "PutObject", bucket: "photos", key: "cat" };

function openLog() {
  const lines: Array<Record<string, unknown>> = [];
  const now = { ms: 0 };
  const log = new FailureLog({
    clock: { monotonicMs: () => now.ms },
    log: { error: (fields, message) => void lines.push({ ...fields, message }) },
  });
  return { log, lines, now };
}

test("a state that all requests meet is told once a minute, with how often it was met", () => {
  const { log, lines, now } = openLog();
  const full = () => new StorageFault("disk-full", "the disk is full", { hint: "Free space." });
  for (let at = 0; at < 1000; at++) log.tell(REQUEST, full());
  const told = { ...REQUEST, kind: "disk-full", failure: "the disk is full", hint: "Free space." };
  const message = "requests cannot be answered as they should be";
  expect(lines).toEqual([{ ...told, message }]);
  log.tell(REQUEST, new StorageFault("busy", "too much waits"));
  expect(lines).toHaveLength(2);
  now.ms = 60_000;
  log.tell(REQUEST, full());
  expect(lines[2]).toEqual({ ...told, untold: 999, message });
});

test("an accident is told each time, with what was thrown", () => {
  const { log, lines } = openLog();
  const failures = [new StorageFault("corrupt", "wrong"), new StorageFault("io", "EIO"), "odd"];
  for (const failure of failures) for (let at = 0; at < 2; at++) log.tell(REQUEST, failure);
  const message = "a request could not be answered as it should have been";
  expect(lines).toEqual(
    failures.flatMap((err) => [
      { ...REQUEST, err, message },
      { ...REQUEST, err, message },
    ]),
  );
});
