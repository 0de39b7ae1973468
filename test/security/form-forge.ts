import { ROOT_CREDENTIAL } from "../support/s3-site.ts";
import { amzDate, policySignature } from "./signing.ts";
import type { WireRequest } from "./wire.ts";

export type FormFields = ReadonlyArray<readonly [name: string, value: string]>;

export type FormOptions = {
  readonly bucket: string;
  /** One character for each byte. */
  readonly key: string;
  readonly nowMs: number;
  readonly secret?: string;
  readonly accessKey?: string;
  /** Of the scope: day, region, service, end. */
  readonly scope?: readonly [string, string, string, string];
  readonly date?: string;
  readonly expirationMs?: number;
  readonly conditions?: readonly unknown[];
  readonly file?: string;
  /** Changes the fields after they were signed. */
  readonly change?: (fields: FormFields) => FormFields;
};

const BOUNDARY = "----form-of-the-matrix";

/** A form for one key, signed as AWS describes it, and then spoilt. */
export function formRequest(options: FormOptions): WireRequest {
  const date = options.date ?? amzDate(options.nowMs);
  const scope = options.scope ?? [date.slice(0, 8), "us-east-1", "s3", "aws4_request"];
  const credential = [options.accessKey ?? ROOT_CREDENTIAL.id, ...scope].join("/");
  const own = [
    ["x-amz-algorithm", "AWS4-HMAC-SHA256"],
    ["x-amz-credential", credential],
    ["x-amz-date", date],
  ] as const;
  const conditions = options.conditions ?? [
    { bucket: options.bucket },
    ["starts-with", "$key", ""],
    ["content-length-range", 0, 1000],
    ...own.map(([name, value]) => ({ [name]: value })),
  ];
  const expiration = new Date(options.expirationMs ?? options.nowMs + 600_000).toISOString();
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString("base64");
  const secret = options.secret ?? ROOT_CREDENTIAL.secret;
  const signature = policySignature(secret, scope.join("/"), policy);
  const signed: FormFields = [
    ["key", options.key],
    ...own,
    ["policy", policy],
    ["x-amz-signature", signature],
  ];
  const fields = options.change?.(signed) ?? signed;
  const parts = fields.map(
    ([name, value]) =>
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const file =
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n` +
    `Content-Type: text/plain\r\n\r\n${options.file ?? "content of a form"}\r\n--${BOUNDARY}--\r\n`;
  return {
    ...{ method: "POST", target: `/${options.bucket}` },
    headers: [
      ["host", "s3.test:9000"],
      ["content-type", `multipart/form-data; boundary=${BOUNDARY}`],
    ],
    body: Buffer.from(parts.join("") + file, "latin1"),
  };
}
