import type { Forged } from "./forge.ts";
import {
  type Case,
  changed,
  flip,
  ifHeader,
  ifQuery,
  isHeader,
  type Mutation,
  mapHeader,
  mapQuery,
  mapSignature,
  sign,
  withHeader,
  withoutHeader,
  withoutQuery,
} from "./mutation.ts";
import { amzDate } from "./signing.ts";

const MINUTE_MS = 60_000;

const signers: readonly Mutation[] = [
  {
    name: "another secret",
    make: (at: Case) => sign(at, { signer: { ...at.cast.root, secret: "guessed" } }),
  },
  { name: "no secret", make: (at: Case) => sign(at, { signer: { ...at.cast.root, secret: "" } }) },
  { name: "an unknown key", make: (at: Case) => sign(at, { signer: at.cast.nobody }) },
  {
    name: "the secret of another key",
    make: (at: Case) => sign(at, { signer: { ...at.cast.root, secret: at.cast.powerless.secret } }),
  },
  {
    name: "a key in other letters",
    make: (at: Case) =>
      sign(at, { signer: { ...at.cast.root, accessKey: at.cast.root.accessKey.toLowerCase() } }),
  },
  {
    name: "a key that may do nothing",
    make: (at: Case) =>
      at.perKey || at.isPreflight ? undefined : sign(at, { signer: at.cast.powerless }),
  },
  {
    name: "a key of another bucket",
    make: (at: Case) =>
      at.perKey || at.isPreflight || at.level === "service"
        ? undefined
        : sign(at, { signer: at.cast.elsewhere }),
  },
];

const scopes: readonly Mutation[] = [
  { name: "another region", make: changed({ region: "eu-north-7" }) },
  { name: "no region", make: changed({ region: "" }) },
  { name: "another service", make: changed({ service: "sts" }) },
  { name: "another end of the scope", make: changed({ terminator: "aws4_answer" }) },
  { name: "a scope of another day", make: changed({ scopeDate: "20200101" }) },
  { name: "another algorithm", make: changed({ algorithm: "AWS4-HMAC-SHA512" }) },
  { name: "signature version 4A", make: changed({ algorithm: "AWS4-ECDSA-P256-SHA256" }) },
  { name: "no algorithm", make: changed({ algorithm: "" }) },
];

const times: readonly Mutation[] = [
  { name: "a date to come", make: (at: Case) => sign(at, { nowMs: at.nowMs + 20 * MINUTE_MS }) },
  {
    name: "a date long past",
    make: (at: Case) => sign(at, { nowMs: at.nowMs - 20 * MINUTE_MS }),
  },
  { name: "the year 1970", make: (at: Case) => sign(at, { nowMs: 0 }) },
  {
    name: "a date changed after signing",
    make: (at: Case) => {
      const other = amzDate(at.nowMs - MINUTE_MS);
      return isHeader(at)
        ? mapHeader(sign(at), "x-amz-date", () => other)
        : mapQuery(sign(at), "X-Amz-Date", () => other);
    },
  },
  {
    name: "a date that is none",
    make: (at: Case) =>
      isHeader(at)
        ? mapHeader(sign(at), "x-amz-date", () => "today")
        : mapQuery(sign(at), "X-Amz-Date", () => "today"),
  },
  { name: "no date", make: ifHeader((at) => withoutHeader(sign(at), "x-amz-date")) },
  ...["0", "-1", "604801", "NaN", "1e3", "", "99999999999"].map((expires) => ({
    name: `a life of "${expires}" seconds`,
    make: ifQuery((at) => sign(at, { expiresSeconds: expires })),
  })),
  {
    name: "a longer life than was signed",
    make: ifQuery((at) => mapQuery(sign(at), "X-Amz-Expires", () => "6000")),
  },
];

const signatures: readonly Mutation[] = [
  { name: "a bit of the signature", make: (at: Case) => mapSignature(at, flip) },
  { name: "half a signature", make: (at: Case) => mapSignature(at, (text) => text.slice(0, 32)) },
  { name: "a signature too long", make: (at: Case) => mapSignature(at, (text) => `${text}00`) },
  { name: "no signature", make: (at: Case) => mapSignature(at, () => "") },
  { name: "a signature of zeros", make: (at: Case) => mapSignature(at, () => "0".repeat(64)) },
  {
    name: "a signature not in hexadecimal",
    make: (at: Case) => mapSignature(at, () => "z".repeat(64)),
  },
];

/** The tests sign every header, so that leaving one out is a change too. */
const signedLists: readonly Mutation[] = [
  {
    name: "the host not signed",
    make: (at: Case) =>
      sign(at, {
        input: (input) => ({
          ...input,
          signedNames: input.headers
            .map(([name]) => name)
            .filter((name) => name !== "host")
            .sort(),
        }),
      }),
  },
  { name: "nothing signed", make: changed({ signedNames: [] }) },
  {
    name: "the list of signed headers out of order",
    make: (at: Case) =>
      sign(at, {
        input: (input) => ({
          ...input,
          signedNames: [...input.headers.map(([name]) => name).sort(), "accept"],
        }),
      }),
  },
  {
    name: "a signed header that is not there",
    make: (at: Case) =>
      sign(at, {
        input: (input) => ({
          ...input,
          headers: [...input.headers, ["x-amz-meta-gone", "1"]],
        }),
      }),
  },
].map((mutation) => ({
  ...mutation,
  make: (at: Case): Forged | undefined => {
    const forged = mutation.make(at);
    return forged === undefined ? undefined : withoutHeader(forged, "x-amz-meta-gone");
  },
}));

const additions: readonly Mutation[] = [
  ["x-amz-acl", "private"],
  ["x-amz-meta-added", "1"],
  ["x-amz-security-token", "token"],
  ["x-amz-website-redirect-location", "/elsewhere"],
  ["x-amz-bypass-governance-retention", "true"],
  ["x-amz-server-side-encryption", "AES256"],
  ["x-amz-copy-source", "/other-bucket/secret"],
  ["x-amz-tagging", "a=b"],
].map(([name = "", value = ""]) => ({
  name: `${name} added unsigned`,
  make: (at: Case) => (name in at.plain.headers ? undefined : withHeader(sign(at), name, value)),
}));

const METHODS = ["GET", "PUT", "POST", "DELETE", "HEAD"] as const;

const targets: readonly Mutation[] = [
  ...METHODS.map((method) => ({
    name: `${method} with the signature of another method`,
    make: (at: Case) => (at.plain.method === method ? undefined : { ...sign(at), method }),
  })),
  {
    name: "the path",
    make: (at: Case) => {
      const forged = sign(at);
      return { ...forged, path: `${forged.path}x` };
    },
  },
  {
    name: "a parameter added",
    make: (at: Case) => {
      const forged = sign(at);
      return { ...forged, query: [...forged.query, ["versionId", "null"]] };
    },
  },
  {
    name: "a parameter taken away",
    make: (at: Case) => {
      const [first] = at.plain.query;
      return first === undefined ? undefined : withoutQuery(sign(at), first[0]);
    },
  },
  {
    name: "a parameter's value",
    make: (at: Case) => {
      const [first] = at.plain.query;
      return first === undefined ? undefined : mapQuery(sign(at), first[0], (text) => `${text}1`);
    },
  },
];

const headerChanges: readonly Mutation[] = [
  { name: "the host", make: (at: Case) => mapHeader(sign(at), "host", () => "evil.test") },
  {
    name: "the digest taken away",
    make: ifHeader((at) => withoutHeader(sign(at), "x-amz-content-sha256")),
  },
  {
    name: "the digest turned off",
    make: (at: Case) =>
      at.mode === "unsigned" || (at.transport === "presigned" && at.mode !== "signed")
        ? undefined
        : mapHeader(sign(at), "x-amz-content-sha256", () => "UNSIGNED-PAYLOAD"),
  },
  {
    name: "another digest",
    make: (at: Case) =>
      at.mode === "signed"
        ? mapHeader(sign(at), "x-amz-content-sha256", () => "0".repeat(64))
        : undefined,
  },
  {
    name: "a signed header changed",
    make: (at: Case) => {
      const [name] = Object.keys(at.plain.headers);
      return name === undefined ? undefined : mapHeader(sign(at), name, (text) => `${text}x`);
    },
  },
  {
    name: "a signed header taken away",
    make: (at: Case) => {
      const [name] = Object.keys(at.plain.headers);
      return name === undefined ? undefined : withoutHeader(sign(at), name);
    },
  },
  {
    name: "a signed header twice",
    make: (at: Case) => {
      const [entry] = Object.entries(at.plain.headers);
      return entry === undefined ? undefined : withHeader(sign(at), entry[0], entry[1]);
    },
  },
];

const ways: readonly Mutation[] = [
  {
    name: "no way of authenticating at all",
    make: (at: Case) => {
      if (at.perKey) return undefined;
      const forged = sign(at);
      const query = forged.query.filter(([name]) => !name.startsWith("X-Amz-"));
      return withoutHeader({ ...forged, query }, "authorization");
    },
  },
  ...[
    "AWS ROOTKEY1:c2lnbmF0dXJl",
    "Basic Uk9PVEtFWTE6eA==",
    "Bearer token",
    "AWS4-HMAC-SHA256",
    "AWS4-HMAC-SHA256 Credential=ROOTKEY1",
    "",
  ].map((value) => ({
    name: `authorization by "${value}"`,
    // An empty one is none, and then DeleteObjects answers for each key by itself.
    make: ifHeader((at: Case) =>
      value === "" && at.perKey ? undefined : mapHeader(sign(at), "authorization", () => value),
    ),
  })),
  {
    name: "two authorizations",
    make: ifHeader((at) => {
      const forged = sign(at);
      const own = forged.headers.find(([name]) => name === "authorization")?.[1] ?? "";
      return withHeader(forged, "authorization", own);
    }),
  },
  {
    name: "header and query together",
    make: (at: Case) => {
      const forged = sign(at);
      return isHeader(at)
        ? { ...forged, query: [...forged.query, ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"]] }
        : withHeader(forged, "authorization", "AWS4-HMAC-SHA256 Credential=a");
    },
  },
  {
    name: "signature version 2 in the query",
    make: ifHeader((at) => {
      const forged = withoutHeader(sign(at), "authorization");
      const two = [
        ["AWSAccessKeyId", at.cast.root.accessKey],
        ["Signature", "c2lnbmF0dXJl"],
        ["Expires", "9999999999"],
      ] as const;
      return { ...forged, query: [...forged.query, ...two] };
    }),
  },
  ...["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"].flatMap(
    (name) => [
      {
        name: `a link without X-Amz-${name}`,
        make: ifQuery((at) => withoutQuery(sign(at), `X-Amz-${name}`)),
      },
      {
        name: `a link with X-Amz-${name} twice`,
        make: ifQuery((at) => {
          const forged = sign(at);
          const pair = forged.query.find(([other]) => other === `X-Amz-${name}`);
          return pair === undefined ? undefined : { ...forged, query: [...forged.query, pair] };
        }),
      },
    ],
  ),
  {
    name: "a link with a session token",
    make: ifQuery((at) => {
      const forged = sign(at);
      return { ...forged, query: [...forged.query, ["X-Amz-Security-Token", "x"]] };
    }),
  },
];

/** Ways in which what stands before a body can be wrong. */
export const HEAD_MUTATIONS: readonly Mutation[] = [
  ...[signers, scopes, times, signatures, signedLists].flat(),
  ...[additions, targets, headerChanges, ways].flat(),
];
