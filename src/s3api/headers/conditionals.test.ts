import { describe, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { S3Error } from "../errors.ts";
import {
  checkCopySource,
  judgeRead,
  parseEntityTags,
  readConditions,
  readSourceConditions,
  readWriteConditions,
} from "./conditionals.ts";
import { formatHttpDate } from "./dates.ts";
import { headersOf } from "./header-list.ts";

const object = { etag: "abc", lastModifiedMs: 1_700_000_000_500 };
const AT = formatHttpDate(object.lastModifiedMs);
const BEFORE = formatHttpDate(object.lastModifiedMs - 60_000);
const AFTER = formatHttpDate(object.lastModifiedMs + 60_000);
const nowMs = () => object.lastModifiedMs + 120_000;
const TO_COME = formatHttpDate(nowMs() + 60_000);

function verdict(headers: Record<string, string>): string {
  const conditions = readConditions(headersOf(headers), nowMs);
  if (conditions === undefined) return "unconditional";
  const outcome = judgeRead(conditions, object);
  return outcome.kind === "failed" ? `failed ${outcome.condition}` : outcome.kind;
}

test.each([
  [{}, "unconditional"],
  [{ "if-match": '"abc"' }, "proceed"],
  [{ "if-match": "abc" }, "proceed"],
  [{ "if-match": "*" }, "proceed"],
  [{ "if-match": '"x", "abc"' }, "proceed"],
  [{ "if-match": '"x"' }, "failed If-Match"],
  [{ "if-match": 'W/"abc"' }, "failed If-Match"],
  [{ "if-match": "" }, "failed If-Match"],
  [{ "if-none-match": '"abc"' }, "not-modified"],
  [{ "if-none-match": 'W/"abc"' }, "not-modified"],
  [{ "if-none-match": "*" }, "not-modified"],
  [{ "if-none-match": '"x"' }, "proceed"],
  [{ "if-modified-since": BEFORE }, "proceed"],
  [{ "if-modified-since": AT }, "not-modified"],
  [{ "if-modified-since": AFTER }, "not-modified"],
  [{ "if-modified-since": "no date" }, "proceed"],
  [{ "if-modified-since": TO_COME }, "proceed"],
  [{ "if-unmodified-since": TO_COME }, "proceed"],
  [{ "if-unmodified-since": BEFORE }, "failed If-Unmodified-Since"],
  [{ "if-unmodified-since": AT }, "proceed"],
  [{ "if-match": '"abc"', "if-unmodified-since": BEFORE }, "proceed"],
  [{ "if-none-match": '"x"', "if-modified-since": AFTER }, "proceed"],
  [{ "if-none-match": '"abc"', "if-modified-since": BEFORE }, "not-modified"],
  [{ "if-match": '"x"', "if-none-match": '"abc"' }, "failed If-Match"],
  [{ "if-unmodified-since": BEFORE, "if-none-match": '"abc"' }, "failed If-Unmodified-Since"],
])("reading with %j: %s", (headers, expected) => {
  expect(verdict(headers)).toBe(expected);
});

describe("entity tags", () => {
  test("keep commas inside quotes", () => {
    expect(parseEntityTags('"a,b" , W/"c",d')).toEqual([
      { value: "a,b", weak: false },
      { value: "c", weak: true },
      { value: "d", weak: false },
    ]);
  });

  test.each(['"abc', '"a" "b", *', '", *', '"a", b c', ","])("are none in %s", (header) => {
    expect(parseEntityTags(header)).toEqual([]);
  });

  test("may end with a comma", () => {
    expect(parseEntityTags('"a", ')).toEqual([{ value: "a", weak: false }]);
  });

  test("read back whatever was quoted", () => {
    const value = fc.stringMatching(/^[!#-~]{1,12}$/);
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), (values) => {
        const header = values.map((each) => `"${each}"`).join(", ");
        expect(parseEntityTags(header).map((tag) => tag.value)).toEqual(values);
      }),
    );
  });

  test("never hang or throw on any text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseEntityTags(text).length).toBeLessThanOrEqual(text.length);
      }),
    );
  });
});

test("write conditions carry the tags without quotes", () => {
  expect(readWriteConditions(headersOf({}))).toBeUndefined();
  expect(readWriteConditions(headersOf({ "if-none-match": "*" }))).toEqual({
    ifNoneMatch: ["*"],
  });
  expect(readWriteConditions(headersOf({ "if-match": '"a", W/"b"' }))).toEqual({
    ifMatch: ["a"],
  });
});

test.each([["if-modified-since"], ["if-unmodified-since"], ["x-amz-if-match-size"]])(
  "a write under %s is refused by name",
  (name) => {
    expect(() => readWriteConditions(headersOf({ [name]: "1" }))).toThrow(S3Error);
  },
);

test.each(["", '"abc', '"a" "b", *', ","])(
  "a write that wants none of %j is refused: nothing would match, and it would go through",
  (header) => {
    expect(() => readWriteConditions(headersOf({ "if-none-match": header }))).toThrow(
      expect.objectContaining({ code: "NotImplemented" }),
    );
  },
);

test("every unmet condition on a copy's source is a failed precondition", () => {
  const check = (headers: Record<string, string>) => () =>
    checkCopySource(headersOf(headers), object, nowMs);
  expect(check({ "x-amz-copy-source-if-match": '"abc"' })).not.toThrow();
  expect(check({ "x-amz-copy-source-if-none-match": '"x"' })).not.toThrow();
  expect(check({ "x-amz-copy-source-if-modified-since": TO_COME })).not.toThrow();
  for (const headers of [
    { "x-amz-copy-source-if-match": '"x"' },
    { "x-amz-copy-source-if-none-match": '"abc"' },
    { "x-amz-copy-source-if-modified-since": AFTER },
    { "x-amz-copy-source-if-unmodified-since": BEFORE },
  ]) {
    expect(check(headers)).toThrow(
      expect.objectContaining({ code: "PreconditionFailed", status: 412 }),
    );
  }
});

test.each([
  ["if-modified-since", "yesterday"],
  ["if-unmodified-since", ""],
  ["if-none-match", '"a" "b"'],
])("a condition on a source that cannot be read is refused: %s %j", (name, value) => {
  for (const header of ["x-amz-copy-source", "x-amz-rename-source"]) {
    const headers = headersOf({ [`${header}-${name}`]: value });
    expect(() => readSourceConditions(headers, nowMs, header)).toThrow(
      expect.objectContaining({
        code: "InvalidArgument",
        fields: { ArgumentName: `${header}-${name}`, ArgumentValue: value },
      }),
    );
  }
});
