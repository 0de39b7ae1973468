import { expect, test } from "vitest";
import type { RequestSummary } from "../core/request-summary.ts";
import type { Log, LogFields } from "../ports/log.ts";
import { createAccessLog } from "./access-log.ts";

const SUMMARY: RequestSummary = {
  requestId: "r1",
  operation: "PutObject",
  method: "PUT",
  bucket: "photos",
  key: "cat.jpg",
  accessKey: "AK",
  remoteAddress: "127.0.0.1",
  userAgent: "aws-cli",
  status: 200,
  errorCode: undefined,
  inBytes: 10,
  outBytes: 0,
  durationMs: 1.234567,
};

function capture(): { log: Log; lines: LogFields[] } {
  const lines: LogFields[] = [];
  const line = (fields: LogFields) => {
    lines.push(fields);
  };
  const log: Log = {
    debug: line,
    info: line,
    infoLine: (json) => line(JSON.parse(`{${json}}`)),
    warn: line,
    error: line,
    child: () => log,
    flush: () => Promise.resolve(),
  };
  return { log, lines };
}

test("writes one line for a request, with the duration in microsecond steps", () => {
  const { log, lines } = capture();
  createAccessLog(log).finished(SUMMARY);
  const { errorCode: _none, ...shown } = SUMMARY;
  expect(lines).toEqual([{ ...shown, durationMs: 1.235 }]);
});

test("writes named fields only, so that nothing secret rides along, and cuts long agents", () => {
  const { log, lines } = capture();
  const rich = { ...SUMMARY, userAgent: "u".repeat(9999), target: "/a?X-Amz-Signature=s3cr3t" };
  createAccessLog(log).finished(rich);
  expect(JSON.stringify(lines)).not.toContain("s3cr3t");
  expect(String(lines[0]?.["userAgent"])).toHaveLength(256);
});

test("writes names as JSON, whatever they hold", () => {
  const { log, lines } = capture();
  const key = 'quote " backslash \\ line \n end \u2028 \u{1f600}';
  createAccessLog(log).finished({ ...SUMMARY, key, errorCode: "NoSuchKey", bucket: undefined });
  expect(lines[0]).toMatchObject({ key, errorCode: "NoSuchKey" });
  expect(lines[0]).not.toHaveProperty("bucket");
});
