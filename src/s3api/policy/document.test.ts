import fc from "fast-check";
import { expect, test } from "vitest";
import { decide, resourceArn } from "./decide.ts";
import { parsePolicy, readStoredPolicy } from "./document.ts";

const FINE = {
  Effect: "Allow",
  Action: ["s3:GetObject", "s3:Put*"],
  Resource: "arn:aws:s3:::photos/*",
};

function reasonOf(policy: unknown): string {
  const parsed = parsePolicy(typeof policy === "string" ? policy : JSON.stringify(policy));
  return parsed.outcome === "refused" ? parsed.reason : "parsed";
}

test("a policy is read into statements, with single values as lists of one", () => {
  const parsed = parsePolicy(
    JSON.stringify({
      Version: "2012-10-17",
      Id: "mine",
      Statement: [
        { Sid: "a", ...FINE },
        { Effect: "Deny", NotAction: "s3:GetObject", NotResource: ["*"] },
      ],
    }),
  );
  expect(parsed).toEqual({
    outcome: "parsed",
    document: {
      statements: [
        {
          sid: "a",
          effect: "Allow",
          actions: { negated: false, patterns: ["s3:getobject", "s3:put*"] },
          resources: { negated: false, patterns: ["arn:aws:s3:::photos/*"] },
          unreadable: false,
        },
        {
          sid: undefined,
          effect: "Deny",
          actions: { negated: true, patterns: ["s3:getobject"] },
          resources: { negated: true, patterns: ["*"] },
          unreadable: false,
        },
      ],
    },
  });
  expect(reasonOf({ Version: "2012-10-17", Statement: FINE })).toBe("parsed");
});

test.each([
  ["no JSON", "{", "it is not JSON"],
  ["nothing", "null", "the policy must be a JSON object"],
  ["a list", "[]", "the policy must be a JSON object"],
  ["no statement", { Version: "2012-10-17" }, "Statement is missing"],
  ["an empty list of statements", { Statement: [] }, "Statement is missing"],
  ["a statement that is text", { Statement: "x" }, "a statement must be a JSON object"],
  ["an unknown version", { Version: "2020-01-01", Statement: FINE }, "Version must be 2012-10-17"],
  ["an unknown field", { Statement: FINE, Extra: 1 }, "the policy has an unknown field"],
  [
    "an unknown field in a statement",
    { Statement: { ...FINE, Conditions: {} } },
    "a statement has an unknown field",
  ],
  [
    "a field in other letters",
    { Statement: { ...FINE, action: "*" } },
    "a statement has an unknown field",
  ],
  ["no effect", { Statement: { ...FINE, Effect: undefined } }, "Effect must be Allow or Deny"],
  ["another effect", { Statement: { ...FINE, Effect: "allow" } }, "Effect must be Allow or Deny"],
  [
    "an action and its negation",
    { Statement: { ...FINE, NotAction: "s3:*" } },
    "a statement has either Action or NotAction",
  ],
  [
    "no resource",
    { Statement: { ...FINE, Resource: undefined } },
    "a statement has either Resource or NotResource",
  ],
  ["an empty list", { Statement: { ...FINE, Action: [] } }, "Action is empty"],
  [
    "an action without service",
    { Statement: { ...FINE, Action: "Get" } },
    "Action is not of its form",
  ],
  [
    "an action that is a number",
    { Statement: { ...FINE, Action: 1 } },
    "Action is not of its form",
  ],
  [
    "a resource that is a path",
    { Statement: { ...FINE, Resource: "/a" } },
    "Resource is not of its form",
  ],
  ["a number as Sid", { Statement: { ...FINE, Sid: 1 } }, "Sid must be text"],
  [
    "a prototype",
    '{"Version":"2012-10-17","__proto__":{"Statement":[]},"Statement":[]}',
    "the policy has an unknown field",
  ],
  ["more bytes than allowed", `{"Id":"${"x".repeat(21_000)}"}`, "it has more than 20480 bytes"],
])("%s is refused and says why", (_name, policy, reason) => {
  expect(reasonOf(policy)).toBe(reason);
});

test("no text makes the reader throw, and what it cannot read denies everything", () => {
  const anything = fc.oneof(fc.string(), fc.json());
  fc.assert(
    fc.property(anything, (text) => {
      if (parsePolicy(text).outcome === "parsed") return;
      const allowAll = readStoredPolicy(
        '{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}',
      );
      const identity = { kind: "user", policies: [allowAll, readStoredPolicy(text)] } as const;
      const request = { action: "s3:GetObject", resource: resourceArn("b", "k") };
      expect(decide(request, identity)).toEqual({ allowed: false, reason: "explicit-deny" });
    }),
  );
});
