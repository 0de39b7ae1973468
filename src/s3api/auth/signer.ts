import { type AccessKeyId, parseAccessKeyId } from "../../core/names.ts";
import { S3Error } from "../errors.ts";
import type { Credential } from "./credentials.ts";
import { deriveSigningKey, type SigningKey, type SigningKeys } from "./signing-key.ts";

export type SignerDeps = {
  /** The credential of an active key; undefined for unknown and disabled ones. */
  readonly lookup: (id: AccessKeyId) => Credential | undefined;
  readonly region: string;
  /** Belongs to this region; do not share it between servers of different regions. */
  readonly signingKeys: SigningKeys;
};

/** Words a broken claim as its place (header or query) has it. */
export type ClaimRefusal = (detail: string, fields?: Readonly<Record<string, string>>) => S3Error;

export type Signer = { readonly credential: Credential; readonly signing: SigningKey };

/**
 * Finds who claims to have signed, and the key to check that with. The scope must be of our region,
 * of service s3 and of the day of the request: a signature made for anything else is not for us.
 */
export function findSigner(
  credentialText: string,
  requestDate: string,
  deps: SignerDeps,
  refuse: ClaimRefusal,
): Signer {
  const known = deps.signingKeys.get(credentialText);
  if (known !== undefined) {
    if (known.date !== requestDate) throw refuse(wrongDate(known.date, requestDate));
    const credential = deps.lookup(known.id);
    if (credential === undefined) throw unknownKey(known.id);
    if (credential.secret === known.secret) return { credential, signing: known };
  }
  const parts = credentialText.split("/");
  const [idText, date, region, service, terminator] = parts;
  if (parts.length !== 5 || idText === undefined || date === undefined) {
    throw refuse(
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    );
  }
  if (date !== requestDate) throw refuse(wrongDate(date, requestDate));
  if (region !== deps.region) {
    throw refuse(`the region '${region}' is wrong; expecting '${deps.region}'`, {
      Region: deps.region,
    });
  }
  if (service !== "s3")
    throw refuse(`incorrect service "${service}". This endpoint belongs to "s3".`);
  if (terminator !== "aws4_request") {
    throw refuse(`incorrect terminal "${terminator}". This endpoint uses "aws4_request".`);
  }
  const id = parseAccessKeyId(idText);
  const credential = id === undefined ? undefined : deps.lookup(id);
  if (id === undefined || credential === undefined) throw unknownKey(idText);
  const { secret } = credential;
  const key = deriveSigningKey({ secret, date, region, service });
  const signing = { id, date, scope: `${date}/${region}/s3/aws4_request`, secret, key };
  deps.signingKeys.put(credentialText, signing);
  return { credential, signing };
}

function wrongDate(scopeDate: string, requestDate: string): string {
  return (
    `invalid credential date "${scopeDate}". ` +
    `This date is not the same as X-Amz-Date: "${requestDate}".`
  );
}

function unknownKey(id: string): S3Error {
  return new S3Error("InvalidAccessKeyId", { fields: { AWSAccessKeyId: id } });
}
