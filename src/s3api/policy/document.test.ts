import { expect, test } from "vitest";
import { documentOf, requestOf } from "../../../test/support/policies.ts";
import { fc } from "../../../test/support/properties.ts";
import { checkBucketPolicy } from "./bucket-policy-rules.ts";
import { decide } from "./decide.ts";
import { type PolicyKind, parsePolicy, readStoredPolicy } from "./document.ts";

const FINE = {
  Effect: "Allow",
  Action: ["s3:GetObject", "s3:Put*"],
  Resource: "arn:aws:s3:::photos/*",
};

function reasonOf(policy: unknown, kind?: PolicyKind): string {
  const json = typeof policy === "string" ? policy : JSON.stringify(policy);
  const parsed = parsePolicy(json, kind);
  return parsed.outcome === "refused" ? parsed.reason : "parsed";
}

const NOT_JSON = "Policies must be valid JSON and the first byte must be '{'";

test("single values are lists of one, and a policy's own name goes with its statements", () => {
  const json = JSON.stringify({
    ...{ Version: "2012-10-17", Id: "mine" },
    Statement: [
      { Sid: "a", ...FINE },
      { Effect: "Deny", NotAction: "s3:GetObject", NotResource: ["*"] },
    ],
  });
  const { statements } = readStoredPolicy(json, "identity", "mine");
  expect(statements).toMatchObject([
    { policy: "mine", number: 1, sid: "a", effect: "Allow", actionTexts: FINE.Action },
    { policy: "mine", number: 2, effect: "Deny", actions: { negated: true } },
  ]);
  expect(statements[0]?.resourceTexts).toEqual([FINE.Resource]);
  expect(statements[1]?.resources).toMatchObject({ negated: true, templates: [{}] });
});

test.each([
  ["no JSON", "{", NOT_JSON],
  ["nothing", "null", NOT_JSON],
  ["a list", "[]", NOT_JSON],
  ["no statement", { Version: "2012-10-17" }, "Missing required field Statement"],
  ["no statements", { Statement: [] }, "Could not parse the policy: Statement is empty!"],
  ["a statement that is text", { Statement: "x" }, "Invalid policy syntax."],
  [
    "an unknown version",
    { Version: "2020-01-01", Statement: FINE },
    "The policy must contain a valid version string",
  ],
  ["an unknown field", { Statement: FINE, Extra: 1 }, "Unknown field Extra"],
  [
    "an unknown field inside",
    { Statement: { ...FINE, Conditions: {} } },
    "Unknown field Conditions",
  ],
  ["other letters", { Statement: { ...FINE, action: "*" } }, "Unknown field action"],
  ["no effect", { Statement: { ...FINE, Effect: undefined } }, "Missing required field Effect"],
  ["another effect", { Statement: { ...FINE, Effect: "allow" } }, "Invalid effect: allow"],
  [
    "an action and its negation",
    { Statement: { ...FINE, NotAction: "s3:*" } },
    "Action and NotAction cannot stand together",
  ],
  ["no action", { Statement: { ...FINE, Action: undefined } }, "Missing required field Action"],
  [
    "no resource",
    { Statement: { ...FINE, Resource: undefined } },
    "Missing required field Resource",
  ],
  ["an empty list", { Statement: { ...FINE, Action: [] } }, "Policy has invalid action"],
  [
    "an action without service",
    { Statement: { ...FINE, Action: "Get" } },
    "Policy has invalid action",
  ],
  [
    "an action that is a number",
    { Statement: { ...FINE, Action: 1 } },
    "Policy has invalid action",
  ],
  ["a path as resource", { Statement: { ...FINE, Resource: "/a" } }, "Policy has invalid resource"],
  ["a number as Sid", { Statement: { ...FINE, Sid: 1 } }, "Invalid SID"],
  [
    "the same Sid twice",
    {
      Statement: [
        { ...FINE, Sid: "a" },
        { ...FINE, Sid: "a" },
      ],
    },
    "Statement IDs (SID) in a single policy must be unique.",
  ],
  [
    "a condition that is text",
    { Statement: { ...FINE, Condition: "x" } },
    "Invalid policy syntax.",
  ],
  [
    "a condition without values",
    { Statement: { ...FINE, Condition: { StringEquals: { "s3:prefix": [] } } } },
    "Invalid policy syntax.",
  ],
  [
    "a key's policy with a principal",
    { Statement: { ...FINE, Principal: "*" } },
    "Policy document should not specify a principal.",
  ],
  [
    "a prototype",
    '{"Version":"2012-10-17","__proto__":{"Statement":[]},"Statement":[]}',
    "Unknown field __proto__",
  ],
  [
    "too many bytes",
    `{"Id":"${"x".repeat(21_000)}"}`,
    "Policies must not be larger than 20480 bytes",
  ],
])("%s is refused and says why", (_name, policy, reason) => {
  expect(reasonOf(policy)).toBe(reason);
});

test.each([
  [undefined, "Missing required field Principal"],
  ["alice", "Invalid principal in policy"],
  [[], "Invalid principal in policy"],
  [{}, "Invalid principal in policy"],
  [{ AWS: [] }, "Invalid principal in policy"],
  [{ AWS: "alice" }, "Invalid principal in policy"],
  [{ AWS: "arn:aws:iam::12345:user/alice" }, "Invalid principal in policy"],
  [{ AWS: "arn:aws:iam::000000000000:role/x" }, "Invalid principal in policy"],
  [{ AWS: "arn:aws:iam::123456789012:user/*" }, "Invalid principal in policy"],
  [{ AWS: "arn:aws:iam:::user/*" }, "Invalid principal in policy"],
  [{ AWS: "arn:aws:iam:::role/x" }, "Invalid principal in policy"],
  [{ CanonicalUser: "0".repeat(64) }, "Invalid principal in policy"],
  [{ Federated: "x" }, "Invalid principal in policy"],
  ["*", "parsed"],
  [{ AWS: ["123456789012", "arn:aws:iam::123456789012:role/x/y"] }, "parsed"],
  [{ AWS: ["*", "arn:aws:iam:::user/alice"], Service: "s3.amazonaws.com" }, "parsed"],
])("the principal %j of a bucket's policy: %s", (Principal, reason) => {
  expect(reasonOf({ Statement: { ...FINE, Principal } }, "resource")).toBe(reason);
});

test("everyone but somebody can be denied, and not allowed", () => {
  const statement = { ...FINE, NotPrincipal: { AWS: "arn:aws:iam:::user/alice" } };
  expect(reasonOf({ Statement: { ...statement, Effect: "Deny" } }, "resource")).toBe("parsed");
  expect(reasonOf({ Statement: statement }, "resource")).toBe(
    "Allow with NotPrincipal is not allowed.",
  );
});

const INVALID_RESOURCE = "Policy has invalid resource";
const NOT_APPLICABLE = "Action does not apply to any resource(s) in statement";

test.each([
  ["s3:GetObject", "arn:aws:s3:::photos/*", undefined],
  ["s3:*", "arn:aws:s3:::photos", undefined],
  ["*", "*", undefined],
  [["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"], undefined],
  ["s3:GetObject", "arn:aws:s3:::*", undefined],
  ["s3:ListBucket", "arn:aws:s3:::ph*s", undefined],
  ["s3:GetObject", `arn:aws:s3:::photos/\${aws:username}/*`, undefined],
  ["s3:getobject", "arn:aws:s3:::photos/*", undefined],
  ["s3:GetObjekt", "arn:aws:s3:::photos/*", "Policy has invalid action"],
  ["ec2:*", "arn:aws:s3:::photos/*", "Policy has invalid action"],
  ["s3:GetObject", "arn:aws:s3:::other/*", INVALID_RESOURCE],
  ["s3:GetObject", ["arn:aws:s3:::photos/*", "arn:aws:s3:::other/*"], INVALID_RESOURCE],
  ["s3:GetObject", "arn:aws:sqs:::photos", INVALID_RESOURCE],
  ["s3:ListBucket", `arn:aws:s3:::\${aws:username}`, INVALID_RESOURCE],
  ["s3:ListBucket", "arn:aws:s3:::photos/*", NOT_APPLICABLE],
  ["s3:GetObject", "arn:aws:s3:::photos", NOT_APPLICABLE],
  [["s3:GetObject", "s3:ListBucket"], "arn:aws:s3:::photos/*", NOT_APPLICABLE],
] as const)("as the policy of photos, %j on %j: %s", (Action, Resource, problem) => {
  const statement = { Effect: "Allow", Principal: "*", Action, Resource };
  expect(checkBucketPolicy(documentOf(statement, "resource"), "photos")).toBe(problem);
});

test("no text makes the reader throw, and what it cannot read denies everything", () => {
  const allowAll = documentOf({ Effect: "Allow", Action: "*", Resource: "*" });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      for (const kind of ["identity", "resource"] as const) {
        if (parsePolicy(text, kind).outcome === "parsed") return;
        const policies = [allowAll, readStoredPolicy(text, kind)];
        expect(decide(requestOf(), policies).reason).toBe("explicit-deny");
      }
    }),
  );
});
