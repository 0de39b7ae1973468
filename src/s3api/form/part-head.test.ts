import { expect, test } from "vitest";
import { S3Error } from "../errors.ts";
import { formBoundary, readPartHead } from "./part-head.ts";

function outcomeOf(step: () => unknown): unknown {
  try {
    return step();
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

const MALFORMED = "MalformedPOSTRequest";
test.each([
  ["multipart/form-data; boundary=abc", "abc"],
  ["Multipart/Form-Data ;charset=utf-8; Boundary=abc", "abc"],
  ['multipart/form-data; boundary="a b:c"', "a b:c"],
  ["text/plain; boundary=abc", undefined],
  ["multipart/form-data-x; boundary=abc", undefined],
  [undefined, undefined],
  ["multipart/form-data", MALFORMED],
  ["multipart/form-data; boundary=", MALFORMED],
  ['multipart/form-data; boundary="a "', MALFORMED],
  ["multipart/form-data; boundary=a; boundary=b", MALFORMED],
  [`multipart/form-data; boundary=${"a".repeat(71)}`, MALFORMED],
])("the boundary of %s is %s", (contentType, boundary) => {
  expect(outcomeOf(() => formBoundary(contentType))).toBe(boundary);
});

const DATA = "Content-Disposition: form-data; ";
test.each([
  [`${DATA}name=a`, { name: "a", filename: undefined }],
  [`${DATA}name="a b"; filename="c;d.txt"`, { name: "a b", filename: "c;d.txt" }],
  [`${DATA}name="a"; filename="say \\"hi\\""`, { name: "a", filename: 'say "hi"' }],
  [`${DATA}name="a"; filename="C:\\dir\\f"`, { name: "a", filename: "C:\\dir\\f" }],
  [`Content-Type: text/plain\r\n${DATA}name="a"`, { name: "a", filename: undefined }],
  [`${DATA}filename="f"`, MALFORMED],
  [`${DATA}name="a"; name="b"`, MALFORMED],
  [`${DATA}name="a"\r\n${DATA}name="b"`, MALFORMED],
  [`${DATA}name="a`, MALFORMED],
  [`Content-Disposition: file; name="a"`, MALFORMED],
  [`Content-Disposition: form-data name="a"`, MALFORMED],
  [`${DATA}name="a"\r\nContent-Transfer-Encoding: base64`, MALFORMED],
  [`${DATA}name="a"\r\n folded`, MALFORMED],
  [`${DATA}name="a"\nname: b`, MALFORMED],
  ["", MALFORMED],
])("the head %j reads as %j", (head, outcome) => {
  expect(outcomeOf(() => readPartHead(Buffer.from(head)))).toEqual(outcome);
});
