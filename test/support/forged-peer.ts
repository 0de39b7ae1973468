import { createHash, createPrivateKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/*
 * Messages of peers made by hand from what RFC 9421, RFC 9530 and docs/REPLICATION.md say, with the
 * keys of a real site or with others: a test says with them what no honest site would.
 */

/** RFC 8410: a PKCS #8 Ed25519 key is this prefix and the seed. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** Who signs. */
export type PeerKeys = {
  readonly cluster: string;
  readonly site: string;
  /** The incarnation of the site. */
  readonly origin: string;
  readonly privateKey: KeyObject;
};

/** A key pair that nobody knows. */
export function strangeKey(): KeyObject {
  return keyOf(randomBytes(32));
}

function keyOf(seed: Buffer): KeyObject {
  return createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: "der",
    type: "pkcs8",
  });
}

/** The identity of a site, taken from its data directory as a thief would. */
export function keysOf({ dataDirectory }: { readonly dataDirectory: string }): PeerKeys {
  const fields = JSON.parse(readFileSync(join(dataDirectory, "site.json"), "utf8"));
  const { clusterId, siteId, origin, privateKeySeed } = fields;
  return {
    cluster: clusterId,
    site: siteId,
    origin,
    privateKey: keyOf(Buffer.from(privateKeySeed, "hex")),
  };
}

export type PeerMessage = {
  readonly method: string;
  readonly target: string;
  /** In order; names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
};

export type MessageWish = {
  readonly keys: PeerKeys;
  readonly target: string;
  readonly body: Buffer | string;
  readonly host: string;
  /** The site that is meant, and its process. */
  readonly to: string;
  readonly session: string;
  readonly date?: Date;
};

export function digestOf(body: Buffer): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

/** A request as the site that has these keys would send it. */
export function signedMessage(wish: MessageWish): PeerMessage {
  const { keys, target, host, to, session } = wish;
  const body = Buffer.from(wish.body);
  const date = (wish.date ?? new Date()).toUTCString();
  const digest = digestOf(body);
  const [path, query = ""] = target.split("?");
  const described = describe(
    [
      '"@method" "@authority" "@path" "@query" "date" "content-digest"',
      '"x-atoll-to" "x-atoll-session" "x-atoll-origin"',
    ].join(" "),
    keys,
    "atoll-peer-request-1",
  );
  const base = [
    `"@method": POST`,
    `"@authority": ${host}`,
    `"@path": ${path}`,
    `"@query": ?${query}`,
    `"date": ${date}`,
    `"content-digest": ${digest}`,
    `"x-atoll-to": ${to}`,
    `"x-atoll-session": ${session}`,
    `"x-atoll-origin": ${keys.origin}`,
    `"@signature-params": ${described}`,
  ].join("\n");
  return {
    ...{ method: "POST", target, body },
    headers: new Map([
      ["host", host],
      ["date", date],
      ["content-digest", digest],
      ["x-atoll-to", to],
      ["x-atoll-session", session],
      ["x-atoll-origin", keys.origin],
      ["signature-input", `sig=${described}`],
      ["signature", signatureOf(keys, base)],
      ["content-length", String(body.length)],
    ]),
  };
}

/** The headers of an answer as the site that has these keys would sign it. */
export function signedAnswerHeaders(
  keys: PeerKeys,
  answer: { readonly status: number; readonly body: Buffer; readonly requestSignature: string },
): Record<string, string> {
  const digest = digestOf(answer.body);
  const described = describe(
    '"@status" "content-digest" "signature";req;key="sig"',
    keys,
    "atoll-peer-answer-1",
  );
  const base = [
    `"@status": ${answer.status}`,
    `"content-digest": ${digest}`,
    `"signature";req;key="sig": ${answer.requestSignature.replace(/^sig=/, "")}`,
    `"@signature-params": ${described}`,
  ].join("\n");
  return {
    "content-digest": digest,
    "signature-input": `sig=${described}`,
    signature: signatureOf(keys, base),
  };
}

function describe(components: string, { cluster, site }: PeerKeys, tag: string): string {
  const nonce = randomBytes(16).toString("hex");
  return `(${components});keyid="${cluster}/${site}";nonce="${nonce}";alg="ed25519";tag="${tag}"`;
}

function signatureOf({ privateKey }: PeerKeys, base: string): string {
  return `sig=:${sign(undefined, Buffer.from(base), privateKey).toString("base64")}:`;
}

/** The message with other headers; undefined takes one out. */
export function withHeaders(
  message: PeerMessage,
  changes: Readonly<Record<string, string | undefined>>,
): PeerMessage {
  const headers = new Map(message.headers);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) headers.delete(name);
    else headers.set(name, value);
  }
  return { ...message, headers };
}

/** A message as it goes on the wire. */
export function wireBytes({ method, target, headers, body }: PeerMessage): Buffer {
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`), body]);
}
