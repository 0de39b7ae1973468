import { createHmac } from "node:crypto";
import { type RawAnswer, requestBytes, sendBytes } from "./raw-http.ts";
import { REGION, ROOT_KEY, type TestServer } from "./server.ts";

export const BOUNDARY = "----FormBoundary0123456789";

type Field = readonly [name: string, value: string];

export type Form = {
  readonly fields: readonly Field[];
  readonly file?: Uint8Array | string;
  readonly filename?: string;
};

/** The bytes of a form as a browser sends it: the fields in order, the file last. */
export function formBytes({ fields, file, filename }: Form): Buffer {
  const pieces = fields.map(([name, value]) =>
    Buffer.from(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    ),
  );
  if (file !== undefined) {
    const suffix = filename === undefined ? "" : `; filename="${filename}"`;
    pieces.push(
      Buffer.from(
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"${suffix}\r\n` +
          "Content-Type: application/octet-stream\r\n\r\n",
      ),
      Buffer.from(file),
      Buffer.from("\r\n"),
    );
  }
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

const hmac = (key: Uint8Array | string, text: string): Buffer =>
  createHmac("sha256", key).update(text).digest();

export type Signing = {
  readonly accessKey?: string;
  readonly secretKey?: string;
  /** Milliseconds from now, for the policy's end. */
  readonly endsInMs?: number;
  /** The date of the signature; now unless given. */
  readonly signedMs?: number;
};

/**
 * Fields that sign a policy with these conditions, and what the signature itself needs in it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
 */
export function signedFields(conditions: readonly unknown[], signing: Signing = {}): Field[] {
  const { accessKey = ROOT_KEY.accessKey, secretKey = ROOT_KEY.secretKey } = signing;
  const { endsInMs = 600_000, signedMs = Date.now() } = signing;
  const date = new Date(signedMs).toISOString().replace(/\.\d{3}|[-:]/g, "");
  const day = date.slice(0, 8);
  const claim = {
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": `${accessKey}/${day}/${REGION}/s3/aws4_request`,
    "x-amz-date": date,
  };
  const expiration = new Date(Date.now() + endsInMs).toISOString();
  const claimed = Object.entries(claim).map(([name, value]) => ({ [name]: value }));
  const document = JSON.stringify({ expiration, conditions: [...conditions, ...claimed] });
  const policy = Buffer.from(document).toString("base64");
  const key = [day, REGION, "s3", "aws4_request"].reduce<Uint8Array | string>(
    (derived, part) => hmac(derived, part),
    `AWS4${secretKey}`,
  );
  const signature = hmac(key, policy).toString("hex");
  return [...Object.entries(claim), ["policy", policy], ["x-amz-signature", signature]];
}

/** Sends bytes as the body of a form to a bucket. */
export async function postBytes(
  server: TestServer,
  bucket: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  const lines = {
    Host: server.host,
    "Content-Type": `multipart/form-data; boundary=${BOUNDARY}`,
    "Content-Length": String(body.length),
    ...headers,
  };
  const request = { method: "POST", path: `/${bucket}` };
  const answer = await sendBytes(server, requestBytes(request, lines, body));
  if (answer === undefined) throw new Error("a form got no answer");
  return answer;
}

export function postForm(server: TestServer, bucket: string, form: Form): Promise<RawAnswer> {
  return postBytes(server, bucket, formBytes(form));
}

/** A form that is right, but for these. */
export type Attempt = {
  readonly conditions?: readonly unknown[];
  readonly fields?: Form["fields"];
  readonly file?: Form["file"];
  readonly filename?: string;
  readonly signing?: Signing;
};

/** A form for the key "k" that is right, but for what the attempt changes. */
export function signedForm(bucket: string, attempt: Attempt = {}): Form {
  const { conditions = [], fields = [], file = "content", filename, signing } = attempt;
  const basic = [{ bucket }, ["starts-with", "$key", ""], ...conditions];
  const hasKey = fields.some(([name]) => name.toLowerCase() === "key");
  const form = {
    fields: [
      ...(hasKey ? [] : [["key", "k"] as const]),
      ...fields,
      ...signedFields(basic, signing),
    ],
    file,
  };
  return filename === undefined ? form : { ...form, filename };
}
