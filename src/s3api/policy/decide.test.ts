import fc from "fast-check";
import { expect, test } from "vitest";
import { decide, resourceArn } from "./decide.ts";
import { readStoredPolicy } from "./document.ts";
import { fitsPattern } from "./wildcard.ts";

type Statement = Readonly<Record<string, unknown>>;

function reasonFor(action: string, resource: string, ...statements: Statement[]): string {
  const policies = statements.map((statement) =>
    readStoredPolicy(JSON.stringify({ Version: "2012-10-17", Statement: statement })),
  );
  return decide({ action, resource }, { kind: "user", policies }).reason;
}

const ALLOW = { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/*" };
const CAT = resourceArn("photos", "cats/one.jpg");

test("without a policy, or with one about something else, the answer is no", () => {
  expect(reasonFor("s3:GetObject", CAT)).toBe("no-allow");
  expect(reasonFor("s3:PutObject", CAT, ALLOW)).toBe("no-allow");
  expect(reasonFor("s3:GetObject", resourceArn("photos", undefined), ALLOW)).toBe("no-allow");
  expect(reasonFor("s3:GetObject", resourceArn("photos2", "a"), ALLOW)).toBe("no-allow");
  expect(reasonFor("s3:GetObjectTagging", CAT, ALLOW)).toBe("no-allow");
});

test("an allow that fits allows; actions know no case, resources do", () => {
  expect(reasonFor("s3:GetObject", CAT, ALLOW)).toBe("allowed");
  expect(reasonFor("S3:getobject", CAT, ALLOW)).toBe("allowed");
  expect(reasonFor("s3:GetObject", resourceArn("Photos", "a"), ALLOW)).toBe("no-allow");
});

test("a deny beats every allow, wherever it stands", () => {
  const deny = { Effect: "Deny", Action: "s3:*", Resource: "arn:aws:s3:::photos/cats/*" };
  expect(reasonFor("s3:GetObject", CAT, ALLOW, deny)).toBe("explicit-deny");
  expect(reasonFor("s3:GetObject", CAT, deny, ALLOW)).toBe("explicit-deny");
  expect(reasonFor("s3:GetObject", resourceArn("photos", "dog"), deny, ALLOW)).toBe("allowed");
});

test("NotAction and NotResource are about everything else", () => {
  const notAction = { Effect: "Allow", NotAction: "s3:Delete*", Resource: "*" };
  expect(reasonFor("s3:GetObject", CAT, notAction)).toBe("allowed");
  expect(reasonFor("s3:DeleteObject", CAT, notAction)).toBe("no-allow");
  const notResource = { Effect: "Deny", Action: "*", NotResource: "arn:aws:s3:::photos/*" };
  expect(reasonFor("s3:GetObject", CAT, ALLOW, notResource)).toBe("allowed");
  expect(reasonFor("s3:GetObject", resourceArn("other", "a"), notResource)).toBe("explicit-deny");
});

test("what cannot be judged yet allows nothing and denies always", () => {
  const condition = { Condition: { Bool: { "aws:SecureTransport": "true" } } };
  expect(reasonFor("s3:GetObject", CAT, { ...ALLOW, ...condition })).toBe("no-allow");
  expect(reasonFor("s3:GetObject", CAT, { ...ALLOW, Principal: "*" })).toBe("no-allow");
  const deny = { ...ALLOW, Effect: "Deny" };
  expect(reasonFor("s3:GetObject", CAT, ALLOW, { ...deny, ...condition })).toBe("explicit-deny");
  const variable = { Resource: ["arn:aws:s3:::$", "{aws:username}/*"].join("") };
  expect(reasonFor("s3:GetObject", CAT, { ...ALLOW, ...variable })).toBe("no-allow");
  expect(reasonFor("s3:GetObject", CAT, ALLOW, { ...deny, ...variable })).toBe("explicit-deny");
});

test("the root key may do everything", () => {
  const request = { action: "s3:DeleteBucket", resource: resourceArn("photos", undefined) };
  expect(decide(request, { kind: "root", policies: [] }).reason).toBe("root");
});

test("the service as such fits the patterns that people write for it", () => {
  const service = resourceArn(undefined, undefined);
  for (const resource of ["*", "arn:aws:s3:::*"]) {
    const allow = { Effect: "Allow", Action: "s3:ListAllMyBuckets", Resource: resource };
    expect(reasonFor("s3:ListAllMyBuckets", service, allow)).toBe("allowed");
  }
  expect(reasonFor("s3:GetObject", service, ALLOW)).toBe("no-allow");
});

test("keys are taken as they are: dots, slashes and stars in them mean nothing", () => {
  const allow = { ...ALLOW, Resource: "arn:aws:s3:::photos/public/*" };
  expect(reasonFor("s3:GetObject", resourceArn("photos", "public/../secret"), allow)).toBe(
    "allowed",
  );
  expect(reasonFor("s3:GetObject", resourceArn("photos", "x/../public/a"), allow)).toBe("no-allow");
  expect(reasonFor("s3:GetObject", resourceArn("photos", "*"), allow)).toBe("no-allow");
});

test("patterns fit as the regular expressions they stand for", () => {
  const letter = fc.constantFrom("a", "b", "*", "?", "/", ".");
  const word = fc.string({ unit: letter, maxLength: 8 });
  const plain = fc.string({ unit: fc.constantFrom("a", "b", "/", "."), maxLength: 10 });
  fc.assert(
    fc.property(word, plain, (pattern, text) => {
      const source = pattern.replace(/[./]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
      expect(fitsPattern(pattern, text)).toBe(new RegExp(`^${source}$`, "s").test(text));
    }),
    { numRuns: 2000 },
  );
});

test("a pattern full of stars cannot make matching explode", () => {
  expect(fitsPattern(`${"*a".repeat(500)}b`, "a".repeat(1024))).toBe(false);
});
