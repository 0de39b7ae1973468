import { S3Error } from "../errors.ts";
import { oldSignatureRefused, SIGNING_ALGORITHM } from "./authorization-header.ts";
import { parseAmzDate, type RequestTime } from "./request-time.ts";

/** What the fields of a form claim about who signed its policy. */
export type FormClaim = {
  readonly credential: string;
  readonly time: RequestTime;
  readonly signature: string;
  /** Base64 as it came: the text that is signed. */
  readonly policy: string;
};

/** In the order in which AWS looks for them, spelt as AWS names what is missing. */
const REQUIRED = [
  "X-Amz-Algorithm",
  "X-Amz-Credential",
  "X-Amz-Date",
  "X-Amz-Signature",
  "Policy",
] as const;
const SIGV2_FIELDS = ["awsaccesskeyid", "signature"];

/** Fields that carry a signature and say nothing about the object; lower case. */
export const SIGNATURE_FIELDS: readonly string[] = [
  ...REQUIRED.map((name) => name.toLowerCase()),
  ...SIGV2_FIELDS,
];

/**
 * The claim of a form, by lower-case field names; undefined for a form that nobody claims to have
 * signed. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
 */
export function readFormClaim(values: ReadonlyMap<string, string>): FormClaim | undefined {
  if (SIGV2_FIELDS.some((name) => values.has(name))) throw oldSignatureRefused();
  if (values.has("x-amz-security-token")) throw new S3Error("InvalidToken");
  const claimed = REQUIRED.filter((name) => name !== "Policy" && values.has(name.toLowerCase()));
  if (claimed.length === 0) return undefined;
  const required = (name: (typeof REQUIRED)[number]): string => {
    const value = values.get(name.toLowerCase()) ?? "";
    if (value === "") throw missingField(name);
    return value;
  };
  for (const name of REQUIRED) required(name);
  const algorithm = required("X-Amz-Algorithm");
  if (algorithm !== SIGNING_ALGORITHM) {
    throw invalid(
      "X-Amz-Algorithm",
      algorithm,
      `X-Amz-Algorithm only supports "${SIGNING_ALGORITHM}"`,
    );
  }
  const date = required("X-Amz-Date");
  const time = parseAmzDate(date);
  if (time === undefined) {
    throw invalid("X-Amz-Date", date, "X-Amz-Date must be formated via ISO8601 Long format");
  }
  const signature = required("X-Amz-Signature");
  return { credential: required("X-Amz-Credential"), time, signature, policy: required("Policy") };
}

/** AWS's refusal of a form that lacks a field, or has it behind the file. */
export function missingField(name: string): S3Error {
  return invalid(
    name,
    "",
    `Bucket POST must contain a field named '${name}'.  If it is specified, please check the ` +
      "order of the fields.",
  );
}

/** Words what is wrong with a credential as S3 does for forms. */
export function refuseFormCredential(
  credential: string,
): (detail: string, fields?: Readonly<Record<string, string>>) => S3Error {
  return (message, fields = {}) =>
    new S3Error("InvalidArgument", {
      message,
      fields: { ArgumentName: "X-Amz-Credential", ArgumentValue: credential, ...fields },
    });
}

function invalid(name: string, value: string, message: string): S3Error {
  return new S3Error("InvalidArgument", {
    message,
    fields: { ArgumentName: name, ArgumentValue: value },
  });
}
