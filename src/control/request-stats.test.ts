import { describe, expect, test } from "vitest";
import { LIMITS } from "../core/limits.ts";
import type { RequestSummary } from "../core/request-summary.ts";
import type { Clock } from "../ports/clock.ts";
import { RequestStats } from "./request-stats.ts";

/** A clock that stands until it is told. */
function handClock() {
  let nowMs = 5_000_000;
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async () => undefined,
    after: () => () => undefined,
  };
  return { clock, advance: (ms: number) => (nowMs += ms) };
}

function summary(changes: Partial<RequestSummary> = {}): RequestSummary {
  return {
    requestId: "R",
    operation: "PutObject",
    method: "PUT",
    bucket: "photos",
    key: "cat.jpg",
    accessKey: "AK",
    remoteAddress: "127.0.0.1",
    userAgent: undefined,
    status: 200,
    errorCode: undefined,
    inBytes: 4096,
    outBytes: 0,
    durationMs: 1,
    ...changes,
  };
}

describe("request stats", () => {
  test("count requests, bytes and errors by operation, bucket and key", () => {
    const stats = new RequestStats(handClock().clock);
    stats.finished(summary());
    stats.finished(summary({ operation: "GetObject", inBytes: 0, outBytes: 10 }));
    stats.finished(summary({ errorCode: "NoSuchBucket", bucket: undefined, accessKey: undefined }));
    expect(stats.operations().get("PutObject")).toMatchObject({ count: 2, inBytes: 8192 });
    expect(stats.operations().get("PutObject")?.errors).toEqual(new Map([["NoSuchBucket", 1]]));
    expect(stats.buckets().get("photos")?.operations).toEqual(
      new Map([
        ["PutObject", 1],
        ["GetObject", 1],
      ]),
    );
    expect(stats.keys().get("AK")).toMatchObject({ count: 2, inBytes: 4096, outBytes: 10 });
  });

  test("know quantiles within 15 %", () => {
    const stats = new RequestStats(handClock().clock);
    for (let ms = 1; ms <= 1000; ms++) stats.finished(summary({ durationMs: ms }));
    const quantiles = stats.operations().get("PutObject")?.latency.sinceStart();
    for (const [name, exact] of [
      ["p50", 500],
      ["p95", 950],
      ["p99", 990],
    ] as const) {
      expect(quantiles?.[name]).toBeGreaterThanOrEqual(exact);
      expect(quantiles?.[name]).toBeLessThanOrEqual(exact * 1.15);
    }
  });

  test("forget what is older than a minute, but not since the start", () => {
    const { clock, advance } = handClock();
    const stats = new RequestStats(clock);
    stats.finished(summary({ durationMs: 100 }));
    advance(45_000);
    stats.finished(summary({ durationMs: 1 }));
    const latency = stats.operations().get("PutObject")?.latency;
    expect(latency?.lastMinute(stats.slot()).p99).toBeGreaterThan(90);
    advance(20_000);
    expect(latency?.lastMinute(stats.slot()).p99).toBeLessThan(2);
    advance(60_000);
    expect(latency?.lastMinute(stats.slot())).toEqual({});
    expect(latency?.sinceStart().p99).toBeGreaterThan(90);
    stats.finished(summary({ durationMs: 10 }));
    expect(latency?.lastMinute(stats.slot()).p50).toBeLessThan(12);
  });

  test.each([Number.NaN, -1, 0, 1e9, Number.POSITIVE_INFINITY])(
    "survive a duration of %d",
    (durationMs) => {
      const stats = new RequestStats(handClock().clock);
      stats.finished(summary({ durationMs }));
      expect(stats.operations().get("PutObject")?.latency.sinceStart().p50).toBeGreaterThan(0);
    },
  );

  test("stay bounded whatever names clients invent, and keep the busy ones", () => {
    const stats = new RequestStats(handClock().clock);
    const sent = 5000;
    for (let at = 0; at < sent; at++) {
      stats.finished(summary({ bucket: `bucket-${at}`, inBytes: 0 }));
      stats.finished(summary({ bucket: "photos" }));
    }
    const buckets = stats.buckets();
    expect(buckets.size).toBe(LIMITS.statsNamesMax + 1);
    expect(buckets.get("photos")?.count).toBe(sent);
    const total = [...buckets.values()].reduce((sum, row) => sum + row.count, 0);
    expect(total).toBe(2 * sent);
    expect(buckets.get("other")?.count).toBe(sent - (LIMITS.statsNamesMax - 1));
  });
});
