import { expect, test } from "vitest";
import { S3Error } from "../errors.ts";
import { headersOfForm, readFormValues } from "./form-fields.ts";
import type { FormField } from "./form-parser.ts";

const VARIABLE = `\${filename}`;

function codeOf(step: () => unknown): string {
  try {
    step();
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
  return "accepted";
}

test.each([
  ["photo.jpg", "user/photo.jpg"],
  ["C:\\fakepath\\photo.jpg", "user/photo.jpg"],
  ["/home/me/photo.jpg", "user/photo.jpg"],
  ["", "user/"],
  [undefined, `user/${VARIABLE}`],
])("a key with the name of the file %j is %j", (filename, key) => {
  const fields: FormField[] = [["Key", `user/${VARIABLE}`]];
  expect(readFormValues({ fields, filename }).get("key")).toBe(key);
});

test("what was signed is not filled in", () => {
  const fields: FormField[] = [["policy", VARIABLE]];
  expect(readFormValues({ fields, filename: "x" }).get("policy")).toBe(VARIABLE);
});

test("a long name in many places is refused", () => {
  const fields: FormField[] = [["key", VARIABLE.repeat(1000)]];
  const filename = "x".repeat(60_000);
  expect(codeOf(() => readFormValues({ fields, filename }))).toBe(
    "MaxPostPreDataLengthExceededError",
  );
});

test("a field that comes twice is refused, in whatever case", () => {
  const fields: FormField[] = [
    ["key", "a"],
    ["KEY", "b"],
  ];
  expect(codeOf(() => readFormValues({ fields, filename: undefined }))).toBe("InvalidArgument");
});

function headersFrom(values: Record<string, string>): ReadonlyArray<readonly [string, string]> {
  return headersOfForm(new Map(Object.entries(values))).entries;
}

test("fields become the headers of a PUT that says the same", () => {
  const tagging = "<Tagging><TagSet><Tag><Key>a b</Key><Value>1+1</Value></Tag></TagSet></Tagging>";
  const values = {
    acl: "private",
    "content-type": " text/plain ",
    "x-amz-meta-a": "ü",
    tagging,
    key: "k",
    policy: "p",
    "x-amz-credential": "c",
    submit: "Send",
  };
  expect(headersFrom(values)).toEqual([
    ["x-amz-acl", "private"],
    ["content-type", "text/plain"],
    ["x-amz-meta-a", "ü"],
    ["x-amz-tagging", "a%20b=1%2B1"],
  ]);
});

test.each([
  ["a line break", "x-amz-meta-a", "1\r\nx: y", "InvalidArgument"],
  ["a NUL", "content-type", "a\0b", "InvalidArgument"],
  ["a line break in its name", "x-amz-meta-a\n", "1", "InvalidArgument"],
  ["a name that no header can have", "x-amz-meta-a b", "1", "InvalidArgument"],
  ["a name beyond ASCII", "x-amz-meta-ü", "1", "InvalidArgument"],
  ["a demand no form can make", "x-amz-copy-source", "/b/k", "NotImplemented"],
  ["an append", "x-amz-write-offset-bytes", "0", "NotImplemented"],
  ["tags that are no XML", "tagging", "not-xml", "MalformedXML"],
])("a field with %s is refused", (_what, name, value, code) => {
  expect(codeOf(() => headersFrom({ [name]: value }))).toBe(code);
});
