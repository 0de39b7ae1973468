import { HotMap } from "../../core/hot-map.ts";
import { S3Error } from "../errors.ts";

/** The one way of signing that is accepted. SigV2 and SigV4A are refused by name. */
export const SIGNING_ALGORITHM = "AWS4-HMAC-SHA256";

/** What a client claims about a signature, in the header or in the query. */
export type SignatureClaim = {
  /** "AKID/20251121/us-east-1/s3/aws4_request", not yet looked into. */
  readonly credential: string;
  /** "host;x-amz-date", not yet looked into. */
  readonly signedHeaders: string;
  readonly signature: string;
};

const FIELD_NAMES = ["Credential", "SignedHeaders", "Signature"] as const;
type FieldName = (typeof FIELD_NAMES)[number];

const SIGNATURE_CHARS = 64;
const KNOWN_CHARS_MAX = 256 * 1024;
/** Everything before the signature is the same in a client's requests of one kind and one day. */
const known = new HotMap<Omit<SignatureClaim, "signature">>(KNOWN_CHARS_MAX);
/** The last one found: comparing it is cheaper than looking it up. */
const last: { head: string; claim: Omit<SignatureClaim, "signature"> | undefined } = {
  head: "",
  claim: undefined,
};

/** Reads an Authorization header, from memory where its beginning was read before. Hot path. */
export function readAuthorization(value: string): SignatureClaim {
  const start = value.length - SIGNATURE_CHARS;
  const head = value.slice(0, start);
  const before = head === last.head ? last.claim : known.get(head);
  const signature = value.slice(start);
  // Another field among these last characters is for the parser to refuse.
  if (before !== undefined && !signature.includes(",") && !signature.includes(" ")) {
    last.head = head;
    last.claim = before;
    const { credential, signedHeaders } = before;
    return { credential, signedHeaders, signature };
  }
  const claim = parseAuthorizationHeader(value);
  if (claim.signature === signature) {
    known.set(
      head,
      { credential: claim.credential, signedHeaders: claim.signedHeaders },
      head.length,
    );
  }
  return claim;
}

/**
 * Reads `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`: each field once, in any
 * order, nothing else. Any other way of authenticating is refused here.
 */
function parseAuthorizationHeader(value: string): SignatureClaim {
  const space = value.indexOf(" ");
  const scheme = space < 0 ? value : value.slice(0, space);
  if (scheme !== SIGNING_ALGORITHM) throw refuseScheme(scheme);
  const fields: Partial<Record<FieldName, string>> = {};
  let at = space + 1;
  while (space >= 0 && at <= value.length) {
    const comma = value.indexOf(",", at);
    const end = comma < 0 ? value.length : comma;
    addField(fields, value.slice(at, end).trim());
    at = end + 1;
  }
  const { Credential: credential, SignedHeaders: signedHeaders, Signature: signature } = fields;
  if (credential === undefined) throw malformed("missing Credential.");
  if (signedHeaders === undefined) throw malformed("missing SignedHeaders.");
  if (signature === undefined) throw malformed("missing Signature.");
  return { credential, signedHeaders, signature };
}

function addField(fields: Partial<Record<FieldName, string>>, text: string): void {
  const equals = text.indexOf("=");
  const name = FIELD_NAMES.find((known) => known === text.slice(0, Math.max(equals, 0)));
  if (name === undefined) throw malformed("an unknown field is present.");
  if (fields[name] !== undefined) throw malformed(`${name} is present more than once.`);
  const value = text.slice(equals + 1);
  if (value === "") throw malformed(`${name} is empty.`);
  fields[name] = value;
}

function refuseScheme(scheme: string): S3Error {
  if (scheme === "AWS") return oldSignatureRefused();
  if (scheme === "AWS4-ECDSA-P256-SHA256") {
    return new S3Error("InvalidRequest", {
      message: `AWS Signature Version 4A is not supported. Please use ${SIGNING_ALGORITHM}.`,
    });
  }
  return new S3Error("InvalidArgument", {
    message: "Unsupported Authorization Type",
    fields: { ArgumentName: "Authorization" },
  });
}

/** SigV2, by header or by query, as AWS refuses it in its newer regions. */
export function oldSignatureRefused(): S3Error {
  return new S3Error("InvalidRequest", {
    message:
      "The authorization mechanism you have provided is not supported. Please use " +
      `${SIGNING_ALGORITHM}.`,
  });
}

function malformed(detail: string): S3Error {
  return new S3Error("AuthorizationHeaderMalformed", {
    message: `The authorization header is malformed; ${detail}`,
  });
}
