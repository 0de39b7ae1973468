import { expect, test } from "vitest";
import { S3Error } from "../errors.ts";
import { parsePostPolicy, requireAllowedByPolicy } from "./post-policy.ts";

const EXPIRATION = "2030-01-01T00:00:00.000Z";
const BEFORE = Date.parse(EXPIRATION) - 1;

function base64Of(policy: unknown): string {
  const text = typeof policy === "string" ? policy : JSON.stringify(policy);
  return Buffer.from(text).toString("base64");
}

function outcomeOf(step: () => void): string {
  try {
    step();
  } catch (failure) {
    if (failure instanceof S3Error) return `${failure.code}: ${failure.message}`;
    throw failure;
  }
  return "fine";
}

function parseOutcome(policy: unknown): string {
  return outcomeOf(() => parsePostPolicy(base64Of(policy)));
}

function judge(conditions: unknown, values: Record<string, string>, nowMs = BEFORE): string {
  const policy = parsePostPolicy(base64Of({ expiration: EXPIRATION, conditions }));
  return outcomeOf(() => requireAllowedByPolicy(policy, new Map(Object.entries(values)), nowMs));
}

const INVALID = "InvalidPolicyDocument: Invalid Policy: ";
test.each([
  ["no JSON", "{", "Invalid JSON."],
  ["a list", [], "Invalid JSON."],
  ["nothing", "", "Invalid JSON."],
  ["no expiration", { conditions: [] }, "Policy missing expiration."],
  ["no conditions", { expiration: EXPIRATION }, "Policy missing conditions."],
  ["an unknown member", { Statement: [] }, "Unexpected: 'Statement'"],
  ["members in capitals", { EXPIRATION, conditions: [] }, "Unexpected: 'EXPIRATION'"],
  [
    "conditions that are no list",
    { expiration: EXPIRATION, conditions: {} },
    "Invalid 'conditions' value: must be a List.",
  ],
  [
    "an expiration with an offset",
    { expiration: "2030-01-01T00:00:00+02:00", conditions: [] },
    "Invalid 'expiration' value: '2030-01-01T00:00:00+02:00'",
  ],
  [
    "an expiration that is no day",
    { expiration: "2030-13-01T00:00:00Z", conditions: [] },
    "Invalid 'expiration' value: '2030-13-01T00:00:00Z'",
  ],
])("a policy with %s is refused", (_name, policy, detail) => {
  expect(parseOutcome(policy)).toBe(INVALID + detail);
});

test("a policy that is no base64 is refused", () => {
  expect(outcomeOf(() => parsePostPolicy("%%%"))).toBe(`${INVALID}Invalid Base64.`);
});

test.each([
  ["an empty object", {}],
  ["two members", { bucket: "a", key: "b" }],
  ["a number as value", { key: 5 }],
  ["nothing in a list", []],
  ["an unknown operation", ["ends-with", "$key", "x"]],
  ["one operand", ["eq", "$key"]],
  ["three operands", ["eq", "$key", "a", "b"]],
  ["a length without end", ["content-length-range", 0]],
  ["a length below zero", ["content-length-range", -1, 0]],
  ["a length that is a fraction", ["content-length-range", 0, 5.5]],
  ["a length that is no number", ["content-length-range", "test", "10"]],
  ["lengths the wrong way round", ["content-length-range", 10, 5]],
  ["a text", "eq"],
])("a condition with %s is refused", (_name, condition) => {
  const outcome = parseOutcome({ expiration: EXPIRATION, conditions: [condition] });
  expect(outcome.startsWith(INVALID)).toBe(true);
});

test("lengths are taken as numbers and in quotes, and several narrow each other", () => {
  const conditions = [
    ["content-length-range", "5", "10"],
    ["content-length-range", 1, 8],
  ];
  const policy = parsePostPolicy(base64Of({ expiration: EXPIRATION, conditions }));
  expect(policy.length).toEqual({ bytesMin: 5, bytesMax: 8 });
});

const FAILED = "AccessDenied: Invalid according to Policy: Policy Condition failed: ";
const BUCKET = { bucket: "b" };
test.each([
  ["an equal value", [BUCKET, { key: "k" }], { bucket: "b", key: "k" }, "fine"],
  ["names in any case", [BUCKET, { Key: "k" }], { bucket: "b", key: "k" }, "fine"],
  [
    "operators in any case",
    [BUCKET, ["Starts-With", "$key", "k"]],
    { bucket: "b", key: "kk" },
    "fine",
  ],
  [
    "another value",
    [BUCKET, { key: "k" }],
    { bucket: "b", key: "K" },
    `${FAILED}["eq", "$key", "k"]`,
  ],
  [
    "a field that is not there",
    [BUCKET, ["starts-with", "$x-amz-meta-a", ""]],
    { bucket: "b" },
    `${FAILED}["starts-with", "$x-amz-meta-a", ""]`,
  ],
  [
    "a condition without its dollar",
    [BUCKET, ["eq", "key", "k"]],
    { bucket: "b", key: "k" },
    `${FAILED}["eq", "key", "k"]`,
  ],
  [
    "another beginning",
    [BUCKET, ["starts-with", "$key", "user/"]],
    { bucket: "b", key: "users" },
    `${FAILED}["starts-with", "$key", "user/"]`,
  ],
  [
    "a list of types of which one does not fit",
    [BUCKET, ["starts-with", "$Content-Type", "image/"]],
    { bucket: "b", "content-type": "image/png,text/plain" },
    `${FAILED}["starts-with", "$Content-Type", "image/"]`,
  ],
  [
    "a list of types that fit",
    [BUCKET, ["starts-with", "$Content-Type", "image/"]],
    { bucket: "b", "content-type": "image/png, image/gif" },
    "fine",
  ],
  [
    "a field without a condition",
    [BUCKET],
    { bucket: "b", "x-amz-meta-a": "1" },
    "AccessDenied: Invalid according to Policy: Extra input fields: x-amz-meta-a",
  ],
  [
    "a bucket without a condition",
    [{ key: "k" }],
    { bucket: "b", key: "k" },
    "AccessDenied: Invalid according to Policy: Extra input fields: bucket",
  ],
  [
    "fields that need no condition",
    [BUCKET],
    { bucket: "b", policy: "p", "x-amz-signature": "s", file: "f", "x-ignore-me": "1" },
    "fine",
  ],
])("a form with %s is judged so", (_name, conditions, values, outcome) => {
  expect(judge(conditions, { ...values })).toBe(outcome);
});

test("a policy ends when it says", () => {
  const late = "AccessDenied: Invalid according to Policy: Policy expired.";
  expect(judge([BUCKET], BUCKET, BEFORE)).toBe("fine");
  expect(judge([BUCKET], BUCKET, BEFORE + 1)).toBe(late);
});
