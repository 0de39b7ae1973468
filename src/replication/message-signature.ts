import { verifyBytes } from "../core/ed25519.ts";
import { sha256 } from "../core/hmac.ts";

/*
 * Messages between sites, signed as RFC 9421 has it, in one form only:
 *
 *   Signature-Input: sig=("@method" "@authority" …);keyid="…";nonce="…";alg="ed25519";tag="…"
 *   Signature: sig=:base64:
 *
 * The components are always the same and in the same order, so that nothing that counts can be left
 * out of a signature. An answer covers its status and digest, and the signature of the request that
 * it answers (RFC 9421, section 2.4): an old answer fits no other question.
 */

/** What a request says that is signed. Header names are lower case. */
export type SignedRequest = {
  readonly method: string;
  /** Host and port as in the Host header. */
  readonly authority: string;
  /** Path and query exactly as on the wire. */
  readonly target: string;
  readonly date: string;
  readonly digest: string;
  /** The site that is meant, and that site's process: no other one takes the message. */
  readonly to: string;
  readonly session: string;
  /** The incarnation that asks. */
  readonly origin: string;
};

export type SignatureParameters = {
  /** "CLUSTER/SITE" of who signs. */
  readonly keyId: string;
  /** Random, never used twice by one key. */
  readonly nonce: string;
};

const REQUEST_TAG = "atoll-peer-request-1";
const ANSWER_TAG = "atoll-peer-answer-1";
const REQUEST_COMPONENTS = [
  ...["@method", "@authority", "@path", "@query", "date", "content-digest"],
  ...["x-atoll-to", "x-atoll-session", "x-atoll-origin"],
]
  .map((name) => `"${name}"`)
  .join(" ");
const ANSWER_COMPONENTS = '"@status" "content-digest" "signature";req;key="sig"';
const SIGNATURE = /^sig=:([A-Za-z0-9+/]{86}==):$/;

/** `Content-Digest` of a body (RFC 9530, SHA-256). */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${sha256(body).toString("base64")}:`;
}

/** The headers `signature-input` and `signature` of a request. */
export function signRequest(
  request: SignedRequest,
  parameters: SignatureParameters,
  sign: (bytes: Uint8Array) => Uint8Array,
): { readonly input: string; readonly signature: string } {
  const described = describe(REQUEST_COMPONENTS, parameters, REQUEST_TAG);
  return { input: `sig=${described}`, signature: written(sign(requestBase(request, described))) };
}

/** Reads who signed a request; undefined when it is not signed in this one form. */
export function readSignatureInput(input: string): SignatureParameters | undefined {
  return readInput(input, REQUEST_COMPONENTS, REQUEST_TAG);
}

/** Whether the key signed exactly this request. */
export function verifyRequest(
  request: SignedRequest,
  parameters: SignatureParameters,
  claim: { readonly publicKey: string; readonly signature: string },
): boolean {
  const described = describe(REQUEST_COMPONENTS, parameters, REQUEST_TAG);
  const signature = read(claim.signature);
  return (
    signature !== undefined &&
    verifyBytes(claim.publicKey, requestBase(request, described), signature)
  );
}

/** What an answer says that is signed. */
export type SignedAnswer = {
  readonly status: number;
  readonly digest: string;
  /** The `signature` header of the request, empty when that had none. */
  readonly requestSignature: string;
};

/** The headers `signature-input` and `signature` of an answer. */
export function signAnswer(
  answer: SignedAnswer,
  parameters: SignatureParameters,
  sign: (bytes: Uint8Array) => Uint8Array,
): { readonly input: string; readonly signature: string } {
  const described = describe(ANSWER_COMPONENTS, parameters, ANSWER_TAG);
  return { input: `sig=${described}`, signature: written(sign(answerBase(answer, described))) };
}

/** Whether the site `keyId`, which has that key, signed exactly this answer to that request. */
export function verifyAnswer(
  answer: SignedAnswer,
  claim: {
    readonly keyId: string;
    readonly publicKey: string;
    readonly input: string;
    readonly signature: string;
  },
): boolean {
  const parameters = readInput(claim.input, ANSWER_COMPONENTS, ANSWER_TAG);
  const signature = read(claim.signature);
  if (parameters?.keyId !== claim.keyId || signature === undefined) return false;
  const described = describe(ANSWER_COMPONENTS, parameters, ANSWER_TAG);
  return verifyBytes(claim.publicKey, answerBase(answer, described), signature);
}

function describe(components: string, { keyId, nonce }: SignatureParameters, tag: string): string {
  return `(${components});keyid="${keyId}";nonce="${nonce}";alg="ed25519";tag="${tag}"`;
}

function readInput(
  input: string,
  components: string,
  tag: string,
): SignatureParameters | undefined {
  const found = /;keyid="([0-9a-z/]{1,100})";nonce="([0-9a-f]{32})";/.exec(input);
  const [, keyId, nonce] = found ?? [];
  if (keyId === undefined || nonce === undefined) return undefined;
  const isOurs = input === `sig=${describe(components, { keyId, nonce }, tag)}`;
  return isOurs ? { keyId, nonce } : undefined;
}

/** RFC 9421, section 2.5: one line a component, the parameters last. */
function requestBase(request: SignedRequest, described: string): Buffer {
  const [path = "", query] = splitTarget(request.target);
  const lines = [
    `"@method": ${request.method}`,
    `"@authority": ${request.authority.toLowerCase()}`,
    `"@path": ${path}`,
    `"@query": ?${query ?? ""}`,
    `"date": ${request.date}`,
    `"content-digest": ${request.digest}`,
    `"x-atoll-to": ${request.to}`,
    `"x-atoll-session": ${request.session}`,
    `"x-atoll-origin": ${request.origin}`,
    `"@signature-params": ${described}`,
  ];
  return Buffer.from(lines.join("\n"));
}

function answerBase(answer: SignedAnswer, described: string): Buffer {
  const lines = [
    `"@status": ${answer.status}`,
    `"content-digest": ${answer.digest}`,
    `"signature";req;key="sig": ${answer.requestSignature.replace(/^sig=/, "")}`,
    `"@signature-params": ${described}`,
  ];
  return Buffer.from(lines.join("\n"));
}

/** Path and query of a target; the query is undefined when there is none. */
export function splitTarget(target: string): [path: string, query: string | undefined] {
  const at = target.indexOf("?");
  return at === -1 ? [target, undefined] : [target.slice(0, at), target.slice(at + 1)];
}

function written(signature: Uint8Array): string {
  return `sig=:${Buffer.from(signature).toString("base64")}:`;
}

function read(header: string): Buffer | undefined {
  const base64 = SIGNATURE.exec(header)?.[1];
  return base64 === undefined ? undefined : Buffer.from(base64, "base64");
}
