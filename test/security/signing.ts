import { createHash, createHmac } from "node:crypto";

/** Everything a signature is made of; a forgery changes one thing of it before signing. */
export type SigningInput = {
  readonly method: string;
  readonly path: string;
  readonly query: ReadonlyArray<readonly [string, string]>;
  /** Host and date included; names in lower case. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  readonly accessKey: string;
  readonly secret: string;
  /** "20261121T093000Z" */
  readonly date: string;
  readonly scopeDate: string;
  readonly region: string;
  readonly service: string;
  readonly terminator: string;
  readonly algorithm: string;
  /** Names to sign; every header when undefined. */
  readonly signedNames: readonly string[] | undefined;
  readonly payloadHash: string;
};

export type Signed = {
  readonly signature: string;
  readonly scope: string;
  readonly signedHeaders: string;
  readonly credential: string;
};

export function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: Uint8Array | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

const keys = new Map<string, Buffer>();

/** The key of a day, remembered: a hundred thousand requests are signed with a few. */
function signingKey(secret: string, scope: string): Buffer {
  const name = `${secret}\n${scope}`;
  const known = keys.get(name);
  if (known !== undefined) return known;
  let key: Buffer = Buffer.from(`AWS4${secret}`);
  for (const part of scope.split("/")) key = hmac(key, part);
  keys.set(name, key);
  return key;
}

export function amzDate(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "");
}

export function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

export function queryText(query: SigningInput["query"]): string {
  return query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
}

/** AWS's recipe, written down once more: it must not share a line with the server. */
export function signRequest(input: SigningInput): Signed {
  const names =
    input.signedNames ?? [...new Set(input.headers.map(([name]) => name.toLowerCase()))].sort();
  const scope = [input.scopeDate, input.region, input.service, input.terminator].join("/");
  const pairs = input.query
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map((pair) => pair.join("="));
  const lines = names.map((name) => {
    const values = input.headers.filter(([other]) => other.toLowerCase() === name);
    return `${name}:${values.map(([, value]) => value.trim()).join(",")}\n`;
  });
  const signedHeaders = names.join(";");
  const canonical = [input.method, input.path, pairs.join("&"), lines.join(""), signedHeaders];
  const digest = sha256([...canonical, input.payloadHash].join("\n"));
  const text = [input.algorithm, input.date, scope, digest].join("\n");
  const signature = hmac(signingKey(input.secret, scope), text).toString("hex");
  return { signature, scope, signedHeaders, credential: `${input.accessKey}/${scope}` };
}

/** One link of the chain of chunk signatures. */
export function chainLink(
  chain: { readonly secret: string; readonly scope: string; readonly date: string },
  kind: "PAYLOAD" | "TRAILER",
  covered: readonly string[],
): string {
  const text = [`AWS4-HMAC-SHA256-${kind}`, chain.date, chain.scope, ...covered].join("\n");
  return hmac(signingKey(chain.secret, chain.scope), text).toString("hex");
}

/** The signature of a form's policy, which is signed as it stands in its field. */
export function policySignature(secret: string, scope: string, policy: string): string {
  return hmac(signingKey(secret, scope), policy).toString("hex");
}
