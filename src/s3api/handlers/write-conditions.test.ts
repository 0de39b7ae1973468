import { expect, test } from "vitest";
import { parseBucketName, parseObjectKey } from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
import { headersOf } from "../headers/header-list.ts";
import type { ObjectCall } from "../operation.ts";
import { allowedConditions } from "./write-conditions.ts";

const bucket = required(parseBucketName("photos"), "bucket");
const key = required(parseObjectKey("cat.jpg"), "key");

/** The part of a call that conditions are read from, by a caller with these permissions. */
function callOf(headers: Readonly<Record<string, string>>, ...allowed: readonly string[]) {
  const allows: ObjectCall["allows"] = (action, ...place) =>
    allowed.includes(action) && place.join("/") === "photos/cat.jpg";
  return { headers: headersOf(headers), bucket, key, allows } as ObjectCall;
}

test.each([
  [{ "if-none-match": "*" }, { ifNoneMatch: ["*"] }],
  [{ "if-match": "*" }, { ifMatch: ["*"] }],
  [{}, undefined],
])("whoever may write may demand %j", (headers, expected) => {
  expect(allowedConditions(callOf(headers))).toEqual(expected);
});

test.each([{ "if-match": '"abc"' }, { "if-none-match": '"abc"' }, { "if-match": '*, "abc"' }])(
  "%j asks for an ETag, which is for readers",
  (headers) => {
    const refused = expect.objectContaining({ code: "AccessDenied" });
    expect(() => allowedConditions(callOf(headers))).toThrow(refused);
    expect(allowedConditions(callOf(headers, "s3:GetObject"))).toBeDefined();
  },
);
