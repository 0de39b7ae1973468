import { expect, test } from "vitest";
import type { ObjectRecord } from "../../core/records.ts";
import { parseQuery } from "../target.ts";
import { headersOf } from "./header-list.ts";
import {
  mailSafe,
  objectHeaders,
  pushChecksums,
  readObjectAttributes,
  readResponseOverrides,
  wantsChecksums,
} from "./object-headers.ts";

function recordOf(headers: Record<string, string>): ObjectRecord {
  return {
    size: 1,
    etag: "e",
    lastModifiedMs: 1_700_000_000_000,
    attributes: readObjectAttributes(headersOf(headers)),
    checksums: [],
    parts: [],
    encryption: undefined,
    body: { kind: "inline", bytes: 1 },
  };
}

test.each([{}, { "content-type": "" }, { "content-type": "binary/octet-stream" }])(
  "an object without a type is a binary octet stream, for which no byte is stored: %j",
  (headers) => {
    expect(readObjectAttributes(headersOf(headers)).system).toEqual([]);
    const types = (overrides?: ReadonlyMap<string, string>) =>
      objectHeaders(recordOf(headers), overrides).filter(([name]) => name === "Content-Type");
    expect(types()).toEqual([["Content-Type", "binary/octet-stream"]]);
    const asked = new Map([["Content-Type", "text/plain"]]);
    expect(types(asked)).toEqual([["Content-Type", "text/plain"]]);
  },
);

test("a type is shown once, be it stored or the old way of storing none", () => {
  for (const type of ["image/png", "binary/octet-stream"]) {
    const made = recordOf({});
    const system = [["content-type", type]] as const;
    const lines = objectHeaders({ ...made, attributes: { ...made.attributes, system } }, undefined);
    expect(lines.filter(([name]) => name === "Content-Type")).toEqual([["Content-Type", type]]);
  }
});

test("attributes are kept byte for byte and sorted by name", () => {
  const attributes = readObjectAttributes(
    headersOf({
      "x-amz-meta-zebra": " 1",
      "x-amz-meta-ant": "É",
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-cache",
      host: "ignored",
      constructor: "ignored",
    }),
  );
  expect(attributes.system).toEqual([
    ["cache-control", "no-cache"],
    ["content-type", "text/plain; charset=utf-8"],
  ]);
  expect(attributes.user).toEqual([
    ["ant", "É"],
    ["zebra", " 1"],
  ]);
});

test("what was stored comes back under the same headers", () => {
  const lines = objectHeaders(
    recordOf({
      "content-type": "image/png",
      expires: "tomorrow",
      "content-language": "de",
      "x-amz-meta-a": "1",
      "x-amz-storage-class": "STANDARD_IA",
    }),
    undefined,
  );
  expect(lines).toEqual([
    ["ETag", '"e"'],
    ["Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"],
    ["Accept-Ranges", "bytes"],
    ["Content-Language", "de"],
    ["Content-Type", "image/png"],
    ["Expires", "tomorrow"],
    ["x-amz-meta-a", "1"],
    ["x-amz-storage-class", "STANDARD_IA"],
  ]);
});

test.each([
  ["aws-chunked", undefined],
  ["aws-chunked,gzip", "gzip"],
  ["gzip, aws-chunked", "gzip"],
  ["gzip", "gzip"],
])("the content encoding %s is stored as %s", (sent, stored) => {
  const { system } = readObjectAttributes(headersOf({ "content-encoding": sent }));
  expect(new Map(system).get("content-encoding")).toBe(stored);
});

test("repeated metadata is joined with commas", () => {
  const headers = headersOf([
    ["x-amz-meta-a", "1"],
    ["x-amz-meta-a", "2"],
  ]);
  expect(readObjectAttributes(headers).user).toEqual([["a", "1,2"]]);
});

test("user metadata may reach 2 KiB and not a byte more", () => {
  const fits = headersOf({ "x-amz-meta-ab": "x".repeat(2046) });
  expect(readObjectAttributes(fits).user).toHaveLength(1);
  const tooLarge = headersOf({ "x-amz-meta-ab": `${"x".repeat(2045)}é` });
  expect(() => readObjectAttributes(tooLarge)).toThrow(
    expect.objectContaining({ code: "MetadataTooLarge" }),
  );
});

test.each([
  ["GLACIER", "NotImplemented"],
  ["FLOPPY", "InvalidStorageClass"],
  ["standard", "InvalidStorageClass"],
])("the storage class %s is refused as %s", (value, code) => {
  expect(() => readObjectAttributes(headersOf({ "x-amz-storage-class": value }))).toThrow(
    expect.objectContaining({ code }),
  );
});

test("metadata beyond ASCII is made safe for mail, and encoded words stay as they are", () => {
  expect(mailSafe("plain text")).toBe("plain text");
  expect(mailSafe("É")).toBe("=?UTF-8?B?w4k=?=");
  expect(mailSafe("=?UTF-8?Q?=C3=89?=")).toBe("=?UTF-8?Q?=C3=89?=");
});

test("a signed request may replace headers of the answer", () => {
  const query = parseQuery("response-content-type=text%2Fhtml&response-expires=never");
  const overrides = readResponseOverrides(query, true);
  const lines = objectHeaders(recordOf({ "content-type": "image/png" }), overrides);
  expect(lines.filter(([name]) => name === "Content-Type")).toEqual([
    ["Content-Type", "text/html"],
  ]);
  expect(lines).toContainEqual(["Expires", "never"]);
});

test("an anonymous request may not replace headers", () => {
  expect(() => readResponseOverrides(parseQuery("response-expires=0"), false)).toThrow(
    expect.objectContaining({ code: "InvalidRequest" }),
  );
  expect(readResponseOverrides(parseQuery("prefix=a"), false)).toBeUndefined();
});

test("a replaced header cannot end its line", () => {
  const query = parseQuery("response-content-type=a%0d%0aSet-Cookie:b");
  expect(() => readResponseOverrides(query, true)).toThrow(
    expect.objectContaining({ code: "InvalidArgument" }),
  );
});

test("checksums are shown by name and type", () => {
  const lines: Array<readonly [string, string]> = [];
  pushChecksums(lines, [{ algorithm: "CRC64NVME", type: "FULL_OBJECT", value: "AA==" }]);
  expect(lines).toEqual([
    ["x-amz-checksum-crc64nvme", "AA=="],
    ["x-amz-checksum-type", "FULL_OBJECT"],
  ]);
  expect(wantsChecksums(headersOf({ "x-amz-checksum-mode": "enabled" }))).toBe(true);
  expect(wantsChecksums(headersOf({}))).toBe(false);
});
