import { expect, test } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import type { CorsMethod, CorsRule } from "../settings/cors.ts";
import { answerCors, splitHeaderNames } from "./match.ts";

const RULE: CorsRule = {
  id: undefined,
  origins: [],
  methods: ["GET"],
  headers: [],
  exposed: [],
  maxAgeSeconds: undefined,
};

function originFor(origins: readonly string[], origin: string): string | undefined {
  const question = { origin, method: "GET", headers: [] } as const;
  const lines = answerCors([{ ...RULE, origins }], question);
  return lines?.find(([name]) => name === "Access-Control-Allow-Origin")?.[1];
}

test.each([
  ["*suffix", "foo.suffix", "foo.suffix"],
  ["*suffix", "suffix", "suffix"],
  ["*suffix", "suffix.foo", undefined],
  ["start*end", "startend", "startend"],
  ["start*end", "start1end", "start1end"],
  ["start*end", "start1end2", undefined],
  ["aba*aba", "aba", undefined],
  ["prefix*", "prefix.suffix", "prefix.suffix"],
  ["prefix*", "bla.prefix", undefined],
  ["http://a.b", "http://aXb", undefined],
  ["http://a?b", "http://aXb", undefined],
  ["http://A.b", "http://a.b", undefined],
  ["*", "http://a.b", "*"],
])("the origin pattern %s answers %s with %s", (pattern, origin, answer) => {
  expect(originFor([pattern], origin)).toBe(answer);
});

function allowed(
  rule: Partial<CorsRule>,
  method: CorsMethod | undefined,
  headers: string,
): boolean {
  const question = { origin: "http://o", method, headers: splitHeaderNames(headers) };
  return answerCors([{ ...RULE, origins: ["*"], ...rule }], question) !== undefined;
}

test("every header asked for must be allowed, in whatever case", () => {
  const rule = { headers: ["Content-Type", "X-Amz-*"] };
  expect(allowed(rule, "GET", "")).toBe(true);
  expect(allowed(rule, "GET", "content-TYPE, x-amz-meta-a")).toBe(true);
  expect(allowed(rule, "GET", "content-type,authorization")).toBe(false);
  expect(allowed({}, "GET", "content-type")).toBe(false);
  expect(allowed({ headers: ["*"] }, "GET", "anything")).toBe(true);
});

test("a method that no rule names is not allowed, and neither is one nobody knows", () => {
  expect(allowed({}, "PUT", "")).toBe(false);
  expect(allowed({}, undefined, "")).toBe(false);
});

test("the first rule that allows everything answers, with all it says", () => {
  const rules: CorsRule[] = [
    { ...RULE, origins: ["http://o"], methods: ["PUT"] },
    {
      ...RULE,
      origins: ["http://x", "http://*"],
      methods: ["GET", "HEAD"],
      headers: ["*"],
      exposed: ["ETag", "x-amz-version-id"],
      maxAgeSeconds: 3000,
    },
    { ...RULE, origins: ["*"] },
  ];
  const question = { origin: "http://o", method: "GET", headers: ["a", "b"] } as const;
  expect(answerCors(rules, question)).toEqual([
    ["Access-Control-Allow-Origin", "http://o"],
    ["Access-Control-Allow-Methods", "GET, HEAD"],
    ["Access-Control-Allow-Headers", "a, b"],
    ["Access-Control-Expose-Headers", "ETag, x-amz-version-id"],
    ["Access-Control-Max-Age", "3000"],
    ["Access-Control-Allow-Credentials", "true"],
    ["Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"],
  ]);
});

test("an answer for everybody carries no credentials", () => {
  const question = { origin: "http://o", method: "GET", headers: [] } as const;
  const lines = answerCors([{ ...RULE, origins: ["*"] }], question) ?? [];
  expect(lines.map(([name]) => name)).not.toContain("Access-Control-Allow-Credentials");
});

test("more headers than a request can have are allowed to nobody", () => {
  const rule: CorsRule = { ...RULE, origins: ["*"], headers: ["x-*"] };
  const answerTo = (count: number) => {
    const headers = Array.from({ length: count }, (_, at) => `x-${at}`);
    return answerCors([rule], { origin: "http://a.b", method: "GET", headers });
  };
  expect(answerTo(LIMITS.headerCountMax)).toBeDefined();
  expect(answerTo(LIMITS.headerCountMax + 1)).toBeUndefined();
});
