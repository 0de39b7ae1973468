import { expect, test } from "vitest";
import { documentOf } from "../../../test/support/policies.ts";
import { isPublic } from "./public-status.ts";

const ALLOW = { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/*" };
const EVERYONE = { ...ALLOW, Principal: "*" };

test.each([
  ["everyone", EVERYONE, true],
  ["everyone in other words", { ...ALLOW, Principal: { AWS: ["*"] } }, true],
  ["a user", { ...ALLOW, Principal: { AWS: "arn:aws:iam:::user/x" } }, false],
  ["the account", { ...ALLOW, Principal: { AWS: "000000000000" } }, false],
  ["a denial of everyone", { ...EVERYONE, Effect: "Deny" }, false],
])("a policy for %s: public %s", (_name, statement, expected) => {
  expect(isPublic(documentOf(statement, "resource"))).toBe(expected);
});

test.each([
  [{ IpAddress: { "aws:SourceIp": "10.0.0.0/8" } }, false],
  [{ IpAddress: { "aws:SourceIp": ["10.0.0.0/8", "192.0.2.1"] } }, false],
  [{ IpAddress: { "aws:SourceIp": "0.0.0.0/1" } }, true],
  [{ IpAddress: { "aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/0"] } }, true],
  [{ IpAddress: { "aws:SourceIp": "2001:db8::/32" } }, false],
  [{ IpAddress: { "aws:SourceIp": "2000::/3" } }, true],
  [{ IpAddress: { "aws:SourceIp": "::/0" } }, true],
  [{ NotIpAddress: { "aws:SourceIp": "10.0.0.0/8" } }, true],
  [{ StringEquals: { "aws:SourceVpc": "vpc-1" } }, false],
  [{ StringLike: { "aws:SourceVpc": "vpc-*" } }, true],
  [{ StringLike: { "aws:SourceVpc": "vpc-1" } }, false],
  [{ StringNotEquals: { "aws:SourceVpc": "vpc-1" } }, true],
  [{ StringEqualsIfExists: { "aws:SourceVpc": "vpc-1" } }, true],
  [{ "ForAllValues:StringEquals": { "aws:SourceVpc": "vpc-1" } }, true],
  [{ StringEquals: { "aws:SourceVpc": `\${aws:username}` } }, true],
  [{ StringEquals: { "aws:userid": "ALICEKEY1" } }, false],
  [{ StringEquals: { "aws:Referer": "https://here" } }, true],
  [{ StringEquals: { "aws:Referer": "https://here", "aws:PrincipalOrgID": "o-1" } }, false],
])("everyone under the condition %j: public %s", (Condition, expected) => {
  expect(isPublic(documentOf({ ...EVERYONE, Condition }, "resource"))).toBe(expected);
});

test("one public statement is enough", () => {
  const closed = { ...ALLOW, Principal: { AWS: "arn:aws:iam:::user/x" } };
  expect(isPublic(documentOf([closed, EVERYONE], "resource"))).toBe(true);
  expect(isPublic(documentOf([closed, closed], "resource"))).toBe(false);
});
