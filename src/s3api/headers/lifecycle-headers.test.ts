import { describe, expect, test } from "vitest";
import { lifecycleRule, lifecycleValue } from "../../../test/support/lifecycle-rules.ts";
import type { LifecycleRule } from "../../core/lifecycle.ts";
import { LIFECYCLE } from "../settings/lifecycle.ts";
import { pushAbortDate, pushExpiration } from "./lifecycle-headers.ts";
import type { HeaderLines } from "./object-headers.ts";

const MADE = Date.parse("2026-01-15T10:30:00Z");

function settingsOf(change: Partial<LifecycleRule>): ReadonlyMap<string, Uint8Array> {
  const rule = lifecycleRule({ id: "rule one/é", ...change, filter: { prefix: "logs/" } });
  return new Map([[LIFECYCLE.name, lifecycleValue(rule)]]);
}

const object = { lastModifiedMs: MADE, size: 1, attributes: { tags: [] } };

function expirationOf(settings: ReadonlyMap<string, Uint8Array>, key: string): HeaderLines {
  const lines: HeaderLines = [];
  pushExpiration(lines, settings, key, object);
  return lines;
}

function abortOf(settings: ReadonlyMap<string, Uint8Array>, key: string): HeaderLines {
  const lines: HeaderLines = [];
  pushAbortDate(lines, settings, { key, createdMs: MADE });
  return lines;
}

describe("the headers of a lifecycle", () => {
  test("name the midnight on which an object expires, and the rule as a URL has it", () => {
    const settings = settingsOf({ expiration: { kind: "days", days: 2 } });
    expect(expirationOf(settings, "logs/a")).toEqual([
      [
        "x-amz-expiration",
        'expiry-date="Sun, 18 Jan 2026 00:00:00 GMT", rule-id="rule%20one%2F%C3%A9"',
      ],
    ]);
  });

  test("are left out for what no rule touches", () => {
    const settings = settingsOf({ expiration: { kind: "days", days: 2 } });
    expect(expirationOf(settings, "photos/a")).toEqual([]);
    expect(abortOf(settings, "logs/a")).toEqual([]);
    expect(expirationOf(new Map(), "logs/a")).toEqual([]);
    expect(expirationOf(settingsOf({ abortUploadDays: 1 }), "logs/a")).toEqual([]);
  });

  test("name the midnight on which an upload is aborted", () => {
    expect(abortOf(settingsOf({ abortUploadDays: 7 }), "logs/a")).toEqual([
      ["x-amz-abort-date", "Fri, 23 Jan 2026 00:00:00 GMT"],
      ["x-amz-abort-rule-id", "rule%20one%2F%C3%A9"],
    ]);
  });
});
