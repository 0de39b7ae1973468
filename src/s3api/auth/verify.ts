import { unreachable } from "../../core/assert.ts";
import { equalsInConstantTime, sha256Hex } from "../../core/hmac.ts";
import { HotMap } from "../../core/hot-map.ts";
import { LIMITS } from "../../core/limits.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";
import {
  oldSignatureRefused,
  readAuthorization,
  SIGNING_ALGORITHM,
  type SignatureClaim,
} from "./authorization-header.ts";
import type { QueryPair } from "./canonical-request.ts";
import { canonicalPairs, canonicalQuery, canonicalRequest } from "./canonical-request.ts";
import { ANONYMOUS, type Credential } from "./credentials.ts";
import { type FormClaim, refuseFormCredential } from "./form-claim.ts";
import { type PayloadClaim, payloadMode } from "./payload-claim.ts";
import { parsePresignedQuery, queryAuthentication, requireUnexpired } from "./presigned-query.ts";
import { headerTime, type RequestTime, requireRecent } from "./request-time.ts";
import { type ClaimRefusal, findSigner, type Signer, type SignerDeps } from "./signer.ts";

export type AuthRequest = {
  /** As it came, case kept. */
  readonly method: string;
  /** Path and query as they came, still percent-encoded; the query without its "?". */
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: RequestHeaders;
};

export type AuthDeps = SignerDeps & { readonly nowMs: () => number };

export type AuthResult = {
  readonly credential: Credential;
  readonly payload: PayloadClaim;
  readonly presigned: boolean;
  /** The request is a form, whose policy was signed. */
  readonly form?: true;
};

/** Everything that a signature is checked against, whichever way it came. */
type Claim = {
  readonly claim: SignatureClaim;
  readonly time: RequestTime;
  readonly query: string;
  readonly contentSha256: string;
  readonly refuse: ClaimRefusal;
};

/**
 * The one place where a request proves who sent it: by header, by query, for every kind of body.
 * Returns only when the signature is right; everything else throws the S3Error to answer with.
 */
export function authenticate(request: AuthRequest, deps: AuthDeps): AuthResult {
  const authorization = request.headers.get("authorization");
  const pairs = canonicalPairs(request.rawQuery);
  const byQuery = queryAuthentication(pairs);
  // An empty header claims nothing, and is answered as if it were not there.
  if (authorization !== undefined && authorization !== "") {
    if (byQuery !== "none" || request.headers.count("authorization") > 1) throw twoMechanisms();
    return verifyHeader(request, pairs, authorization, deps);
  }
  switch (byQuery) {
    case "none":
      return unsigned(request.headers);
    case "v2":
      throw oldSignatureRefused();
    case "v4":
      return verifyQuery(request, pairs, deps);
  }
  return unreachable(byQuery);
}

/** The result for a request that needs no signature. */
export const ANYBODY: AuthResult = anonymous({ kind: "unsigned" });

/**
 * A request without a signature: an anonymous caller, for whom policies decide. What it says about
 * its own body is still checked; it cannot have signed chunks.
 */
function unsigned(headers: RequestHeaders): AuthResult {
  const contentSha256 = headers.get("x-amz-content-sha256") ?? "UNSIGNED-PAYLOAD";
  const mode = payloadMode(contentSha256);
  switch (mode) {
    case "signed":
      return anonymous({ kind: "signed", sha256: contentSha256 });
    case "unsigned":
    case "streaming-unsigned-trailer":
      return anonymous({ kind: mode });
    case "streaming-signed":
    case "streaming-signed-trailer":
      throw new S3Error("AccessDenied");
  }
  return unreachable(mode);
}

function anonymous(payload: PayloadClaim): AuthResult {
  return { credential: ANONYMOUS, payload, presigned: false };
}

/**
 * As `authenticate`, for a form, in which the policy is what was signed. A form without a signature
 * comes from an anonymous caller; a form in a request that is itself signed is refused.
 */
export function authenticateForm(
  request: AuthRequest,
  claim: FormClaim | undefined,
  deps: AuthDeps,
): AuthResult {
  const byQuery = queryAuthentication(canonicalPairs(request.rawQuery));
  if (byQuery !== "none" || request.headers.count("authorization") > 0) throw twoMechanisms();
  if (claim === undefined) return ANYBODY;
  const { credential, time, policy, signature } = claim;
  requireUnexpired({ time, expiresSeconds: LIMITS.presignedSecondsMax }, deps.nowMs());
  const refuse = refuseFormCredential(credential);
  const signer = findSigner(credential, time.text.slice(0, 8), deps, refuse);
  if (!equalsInConstantTime(signer.signing.key.hex(policy), signature)) {
    throw new S3Error("SignatureDoesNotMatch", {
      fields: {
        AWSAccessKeyId: signer.signing.id,
        StringToSign: policy,
        SignatureProvided: signature,
      },
    });
  }
  const payload = { kind: "unsigned" } as const;
  return { credential: signer.credential, payload, presigned: false, form: true };
}

function verifyHeader(
  request: AuthRequest,
  pairs: readonly QueryPair[],
  authorization: string,
  deps: AuthDeps,
): AuthResult {
  const claim = readAuthorization(authorization);
  const time = headerTime(request.headers);
  requireRecent(time, deps.nowMs());
  const contentSha256 = request.headers.get("x-amz-content-sha256");
  if (contentSha256 === undefined) {
    throw new S3Error("InvalidRequest", {
      message: "Missing required header for this request: x-amz-content-sha256",
    });
  }
  const query = canonicalQuery(pairs);
  return verify(request, { claim, time, query, contentSha256, refuse: refuseHeader }, deps);
}

function verifyQuery(
  request: AuthRequest,
  pairs: readonly QueryPair[],
  deps: AuthDeps,
): AuthResult {
  const claim = parsePresignedQuery(pairs);
  requireUnexpired(claim, deps.nowMs());
  const fromHeader = request.headers.get("x-amz-content-sha256");
  const fromQuery = claim.contentSha256;
  if (fromHeader !== undefined && fromQuery !== undefined && fromHeader !== fromQuery) {
    throw refuseQuery("X-Amz-Content-Sha256 differs between the query and the headers.");
  }
  const contentSha256 = fromHeader ?? fromQuery ?? "UNSIGNED-PAYLOAD";
  const query = canonicalQuery(pairs, "X-Amz-Signature");
  const { time } = claim;
  const result = verify(request, { claim, time, query, contentSha256, refuse: refuseQuery }, deps);
  return { ...result, presigned: true };
}

function verify(request: AuthRequest, claimed: Claim, deps: AuthDeps): AuthResult {
  const { claim, time, query, contentSha256 } = claimed;
  if (request.headers.count("x-amz-security-token") > 0) throw new S3Error("InvalidToken");
  const signer = findSigner(claim.credential, time.text.slice(0, 8), deps, claimed.refuse);
  const signedNames = splitSignedHeaders(claim.signedHeaders, claimed.refuse);
  requireAllSigned(request.headers, signedNames);
  const payload = payloadClaim(contentSha256, claim, time, signer);
  const canonical = canonicalRequest({
    method: request.method,
    rawPath: request.rawPath,
    query,
    headers: request.headers,
    signedHeaders: claim.signedHeaders,
    signedNames,
    payloadHash: contentSha256,
  });
  const { scope, key } = signer.signing;
  const text = `${SIGNING_ALGORITHM}\n${time.text}\n${scope}\n${sha256Hex(canonical)}`;
  if (!equalsInConstantTime(key.hex(text), claim.signature)) {
    throw new S3Error("SignatureDoesNotMatch", {
      fields: {
        AWSAccessKeyId: signer.signing.id,
        StringToSign: text,
        SignatureProvided: claim.signature,
        CanonicalRequest: canonical,
      },
    });
  }
  return { credential: signer.credential, payload, presigned: false };
}

function payloadClaim(
  contentSha256: string,
  claim: SignatureClaim,
  time: RequestTime,
  signer: Signer,
): PayloadClaim {
  const mode = payloadMode(contentSha256);
  switch (mode) {
    case "signed":
      return { kind: "signed", sha256: contentSha256 };
    case "unsigned":
    case "streaming-unsigned-trailer":
      return { kind: mode };
    case "streaming-signed":
    case "streaming-signed-trailer":
      return {
        kind: "streaming-signed",
        seedSignature: claim.signature,
        signingKey: signer.signing.key,
        scope: signer.signing.scope,
        date: time.text,
        trailer: mode === "streaming-signed-trailer",
      };
  }
  return unreachable(mode);
}

const LISTS_CHARS_MAX = 256 * 1024;
/** Lists that were found good: clients send a handful of different ones. */
const goodLists = new HotMap<readonly string[]>(LISTS_CHARS_MAX);

function splitSignedHeaders(list: string, refuse: ClaimRefusal): readonly string[] {
  const known = goodLists.get(list);
  if (known !== undefined) return known;
  const names = readSignedHeaders(list, refuse);
  goodLists.set(list, names, list.length);
  return names;
}

/** Lower-case names in ascending order, each once, `host` among them. */
function readSignedHeaders(list: string, refuse: ClaimRefusal): readonly string[] {
  const names = list.split(";");
  let before = "";
  let host = false;
  for (const name of names) {
    if (name <= before || hasCapital(name)) {
      throw refuse("SignedHeaders must be lower-case names in ascending order.");
    }
    if (name === "host") host = true;
    before = name;
  }
  if (!host) throw notSigned("host");
  return names;
}

function hasCapital(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const unit = name.charCodeAt(at);
    if (unit >= 0x41 && unit <= 0x5a) return true;
  }
  return false;
}

/** An `x-amz-*` header that is not signed could have been added by anyone on the way. */
function requireAllSigned(headers: RequestHeaders, signedNames: readonly string[]): void {
  for (const name of headers.names) {
    if (name.startsWith("x-amz-") && !signedNames.includes(name)) throw notSigned(name);
  }
}

function notSigned(name: string): S3Error {
  return new S3Error("AccessDenied", {
    message: "There were headers present in the request which were not signed",
    fields: { HeadersNotSigned: name },
  });
}

function refuseHeader(detail: string, fields: Readonly<Record<string, string>> = {}): S3Error {
  const message = `The authorization header is malformed; ${detail}`;
  return new S3Error("AuthorizationHeaderMalformed", { message, fields });
}

function refuseQuery(detail: string, fields: Readonly<Record<string, string>> = {}): S3Error {
  const message = `Error parsing the X-Amz-Credential parameter; ${detail}`;
  return new S3Error("AuthorizationQueryParametersError", { message, fields });
}

function twoMechanisms(): S3Error {
  return new S3Error("InvalidArgument", {
    message:
      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature " +
      "query string parameter or the Authorization header should be specified",
    fields: { ArgumentName: "Authorization" },
  });
}
