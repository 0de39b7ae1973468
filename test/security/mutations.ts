import {
  type Forged,
  forge,
  type PayloadMode,
  type Plain,
  type Signer,
  type SignOptions,
  type Transport,
} from "./forge.ts";
import { amzDate, type SigningInput } from "./signing.ts";

const MINUTE_MS = 60_000;

/** Who may sign in the matrix. */
export type Cast = {
  readonly root: Signer;
  /** Exists, and may do nothing. */
  readonly powerless: Signer;
  /** May do everything in another bucket. */
  readonly elsewhere: Signer;
  /** Has never existed. */
  readonly nobody: Signer;
};

export type Case = {
  readonly plain: Plain;
  readonly transport: Transport;
  readonly mode: PayloadMode;
  readonly cast: Cast;
  readonly nowMs: number;
  /** "none" rows do not read a body, so that nothing behind the head can be wrong. */
  readonly readsBody: boolean;
  readonly level: "service" | "bucket" | "object";
  /** Answers for each key by itself, with 200 around the refusals. */
  readonly perKey: boolean;
  /** Answered before anybody is asked who he is. */
  readonly isPreflight: boolean;
};

/** One way of being wrong; undefined where it would not be wrong at all. */
export type Mutation = {
  readonly name: string;
  readonly make: (at: Case) => Forged | undefined;
};

function sign(at: Case, options: Partial<SignOptions> = {}): Forged {
  const { transport, mode, cast, nowMs } = at;
  return forge(at.plain, { transport, mode, signer: cast.root, nowMs, ...options });
}

const isHeader = (at: Case): boolean => at.transport === "header";
const ifHeader =
  (make: (at: Case) => Forged | undefined) =>
  (at: Case): Forged | undefined =>
    isHeader(at) ? make(at) : undefined;
const ifQuery =
  (make: (at: Case) => Forged | undefined) =>
  (at: Case): Forged | undefined =>
    isHeader(at) ? undefined : make(at);

function flip(text: string): string {
  return (text.startsWith("0") ? "1" : "0") + text.slice(1);
}

function withHeader(forged: Forged, name: string, value: string): Forged {
  return { ...forged, headers: [...forged.headers, [name, value]] };
}

function mapHeader(forged: Forged, name: string, change: (value: string) => string): Forged {
  const headers = forged.headers.map(
    ([other, value]) => [other, other === name ? change(value) : value] as const,
  );
  return { ...forged, headers };
}

function withoutHeader(forged: Forged, name: string): Forged {
  return { ...forged, headers: forged.headers.filter(([other]) => other !== name) };
}

function mapQuery(forged: Forged, name: string, change: (value: string) => string): Forged {
  const query = forged.query.map(
    ([other, value]) => [other, other === name ? change(value) : value] as const,
  );
  return { ...forged, query };
}

function withoutQuery(forged: Forged, name: string): Forged {
  return { ...forged, query: forged.query.filter(([other]) => other !== name) };
}

/** Changes the signature wherever it stands. */
function mapSignature(at: Case, change: (signature: string) => string): Forged {
  const forged = sign(at);
  return isHeader(at)
    ? mapHeader(forged, "authorization", (value) => {
        const from = value.indexOf("Signature=") + "Signature=".length;
        return value.slice(0, from) + change(value.slice(from));
      })
    : mapQuery(forged, "X-Amz-Signature", change);
}

const changed = (change: Partial<SigningInput>) => (at: Case) =>
  sign(at, { input: (input) => ({ ...input, ...change }) });

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

const isChunked = (at: Case): boolean => at.mode.startsWith("streaming");
const hasChain = (at: Case): boolean => at.mode.startsWith("streaming-signed");

function mapPieces(
  applies: (at: Case) => boolean,
  change: (pieces: readonly string[]) => readonly string[],
): Mutation["make"] {
  return (at) => {
    if (!at.readsBody || at.plain.body === "" || !applies(at)) return undefined;
    const forged = sign(at);
    const pieces = change(forged.pieces);
    return pieces.join("") === forged.pieces.join("") ? undefined : { ...forged, pieces };
  };
}

/** Changes the first byte of the data of the first piece. */
function spoilData(pieces: readonly string[]): readonly string[] {
  const [first = "", ...rest] = pieces;
  const at = first.indexOf("\r\n") < 0 ? 0 : first.indexOf("\r\n") + 2;
  return [`${first.slice(0, at)}?${first.slice(at + 1)}`, ...rest];
}

const last = (pieces: readonly string[], change: (end: string) => string): readonly string[] => [
  ...pieces.slice(0, -1),
  change(pieces.at(-1) ?? ""),
];

const bodies: readonly Mutation[] = [
  {
    name: "a byte of the body",
    make: mapPieces((at) => at.mode !== "unsigned" || "content-md5" in at.plain.headers, spoilData),
  },
  {
    name: "a body cut short",
    make: mapPieces(
      (at) => at.mode !== "unsigned",
      (pieces) => [pieces.join("").slice(0, -1)],
    ),
  },
  {
    name: "a body with more behind it",
    make: mapPieces(
      (at) => at.mode !== "unsigned",
      (pieces) => [...pieces, "x"],
    ),
  },
  { name: "a chunk twice", make: mapPieces(isChunked, (pieces) => [pieces[0] ?? "", ...pieces]) },
  { name: "the first chunk missing", make: mapPieces(isChunked, (pieces) => pieces.slice(1)) },
  { name: "the last chunk missing", make: mapPieces(isChunked, (pieces) => pieces.slice(0, -1)) },
  {
    name: "two chunks swapped",
    make: mapPieces(hasChain, ([a = "", b = "", ...rest]) =>
      rest.length > 0 ? [b, a, ...rest] : [a, b],
    ),
  },
  {
    name: "a chunk's signature",
    make: mapPieces(hasChain, (pieces) =>
      pieces.map((piece) => piece.replace(/(chunk-signature=)./, "$1g")),
    ),
  },
  {
    name: "no chunk's signature",
    make: mapPieces(hasChain, (pieces) =>
      pieces.map((piece) => piece.replace(/;chunk-signature=[0-9a-f]*/, "")),
    ),
  },
  {
    name: "the trailer's checksum",
    make: mapPieces(isChunked, (pieces) =>
      last(pieces, (end) => end.replace(/(sha1:)./, (_all, name: string) => `${name}!`)),
    ),
  },
  {
    name: "the trailer's signature",
    make: mapPieces(hasChain, (pieces) =>
      last(pieces, (end) => end.replace(/(trailer-signature:)./, "$1g")),
    ),
  },
  {
    name: "no trailer",
    make: mapPieces(isChunked, (pieces) =>
      last(pieces, (end) => end.replace(/x-amz-checksum[^\r]*\r\n/, "")),
    ),
  },
  {
    name: "another trailer",
    make: mapPieces(isChunked, (pieces) =>
      last(pieces, (end) => end.replace("x-amz-checksum-sha1", "x-amz-checksum-crc32")),
    ),
  },
  {
    name: "a chunk of a size beyond all bounds",
    make: mapPieces(isChunked, (pieces) => [`7fffffffffffffff${pieces.join("")}`]),
  },
];

/** Every way of being wrong. Each must be refused on every route where it applies. */
export const MUTATIONS: readonly Mutation[] = [
  ...[signers, scopes, times, signatures, signedLists].flat(),
  ...[additions, targets, headerChanges, ways, bodies].flat(),
];
