import { expect, test } from "vitest";
import { parseAccessKeyId } from "../../core/names.ts";
import { S3Error } from "../errors.ts";
import { headersOf } from "../headers/header-list.ts";
import type { Credential } from "./credentials.ts";
import { readFormClaim } from "./form-claim.ts";
import { SigningKeys } from "./signing-key.ts";
import { authenticateForm } from "./verify.ts";

/*
 * The example of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html, whose
 * lines end in CRLF.
 */
const ID = "AKIAIOSFODNN7EXAMPLE";
const POLICY = Buffer.from(
  [
    '{ "expiration": "2015-12-30T12:00:00.000Z",',
    '  "conditions": [',
    '    {"bucket": "sigv4examplebucket"},',
    '    ["starts-with", "$key", "user/user1/"],',
    '    {"acl": "public-read"},',
    '    {"success_action_redirect": ' +
      '"http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},',
    '    ["starts-with", "$Content-Type", "image/"],',
    '    {"x-amz-meta-uuid": "14365123651274"},',
    '    {"x-amz-server-side-encryption": "AES256"},',
    '    ["starts-with", "$x-amz-meta-tag", ""],',
    "",
    `    {"x-amz-credential": "${ID}/20151229/us-east-1/s3/aws4_request"},`,
    '    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},',
    '    {"x-amz-date": "20151229T000000Z" }',
    "  ]",
    "}",
  ].join("\r\n"),
).toString("base64");
const SIGNATURE = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";
const FIELDS = {
  "x-amz-credential": `${ID}/20151229/us-east-1/s3/aws4_request`,
  "x-amz-algorithm": "AWS4-HMAC-SHA256",
  "x-amz-date": "20151229T000000Z",
  policy: POLICY,
  "x-amz-signature": SIGNATURE,
};
const SIGNED_MS = Date.UTC(2015, 11, 29);
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

function credentialOf(id: string): Credential {
  const parsed = parseAccessKeyId(id);
  if (parsed === undefined) throw new Error(`${id} is no access key`);
  const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
  return { id: parsed, secret, kind: "user", name: "example", policies: [] };
}

type Attempt = {
  readonly fields?: Readonly<Record<string, string | undefined>>;
  readonly nowMs?: number;
  readonly rawQuery?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

function attempt({ fields = {}, nowMs = SIGNED_MS, rawQuery = "", headers = {} }: Attempt): string {
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries({ ...FIELDS, ...fields })) {
    if (value !== undefined) values.set(name, value);
  }
  const deps = {
    lookup: (id: string) => (id === ID ? credentialOf(id) : undefined),
    region: "us-east-1",
    signingKeys: new SigningKeys(),
    nowMs: () => nowMs,
  };
  const request = { method: "POST", rawPath: "/b", rawQuery, headers: headersOf(headers) };
  try {
    const { credential, presigned } = authenticateForm(request, readFormClaim(values), deps);
    expect(presigned).toBe(false);
    return credential.kind === "anonymous" ? "nobody" : credential.id;
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

test("AWS's example of a signed form is right", () => {
  expect(attempt({})).toBe(ID);
  expect(attempt({ nowMs: SIGNED_MS + 7 * DAY_MS })).toBe(ID);
});

test("a form that claims nothing is sent by nobody", () => {
  const none = Object.fromEntries(Object.keys(FIELDS).map((name) => [name, undefined]));
  expect(attempt({ fields: none })).toBe("nobody");
  expect(attempt({ fields: { ...none, policy: POLICY } })).toBe("nobody");
});

const CREDENTIAL = (scope: string) => ({ "x-amz-credential": `${ID}/${scope}` });
test.each<readonly [string, Attempt, string]>([
  ["another policy", { fields: { policy: `${POLICY.slice(0, -4)}AAAA` } }, "SignatureDoesNotMatch"],
  ["another signature", { fields: { "x-amz-signature": "0".repeat(64) } }, "SignatureDoesNotMatch"],
  ["a short signature", { fields: { "x-amz-signature": "8afd" } }, "SignatureDoesNotMatch"],
  [
    "the signature in capitals",
    { fields: { "x-amz-signature": SIGNATURE.toUpperCase() } },
    "SignatureDoesNotMatch",
  ],
  ["an empty signature", { fields: { "x-amz-signature": "" } }, "InvalidArgument"],
  ["no policy", { fields: { policy: undefined } }, "InvalidArgument"],
  ["no date", { fields: { "x-amz-date": undefined } }, "InvalidArgument"],
  ["another algorithm", { fields: { "x-amz-algorithm": "AWS4-HMAC-SHA1" } }, "InvalidArgument"],
  ["a date that is none", { fields: { "x-amz-date": "2015-12-29" } }, "InvalidArgument"],
  ["the date of another day", { fields: { "x-amz-date": "20151228T000000Z" } }, "InvalidArgument"],
  [
    "another region",
    { fields: CREDENTIAL("20151229/eu-west-1/s3/aws4_request") },
    "InvalidArgument",
  ],
  [
    "another service",
    { fields: CREDENTIAL("20151229/us-east-1/iam/aws4_request") },
    "InvalidArgument",
  ],
  ["a broken scope", { fields: CREDENTIAL("20151229") }, "InvalidArgument"],
  [
    "an unknown key",
    { fields: { "x-amz-credential": "NOBODY/20151229/us-east-1/s3/aws4_request" } },
    "InvalidAccessKeyId",
  ],
  ["a security token", { fields: { "x-amz-security-token": "t" } }, "InvalidToken"],
  ["signature version 2", { fields: { awsaccesskeyid: ID } }, "InvalidRequest"],
  ["a date that has not come", { nowMs: SIGNED_MS - 16 * MINUTE_MS }, "AccessDenied"],
  ["a date of eight days ago", { nowMs: SIGNED_MS + 8 * DAY_MS }, "AccessDenied"],
  ["a signed query as well", { rawQuery: "X-Amz-Signature=0" }, "InvalidArgument"],
  ["a signed header as well", { headers: { authorization: "AWS x:y" } }, "InvalidArgument"],
])("a form with %s is refused", (_name, spoilt, code) => {
  expect(attempt(spoilt)).toBe(code);
});
