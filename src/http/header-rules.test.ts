import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { refuseRequest } from "./header-rules.ts";

type Line = readonly [name: string, value: string];

function judge(lines: readonly Line[], method = "PUT", target = "/b/k?x=%00"): number | undefined {
  const names = lines.map(([name]) => name);
  const values = lines.map(([, value]) => value);
  return refuseRequest({ method, target, names, values })?.status;
}

const HOST: Line = ["host", "a"];

test.each<[string, Line[]]>([
  ["a plain request", [HOST]],
  ["a length", [HOST, ["content-length", "5368709120"]]],
  ["a chunked body", [HOST, ["transfer-encoding", "chunked"]]],
  ["text beyond ASCII and a tab in a value", [HOST, ["x-amz-meta-a", "caf\u00e9\t\u{1f600}"]]],
  ["a repeated header that may repeat", [HOST, ["x-amz-meta-a", "1"], ["x-amz-meta-a", "2"]]],
])("lets %s pass", (_name, lines) => {
  expect(judge(lines)).toBeUndefined();
});

test.each<[string, Line[]]>([
  ["no host", [["x", "a"]]],
  ["an empty host", [["host", ""]]],
  ["two hosts", [HOST, HOST]],
  ["two equal lengths", [HOST, ["content-length", "1"], ["content-length", "1"]]],
  ["two differing lengths", [HOST, ["content-length", "1"], ["content-length", "2"]]],
  ["a length and a coding", [HOST, ["content-length", "1"], ["transfer-encoding", "chunked"]]],
  ["a length beyond safe integers", [HOST, ["content-length", "9999999999999999"]]],
  ["a length in other digits", [HOST, ["content-length", "\u0661"]]],
  ["a coding before chunked", [HOST, ["transfer-encoding", "gzip, chunked"]]],
  ["two codings", [HOST, ["transfer-encoding", "chunked"], ["transfer-encoding", "chunked"]]],
  ["two signatures", [HOST, ["authorization", "a"], ["authorization", "a"]]],
  ["two dates", [HOST, ["x-amz-date", "a"], ["x-amz-date", "a"]]],
  ["two digests", [HOST, ["x-amz-content-sha256", "a"], ["x-amz-content-sha256", "a"]]],
  ["a name that is no token", [HOST, ["a b", ""]]],
  ["an empty name", [HOST, ["", "a"]]],
  ["a replacement character", [HOST, ["x", "a\ufffd"]]],
])("refuses %s", (_name, lines) => {
  expect(judge(lines)).toBe(400);
});

test.each(["", "a", "*", "http://a/", "/a b", "/a\u0000", "/\u007f", "/\ufffd"])(
  "refuses the target %j",
  (target) => {
    expect(judge([HOST], "GET", target)).toBe(400);
  },
);

test.each(["get", "TRACE", "CONNECT", "PROPFIND", "", "GET "])(
  "refuses the method %j",
  (method) => {
    expect(judge([HOST], method)).toBe(405);
  },
);

test("counts headers and their bytes up to the limits", () => {
  const fill = (count: number): Line[] => Array.from({ length: count }, () => ["x", "a"]);
  expect(judge([HOST, ...fill(99)])).toBeUndefined();
  expect(judge([HOST, ...fill(100)])).toBe(431);
  expect(judge([HOST, ["x", "a".repeat(32_000)]])).toBeUndefined();
  expect(judge([HOST, ["x", "a".repeat(32_768)]])).toBe(431);
});

test("no control character but the tab passes, wherever it stands", () => {
  const control = fc.constantFrom(...Array.from({ length: 32 }, (_, code) => code), 127);
  fc.assert(
    fc.property(fc.string(), control, fc.string(), (before, code, after) => {
      fc.pre(code !== 9);
      expect(judge([HOST, ["x", before + String.fromCharCode(code) + after]])).toBe(400);
    }),
  );
});
