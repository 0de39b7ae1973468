import { expect, test } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import { meets, parseCondition } from "./condition.ts";

type Values = Readonly<Record<string, readonly string[]>>;

/** Whether one operator on `s3:prefix` (or another key) is met by the values of a request. */
function met(
  operator: string,
  wanted: string | readonly string[],
  given: string | readonly string[] | undefined,
  key = "s3:prefix",
): boolean | undefined {
  const texts = typeof wanted === "string" ? [wanted] : wanted;
  const condition = parseCondition(operator, key, texts, { variables: true });
  const values: Values = {
    ...(given === undefined
      ? {}
      : { [condition.key]: typeof given === "string" ? [given] : given }),
    "aws:username": ["bob"],
  };
  return meets(condition, (name) => values[name]);
}

test.each([
  ["StringEquals", "a", "a", true],
  ["StringEquals", "a", "A", false],
  ["StringEquals", "a*", "ab", false],
  ["StringEquals", ["a", "b"], "b", true],
  ["StringEquals", `\${aws:username}`, "bob", true],
  ["StringNotEquals", "a", "b", true],
  ["StringNotEquals", ["a", "b"], "b", false],
  ["StringEqualsIgnoreCase", "Über", "üBER", true],
  ["StringNotEqualsIgnoreCase", "a", "A", false],
  ["StringLike", `home/\${aws:username}/*`, "home/bob/x", true],
  ["StringLike", "h?me", "home", true],
  ["StringLike", "h?me", "hoome", false],
  ["StringNotLike", "home/*", "home/x", false],
  ["stringlike", "a*", "ab", true],
  ["ArnLike", "arn:aws:iam::*:user/x", "arn:aws:iam::000000000000:user/x", true],
  ["ArnNotEquals", "arn:aws:iam:::user/x", "arn:aws:iam:::user/y", true],
  ["NumericEquals", "10", "10.0", true],
  ["NumericNotEquals", "10", "11", true],
  ["NumericLessThan", "10", "9", true],
  ["NumericLessThan", "10", "10", false],
  ["NumericLessThanEquals", "10", "10", true],
  ["NumericGreaterThan", "9", "10", true],
  ["NumericGreaterThanEquals", "-1", "0", true],
  ["DateEquals", "2026-01-02", "2026-01-02T00:00:00Z", true],
  ["DateLessThan", "2026-01-02T00:00:00Z", "2026-01-01T23:59:59.999Z", true],
  ["DateGreaterThan", "1767312000", "2026-01-02T00:00:01Z", true],
  ["DateGreaterThanEquals", "2026-01-02", "1767312000", true],
  ["DateLessThanEquals", "2026-01-02", "2026-01-03", false],
  ["DateNotEquals", "2026-01-02", "2026-01-03", true],
  ["Bool", "true", "TRUE", true],
  ["Bool", "true", "false", false],
  ["BinaryEquals", "YWI=", "YWI", true],
  ["IpAddress", "10.0.0.0/8", "10.255.0.1", true],
  ["IpAddress", "10.0.0.0/8", "11.0.0.1", false],
  ["IpAddress", "10.0.0.0/8", "::ffff:10.1.1.1", true],
  ["IpAddress", "192.0.2.7", "192.0.2.7", true],
  ["IpAddress", "2001:db8::/32", "2001:db8:1::5", true],
  ["IpAddress", "2001:db8::/32", "2001:db9::5", false],
  ["NotIpAddress", ["10.0.0.0/8", "192.0.2.0/24"], "192.0.2.1", false],
  ["NotIpAddress", "10.0.0.0/8", "192.0.2.1", true],
] as const)("%s of %j and %j is %s", (operator, wanted, given, expected) => {
  expect(met(operator, wanted, given)).toBe(expected);
});

test.each([
  ["StringEquals", false],
  ["StringNotEquals", true],
  ["StringEqualsIfExists", true],
  ["StringNotEqualsIfExists", true],
  ["ForAllValues:StringEquals", true],
  ["ForAnyValue:StringEquals", false],
  ["ForAnyValue:StringNotEquals", false],
  ["ForAnyValue:StringEqualsIfExists", true],
] as const)("%s without a value in the request is %s", (operator, expected) => {
  expect(met(operator, "a", undefined)).toBe(expected);
});

test("Null asks whether there is a value", () => {
  expect(met("Null", "true", undefined)).toBe(true);
  expect(met("Null", "true", "a")).toBe(false);
  expect(met("Null", "false", "")).toBe(true);
  expect(met("Null", "false", undefined)).toBe(false);
});

test.each([
  ["ForAllValues:StringEquals", ["a", "b"], ["a", "b", "a"], true],
  ["ForAllValues:StringEquals", ["a", "b"], ["a", "c"], false],
  ["ForAllValues:StringEquals", ["a"], [], true],
  ["ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], true],
  ["ForAnyValue:StringEquals", ["a"], ["c"], false],
  ["ForAllValues:StringNotEquals", ["a"], ["b", "c"], true],
  ["ForAllValues:StringNotEquals", ["a"], ["b", "a"], false],
  ["ForAnyValue:StringNotEquals", ["a"], ["a", "b"], true],
  ["ForAnyValue:StringNotLike", ["a*"], ["aa", "ab"], false],
  ["StringEquals", ["a"], ["b", "a"], true],
  ["StringNotEquals", ["a"], ["b", "a"], false],
] as const)("%s of %j and several values %j is %s", (operator, wanted, given, expected) => {
  expect(met(operator, wanted, given, "s3:RequestObjectTagKeys")).toBe(expected);
});

test.each([
  ["NumericLessThan", "10", "many"],
  ["NumericNotEquals", "10", "many"],
  ["DateLessThan", "2026-01-01", "yesterday"],
  ["Bool", "true", "perhaps"],
  ["IpAddress", "10.0.0.0/8", "nowhere"],
  ["NotIpAddress", "10.0.0.0/8", "10.0.0"],
  ["StringLike", `\${s3:delimiter}*`, "a"],
  ["StringNotEquals", `\${s3:delimiter}`, "a"],
] as const)("nobody can say whether %s holds of %j and %j", (operator, wanted, given) => {
  expect(met(operator, wanted, given)).toBeUndefined();
});

test("what fits for certain makes up for what nobody can judge", () => {
  expect(met("StringEquals", [`\${s3:delimiter}`, "a"], "a")).toBe(true);
  expect(met("StringNotEquals", [`\${s3:delimiter}`, "a"], "a")).toBe(false);
});

test.each([
  ["StringSounds", "s3:prefix", "a", "Invalid Condition type : StringSounds"],
  ["ForSome:StringEquals", "s3:prefix", "a", "Invalid Condition type : ForSome:StringEquals"],
  ["NullIfExists", "s3:prefix", "true", "Invalid Condition type : NullIfExists"],
  ["StringEquals", "s3:nonsense", "a", "Policy has an invalid condition key"],
  ["StringEquals", "s3:ExistingObjectTag/", "a", "Policy has an invalid condition key"],
  ["NumericEquals", "s3:max-keys", "ten", "Invalid value for NumericEquals : s3:max-keys"],
  ["DateLessThan", "aws:CurrentTime", "soon", "Invalid value for DateLessThan : aws:CurrentTime"],
  [
    "DateLessThan",
    "aws:CurrentTime",
    "2026-13-01",
    "Invalid value for DateLessThan : aws:CurrentTime",
  ],
  ["IpAddress", "aws:SourceIp", "10.0.0.0/33", "Invalid value for IpAddress : aws:SourceIp"],
  ["IpAddress", "aws:SourceIp", "10.0.0.256", "Invalid value for IpAddress : aws:SourceIp"],
  ["IpAddress", "aws:SourceIp", "2001:db8::1::2", "Invalid value for IpAddress : aws:SourceIp"],
  ["Bool", "aws:SecureTransport", "yes", "Invalid value for Bool : aws:SecureTransport"],
  ["StringEquals", "s3:prefix", "${aws:username", "Invalid policy variable"],
])("%s on %s with %s is refused", (operator, key, text, reason) => {
  expect(() => parseCondition(operator, key, [text], { variables: true })).toThrow(reason);
});

test("keys know no case but for the key of a tag", () => {
  expect(met("StringEquals", "a", "a", "S3:PREFIX")).toBe(true);
  const condition = parseCondition("StringEquals", "S3:ExistingObjectTag/Team", ["a"], {
    variables: true,
  });
  expect(condition.key).toBe("s3:existingobjecttag/Team");
});

test.each([
  ["StringLike", "*a*", "a".repeat(LIMITS.policyValueCharsMax)],
  ["StringEquals", `\${aws:username}`.repeat(2), "bobbob"],
])("%s of %j is met by a value that is not too long", (operator, wanted, given) => {
  expect(met(operator, wanted, given)).toBe(true);
});

test.each([
  ["StringLike", "*a*", "a".repeat(LIMITS.policyValueCharsMax + 1)],
  ["StringNotEquals", "a", "b".repeat(LIMITS.policyValueCharsMax + 1)],
  ["StringNotEquals", `\${s3:prefix}`.repeat(1000), "b".repeat(LIMITS.policyValueCharsMax)],
])("[N29] nobody says whether %s is met when it would take for ever", (operator, wanted, given) => {
  expect(met(operator, wanted, given)).toBeUndefined();
});

test("[N29] what all keys of one request have in common is compared once", () => {
  const condition = parseCondition("StringLike", "aws:UserAgent", ["*b*"], { variables: true });
  let reads = 0;
  const text = "a".repeat(1000);
  const given = {
    length: text.length,
    charCodeAt: (index: number) => {
      reads += 1;
      return text.charCodeAt(index);
    },
  } as unknown as string;
  for (let key = 0; key < 1000; key++) expect(meets(condition, () => [given])).toBe(false);
  expect(reads).toBe(text.length);
  expect(meets(condition, () => ["ab"])).toBe(true);
  expect(meets(condition, () => [given])).toBe(false);
});
