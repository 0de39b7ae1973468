import { describe, expect, test } from "vitest";
import { startWarnings } from "./start-warnings.ts";

const now = Date.parse("2026-11-21T00:00:00Z");
const minute = 60_000;

function warnings(changes: Partial<Parameters<typeof startWarnings>[0]>): string[] {
  return startWarnings({
    host: "127.0.0.1",
    hasTls: false,
    nowMs: now,
    lastWriteMs: 0,
    ...changes,
  });
}

describe("the machine's clock", () => {
  test("is fine when it is not far behind the newest write", () => {
    expect(warnings({})).toEqual([]);
    expect(warnings({ lastWriteMs: now + 4 * minute })).toEqual([]);
  });

  test("that is behind the newest write is told in one sentence", () => {
    expect(warnings({ lastWriteMs: now + 6 * minute })).toEqual([
      expect.stringContaining("newest write here is of 2026-11-21T00:06"),
    ]);
  });

  test("that was never set is told", () => {
    expect(warnings({ nowMs: 0 })).toEqual([expect.stringContaining("1970-01-01T00:00:00.000Z")]);
  });
});

test.each([
  ["127.0.0.1", false, 0],
  ["localhost", false, 0],
  ["::1", false, 0],
  ["::", false, 1],
  ["192.0.2.1", false, 1],
  ["192.0.2.1", true, 0],
])("listening on %s (TLS: %s) gives %i warnings", (host, hasTls, count) => {
  expect(warnings({ host, hasTls })).toHaveLength(count);
});
