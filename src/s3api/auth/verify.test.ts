import aws4 from "aws4";
import { beforeEach, expect, test } from "vitest";
import { headersOf } from "../../../test/support/headers.ts";
import { parseAccessKeyId } from "../../core/names.ts";
import { S3Error } from "../errors.ts";
import type { Credential } from "./credentials.ts";
import { SigningKeys } from "./signing-key.ts";
import { type AuthDeps, authenticate } from "./verify.ts";

const NOW = "20261121T093000Z";
const NOW_MS = Date.UTC(2026, 10, 21, 9, 30);
const SECRET = "a secret/with+marks";

type Sent = {
  method: string;
  path: string;
  headers: Record<string, string>;
};

let deps: AuthDeps;
let credential: Credential | undefined;

beforeEach(() => {
  const id = parseAccessKeyId("AKTEST");
  if (id === undefined) throw new Error("the test key must be a key");
  credential = { id, secret: SECRET, kind: "user", name: "tester", policies: [] };
  deps = {
    lookup: (asked) => (asked === credential?.id ? credential : undefined),
    region: "us-east-1",
    nowMs: () => NOW_MS,
    signingKeys: new SigningKeys(),
  };
});

type SignOptions = {
  readonly id?: string;
  readonly secret?: string;
  readonly date?: string;
  readonly region?: string;
  readonly service?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

/** Signed by aws4, which knows nothing of our code. */
function signedPut(options: SignOptions = {}): Sent {
  const request = aws4.sign(
    {
      service: options.service ?? "s3",
      region: options.region ?? "us-east-1",
      method: "PUT",
      host: "localhost:9000",
      path: "/photos/a%20cat%20%28%C3%BC%29.jpg?partNumber=1&uploadId=a%2Fb",
      body: "meow",
      headers: {
        "Content-Type": "image/jpeg",
        "X-Amz-Meta-Mood": "very   good",
        "X-Amz-Date": options.date ?? NOW,
        // aws4 hashes bodies by itself only for the service s3.
        "X-Amz-Content-Sha256": "404cdd7bc109c432f8cc2443b45bcfe95980f5107215c645236e577929ac3e52",
        ...options.headers,
      },
    },
    { accessKeyId: options.id ?? "AKTEST", secretAccessKey: options.secret ?? SECRET },
  );
  return received(request);
}

function presignedGet(options: SignOptions & { readonly expires?: string } = {}): Sent {
  const request = aws4.sign(
    {
      service: options.service ?? "s3",
      region: options.region ?? "us-east-1",
      method: "GET",
      host: "localhost:9000",
      path:
        `/photos/cat.jpg?versionId=v1&X-Amz-Date=${options.date ?? NOW}` +
        `&X-Amz-Expires=${options.expires ?? "60"}`,
      signQuery: true,
      headers: { ...options.headers },
    },
    { accessKeyId: options.id ?? "AKTEST", secretAccessKey: options.secret ?? SECRET },
  );
  return received(request);
}

function received(request: ReturnType<typeof aws4.sign>): Sent {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    headers[name.toLowerCase()] = String(value);
  }
  return { method: request.method ?? "GET", path: request.path ?? "/", headers };
}

function outcome(sent: Sent): string {
  const [rawPath = "", rawQuery = ""] = sent.path.split(/\?(.*)/s);
  const headers = headersOf(Object.entries(sent.headers));
  try {
    const result = authenticate({ method: sent.method, rawPath, rawQuery, headers }, deps);
    const { name, kind } = result.credential;
    return `${name === "" ? kind : name} ${result.payload.kind}`;
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

function refusal(sent: Sent): S3Error {
  const [rawPath = "", rawQuery = ""] = sent.path.split(/\?(.*)/s);
  const headers = headersOf(Object.entries(sent.headers));
  try {
    authenticate({ method: sent.method, rawPath, rawQuery, headers }, deps);
  } catch (failure) {
    if (failure instanceof S3Error) return failure;
    throw failure;
  }
  throw new Error("the request was accepted");
}

test("what aws4 signs is accepted, by header and by query, again and again", () => {
  for (let round = 0; round < 3; round++) {
    expect(outcome(signedPut())).toBe("tester signed");
    expect(outcome(presignedGet())).toBe("tester unsigned");
  }
  expect(deps.signingKeys.size).toBe(1);
});

test.each([
  ["UNSIGNED-PAYLOAD", "tester unsigned"],
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "tester streaming-signed"],
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "tester streaming-signed"],
  ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "tester streaming-unsigned-trailer"],
  ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "InvalidRequest"],
  ["streaming-unsigned-payload-trailer", "InvalidArgument"],
  ["404CDD7BC109C432F8CC2443B45BCFE95980F5107215C645236E577929AC3E52", "InvalidArgument"],
  ["404cdd", "InvalidArgument"],
  ["__proto__", "InvalidArgument"],
  ["constructor", "InvalidArgument"],
])("a body claimed as %s is %s", (claim, expected) => {
  expect(outcome(signedPut({ headers: { "X-Amz-Content-Sha256": claim } }))).toBe(expected);
  if (expected.startsWith("tester")) {
    const forged = signedPut({ headers: { "X-Amz-Content-Sha256": claim }, secret: "wrong" });
    expect(outcome(forged)).toBe("SignatureDoesNotMatch");
  }
});

type Mutation = (sent: Sent) => void;

function method(value: string): Mutation {
  return (sent) => {
    sent.method = value;
  };
}

function path(pattern: string | RegExp, replacement: string): Mutation {
  return (sent) => {
    sent.path = sent.path.replace(pattern, replacement);
  };
}

function header(name: string, value: string | undefined): Mutation {
  return (sent) => {
    if (value === undefined) delete sent.headers[name];
    else sent.headers[name] = value;
  };
}

/** Every change to a signed request, with the code that answers it. */
const HEADER_MUTATIONS: ReadonlyArray<readonly [string, string, Mutation]> = [
  ["method", "SignatureDoesNotMatch", method("GET")],
  ["case of the method", "SignatureDoesNotMatch", method("put")],
  ["key", "SignatureDoesNotMatch", path("cat", "dog")],
  ["slash", "SignatureDoesNotMatch", path("/a", "//a")],
  ["dots in the path", "SignatureDoesNotMatch", path("/photos/", "/x/../photos/")],
  ["value in the query", "SignatureDoesNotMatch", path(/$/, "x")],
  ["added parameter", "SignatureDoesNotMatch", path(/$/, "&acl")],
  ["repeated parameter", "SignatureDoesNotMatch", path(/$/, "&partNumber=1")],
  ["lost parameter", "SignatureDoesNotMatch", path("partNumber=1&", "")],
  ["host", "SignatureDoesNotMatch", header("host", "localhost:9001")],
  ["content type", "SignatureDoesNotMatch", header("content-type", "x/y")],
  ["lost signed header", "SignatureDoesNotMatch", header("content-type", undefined)],
  ["metadata", "SignatureDoesNotMatch", header("x-amz-meta-mood", "very good!")],
  ["unsigned x-amz header", "AccessDenied", header("x-amz-acl", "private")],
  ["unsigned copy source", "AccessDenied", header("x-amz-copy-source", "/other/secret")],
  ["body hash", "SignatureDoesNotMatch", header("x-amz-content-sha256", "0".repeat(64))],
  [
    "body hash turned off",
    "SignatureDoesNotMatch",
    header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
  ],
  ["lost body hash", "InvalidRequest", header("x-amz-content-sha256", undefined)],
  ["date by a second", "SignatureDoesNotMatch", header("x-amz-date", "20261121T093001Z")],
  ["lost date", "AccessDenied", header("x-amz-date", undefined)],
  ["session token", "InvalidToken", header("x-amz-security-token", "t")],
  ["second mechanism", "InvalidArgument", path(/$/, "&X-Amz-Signature=ab")],
  ["second, old mechanism", "InvalidArgument", path(/$/, "&Signature=ab")],
];

test("a request that has lost its signature is nobody's, whatever else it says", () => {
  const sent = signedPut();
  header("authorization", undefined)(sent);
  expect(outcome(sent)).toBe("anonymous signed");
  header("authorization", "")(sent);
  expect(outcome(sent)).toBe("anonymous signed");
  const chunked = signedPut();
  header("authorization", undefined)(chunked);
  header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")(chunked);
  expect(outcome(chunked)).toBe("AccessDenied");
});

test.each(HEADER_MUTATIONS)("a changed %s is refused with %s", (_name, code, mutate) => {
  const sent = signedPut();
  mutate(sent);
  expect(outcome(sent)).toBe(code);
});

/** Every change to the text of the Authorization header. */
const AUTHORIZATION_MUTATIONS: ReadonlyArray<readonly [string, string, RegExp, string]> = [
  ["a flipped digit", "SignatureDoesNotMatch", /Signature=./, "Signature=g"],
  ["a short signature", "SignatureDoesNotMatch", /.$/, ""],
  ["a long signature", "SignatureDoesNotMatch", /$/, "0"],
  ["an empty signature", "AuthorizationHeaderMalformed", /Signature=.*/, "Signature="],
  ["no signature", "AuthorizationHeaderMalformed", /, Signature=.*/, ""],
  ["no header list", "AuthorizationHeaderMalformed", /SignedHeaders=[^,]*, /, ""],
  ["an empty header list", "AuthorizationHeaderMalformed", /SignedHeaders=[^,]*/, "SignedHeaders="],
  ["no credential", "AuthorizationHeaderMalformed", /Credential=[^,]*, /, ""],
  ["a field twice", "AuthorizationHeaderMalformed", /$/, ", Signature=00"],
  ["an unknown field", "AuthorizationHeaderMalformed", /$/, ", Extra=00"],
  ["another key", "InvalidAccessKeyId", /AKTEST/, "AKOTHER"],
  ["a key that is none", "InvalidAccessKeyId", /AKTEST/, "AK*)(uid=*"],
  ["the prototype as key", "InvalidAccessKeyId", /AKTEST/, "__proto__"],
  ["another day", "AuthorizationHeaderMalformed", /20261121/, "20261120"],
  ["another region", "AuthorizationHeaderMalformed", /us-east-1/, "eu-west-1"],
  ["another service", "AuthorizationHeaderMalformed", /\/s3\//, "/iam/"],
  ["another terminator", "AuthorizationHeaderMalformed", /aws4_request/, "aws5_request"],
  ["a shorter scope", "AuthorizationHeaderMalformed", /\/aws4_request/, ""],
  ["a longer scope", "AuthorizationHeaderMalformed", /AKTEST/, "A/KTEST"],
  ["host left out", "AccessDenied", /host;/, ""],
  ["metadata left out", "AccessDenied", /;x-amz-meta-mood/, ""],
  ["the date left out", "AccessDenied", /;x-amz-date/, ""],
  ["the type left out", "SignatureDoesNotMatch", /content-type;/, ""],
  ["a name in capitals", "AuthorizationHeaderMalformed", /;host;/, ";Host;"],
  ["a name twice", "AuthorizationHeaderMalformed", /;host;/, ";host;host;"],
  ["an empty name", "AuthorizationHeaderMalformed", /;host;/, ";host;;"],
  ["names out of order", "AuthorizationHeaderMalformed", /content-type;host/, "host;content-type"],
  ["an absent header listed", "SignatureDoesNotMatch", /;host;/, ";host;if-match;"],
  ["SigV2", "InvalidRequest", /^.*$/, "AWS AKTEST:c2lnbmF0dXJl"],
  ["SigV4A", "InvalidRequest", /^AWS4-HMAC-SHA256/, "AWS4-ECDSA-P256-SHA256"],
  ["another scheme", "InvalidArgument", /^.*$/, "Bearer token"],
  ["only the scheme", "AuthorizationHeaderMalformed", / .*$/, ""],
];

test.each(AUTHORIZATION_MUTATIONS)(
  "an Authorization header with %s is refused with %s",
  (_name, code, pattern, replacement) => {
    expect(outcome(signedPut())).toBe("tester signed");
    const sent = signedPut();
    const before = sent.headers["authorization"] ?? "";
    const after = before.replace(pattern, replacement);
    expect(after).not.toBe(before);
    sent.headers["authorization"] = after;
    expect(outcome(sent)).toBe(code);
    // The same without a warm cache: what is remembered must not decide.
    deps = { ...deps, signingKeys: new SigningKeys() };
    expect(outcome(sent)).toBe(code);
  },
);

test.each([
  ["secret", "SignatureDoesNotMatch", { secret: "wrong" }],
  ["key", "InvalidAccessKeyId", { id: "AKOTHER" }],
  ["region", "AuthorizationHeaderMalformed", { region: "eu-west-1" }],
  ["service", "AuthorizationHeaderMalformed", { service: "sts" }],
  ["time 15 minutes ago and a second", "RequestTimeTooSkewed", { date: "20261121T091459Z" }],
  ["time 15 minutes ahead and a second", "RequestTimeTooSkewed", { date: "20261121T094501Z" }],
  ["time that is none", "AccessDenied", { date: "20261321T093000Z" }],
] as const)("honestly signed with another %s it is refused", (_name, code, options) => {
  expect(outcome(signedPut(options))).toBe(code);
});

test("a clock 15 minutes off either way is fine", () => {
  expect(outcome(signedPut({ date: "20261121T091500Z" }))).toBe("tester signed");
  expect(outcome(signedPut({ date: "20261121T094500Z" }))).toBe("tester signed");
});

const QUERY_MUTATIONS: ReadonlyArray<readonly [string, string, Mutation]> = [
  ["method", "SignatureDoesNotMatch", method("PUT")],
  ["version", "SignatureDoesNotMatch", path("v1", "v2")],
  ["added parameter", "SignatureDoesNotMatch", path(/$/, "&tagging")],
  ["longer life", "SignatureDoesNotMatch", path("Expires=60", "Expires=61")],
  ["second signature", "AuthorizationQueryParametersError", path(/$/, "&X-Amz-Signature=00")],
  [
    "second signature, escaped",
    "AuthorizationQueryParametersError",
    path(/$/, "&X%2DAmz%2DSignature=00"),
  ],
  ["lost signature", "AuthorizationQueryParametersError", path(/&X-Amz-Signature=\w*/, "")],
  ["lost date", "AuthorizationQueryParametersError", path(/&X-Amz-Date=\w*/, "")],
  ["bytes that are not text", "AuthorizationQueryParametersError", path("AKTEST", "AK%FF")],
  ["algorithm", "AuthorizationQueryParametersError", path("HMAC-SHA256", "HMAC-SHA1")],
  ["token", "InvalidToken", path(/$/, "&X-Amz-Security-Token=x")],
  ["x-amz header", "AccessDenied", header("x-amz-copy-source", "/a/b")],
  ["Authorization header", "InvalidArgument", header("authorization", "AWS4-HMAC-SHA256 x")],
];

test.each(QUERY_MUTATIONS)(
  "a presigned URL with a changed %s is refused",
  (_name, code, mutate) => {
    const sent = presignedGet();
    mutate(sent);
    expect(outcome(sent)).toBe(code);
  },
);

test.each([
  ["secret", "SignatureDoesNotMatch", { secret: "wrong" }],
  ["key", "InvalidAccessKeyId", { id: "AKOTHER" }],
  ["region", "AuthorizationQueryParametersError", { region: "eu-west-1" }],
  ["service", "AuthorizationQueryParametersError", { service: "sts" }],
  ["life of no seconds", "AuthorizationQueryParametersError", { expires: "0" }],
  ["negative life", "AuthorizationQueryParametersError", { expires: "-1" }],
  ["life of a week and a second", "AuthorizationQueryParametersError", { expires: "604801" }],
  ["life that is no number", "AuthorizationQueryParametersError", { expires: "NaN" }],
  ["time long past", "AccessDenied", { date: "20261121T092859Z" }],
  ["time far ahead", "AccessDenied", { date: "20261121T094501Z" }],
] as const)("a URL presigned with another %s is refused", (_name, code, options) => {
  expect(outcome(presignedGet(options))).toBe(code);
});

test("a URL lives for exactly the seconds it names, a week at most", () => {
  expect(outcome(presignedGet({ date: "20261121T092900Z" }))).toBe("tester unsigned");
  const week = { date: "20261114T093000Z", expires: "604800" };
  expect(outcome(presignedGet(week))).toBe("tester unsigned");
});

test("a header that a presigned URL has signed is welcome and binding", () => {
  const sent = presignedGet({ headers: { "x-amz-meta-a": "1" } });
  expect(outcome(sent)).toBe("tester unsigned");
  sent.headers["x-amz-meta-a"] = "2";
  expect(outcome(sent)).toBe("SignatureDoesNotMatch");
});

test("SigV2 in the query is refused by name", () => {
  const path = "/photos/cat.jpg?AWSAccessKeyId=AKTEST&Expires=1&Signature=x";
  const error = refusal({ method: "GET", path, headers: { host: "localhost" } });
  expect(error.code).toBe("InvalidRequest");
  expect(error.message).toContain("Please use AWS4-HMAC-SHA256");
});

test("a removed key and a changed secret count at once, whatever is remembered", () => {
  const sent = signedPut();
  expect(outcome(sent)).toBe("tester signed");
  const before = credential;
  credential = undefined;
  expect(outcome(sent)).toBe("InvalidAccessKeyId");
  if (before !== undefined) credential = { ...before, secret: "a new secret" };
  expect(outcome(sent)).toBe("SignatureDoesNotMatch");
  expect(outcome(signedPut({ secret: "a new secret" }))).toBe("tester signed");
});

test("a wrong region names the right one, so that SDKs can try again", () => {
  expect(refusal(signedPut({ region: "eu-west-1" })).fields).toEqual({ Region: "us-east-1" });
});

test("a wrong signature is answered with what we signed and never with the right one", () => {
  const honest = signedPut().headers["authorization"]?.split("Signature=")[1] ?? "";
  const sent = signedPut({ secret: "wrong" });
  const { fields } = refusal(sent);
  expect(fields["AWSAccessKeyId"]).toBe("AKTEST");
  expect(fields["StringToSign"]).toMatch(
    /^AWS4-HMAC-SHA256\n20261121T093000Z\n20261121\/us-east-1\/s3\/aws4_request\n[0-9a-f]{64}$/,
  );
  expect(fields["CanonicalRequest"]).toContain("x-amz-meta-mood:very good\n");
  expect(sent.headers["authorization"]).toContain(fields["SignatureProvided"]);
  const shown = JSON.stringify(fields);
  expect(honest).toHaveLength(64);
  expect(shown).not.toContain(honest);
  expect(shown).not.toContain(SECRET);
});

test("two Authorization headers are refused even when each is right", () => {
  const sent = signedPut();
  const lines = Object.entries(sent.headers);
  const twice = headersOf([...lines, ["authorization", sent.headers["authorization"] ?? ""]]);
  const [rawPath = "", rawQuery = ""] = sent.path.split("?");
  const request = { method: "PUT", rawPath, rawQuery, headers: twice };
  expect(() => authenticate(request, deps)).toThrow("Only one auth mechanism allowed");
});

test("the keys remembered are bounded", () => {
  const { signingKeys } = deps;
  outcome(signedPut());
  const entry = signingKeys.get("AKTEST/20261121/us-east-1/s3/aws4_request");
  if (entry === undefined) throw new Error("the key must be remembered");
  for (let count = 0; count < 3000; count++) signingKeys.put(`other ${count}`, entry);
  expect(signingKeys.size).toBe(1024);
});
