import { createHash } from "node:crypto";
import type { Seed } from "../../sim/seed.ts";
import { ROOT_KEY } from "../../support/server.ts";
import { forge, PAYLOAD_MODES, type Plain, type SignOptions, toWire } from "../forge.ts";
import { formRequest } from "../form-forge.ts";
import { MATRIX_BUCKET, ROUTE_SAMPLES } from "../matrix-rows.ts";
import { encode } from "../signing.ts";
import { bytesOf } from "../wire.ts";
import { mutate } from "./mutate.ts";

export const FUZZ_BUCKET = "fuzz-bucket";
const SIGNER = { accessKey: ROOT_KEY.accessKey, secret: ROOT_KEY.secretKey };

export type FuzzRequest = {
  readonly bytes: Buffer;
  readonly isHead: boolean;
  /** Broken framing can leave a server waiting for more, so that the client ends its side. */
  readonly ends: boolean;
};

type Parts = Partial<Plain> & { readonly mode?: SignOptions["mode"] };

function request(nowMs: number, parts: Parts): FuzzRequest {
  const plain = {
    ...{ method: "GET", path: `/${FUZZ_BUCKET}/key`, query: [], headers: {}, body: "" },
    ...parts,
  };
  const options = { transport: "header", mode: parts.mode ?? "unsigned", signer: SIGNER } as const;
  const wire = toWire(forge(plain, { ...options, nowMs }));
  return { bytes: bytesOf(wire), isHead: plain.method === "HEAD", ends: false };
}

/** A value as it may stand in a header: the framing itself has a target of its own. */
function headerValue(text: string): string {
  return text
    .replace(/[\r\n\0]/g, " ")
    .trim()
    .slice(0, 8000);
}

const XML_TARGETS = [...ROUTE_SAMPLES].flatMap(([name, { body }]) =>
  body?.startsWith("<") === true ? [{ name, body }] : [],
);
const SUBRESOURCES: Readonly<Record<string, readonly [string, string]>> = {
  CompleteMultipartUpload: ["POST", "uploadId"],
  DeleteObjects: ["POST", "delete"],
  PutBucketAccelerateConfiguration: ["PUT", "accelerate"],
  PutBucketCors: ["PUT", "cors"],
  PutBucketEncryption: ["PUT", "encryption"],
  PutBucketLifecycleConfiguration: ["PUT", "lifecycle"],
  PutBucketLogging: ["PUT", "logging"],
  PutBucketNotificationConfiguration: ["PUT", "notification"],
  PutBucketOwnershipControls: ["PUT", "ownershipControls"],
  PutBucketRequestPayment: ["PUT", "requestPayment"],
  PutBucketTagging: ["PUT", "tagging"],
  PutBucketVersioning: ["PUT", "versioning"],
  PutBucketWebsite: ["PUT", "website"],
  PutObjectLegalHold: ["PUT", "legal-hold"],
  PutObjectLockConfiguration: ["PUT", "object-lock"],
  PutObjectRetention: ["PUT", "retention"],
  PutObjectTagging: ["PUT", "tagging"],
  PutPublicAccessBlock: ["PUT", "publicAccessBlock"],
};

const HEADER_SEEDS: ReadonlyArray<readonly [string, string]> = [
  ["range", "bytes=0-99"],
  ["if-match", '"d41d8cd98f00b204e9800998ecf8427e"'],
  ["if-none-match", '*, W/"a", "b"'],
  ["if-modified-since", "Sat, 21 Nov 2026 04:31:39 GMT"],
  ["if-unmodified-since", "Saturday, 21-Nov-26 04:31:39 GMT"],
  ["content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="],
  ["content-type", "text/plain; charset=utf-8"],
  ["content-encoding", "gzip,aws-chunked"],
  ["expires", "Sat, 21 Nov 2026 04:31:39 GMT"],
  ["x-amz-meta-colour", "=?UTF-8?B?w6k=?="],
  ["x-amz-tagging", "a=b&c=d%20e"],
  ["x-amz-storage-class", "STANDARD_IA"],
  ["x-amz-acl", "public-read"],
  ["x-amz-checksum-crc32", "AAAAAA=="],
  ["x-amz-sdk-checksum-algorithm", "CRC32"],
  ["x-amz-object-lock-mode", "GOVERNANCE"],
  ["x-amz-object-lock-retain-until-date", "2027-01-01T00:00:00Z"],
  ["x-amz-server-side-encryption", "AES256"],
  ["x-amz-server-side-encryption-customer-algorithm", "AES256"],
  ["x-amz-server-side-encryption-customer-key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="],
  ["x-amz-website-redirect-location", "/elsewhere"],
  ["x-amz-write-offset-bytes", "0"],
  ["x-amz-object-attributes", "ETag,Checksum,ObjectParts"],
  ["origin", "https://a.test"],
];

const POLICY = (ROUTE_SAMPLES.get("PutBucketPolicy")?.body ?? "{}").replaceAll(
  MATRIX_BUCKET,
  FUZZ_BUCKET,
);
/** What is fuzzed; each makes one request from a seed, the same for the same seed. */
export const FUZZ_TARGETS: Readonly<Record<string, (seed: Seed, nowMs: number) => FuzzRequest>> = {
  http: (seed, nowMs) => {
    const method = seed.pick(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"]);
    const whole = request(nowMs, { method, body: method === "GET" ? "" : "body of a request" });
    const bytes = Buffer.from(mutate(seed, whole.bytes.toString("latin1")), "latin1");
    return { bytes, isHead: false, ends: true };
  },
  xml: (seed, nowMs) => {
    const { name, body } = seed.pick(XML_TARGETS);
    const [method, parameter] = SUBRESOURCES[name] ?? ["PUT", ""];
    const isObject =
      name.includes("Object") && name !== "DeleteObjects" && !name.includes("Configuration");
    const path = isObject || parameter === "uploadId" ? `/${FUZZ_BUCKET}/key` : `/${FUZZ_BUCKET}`;
    const value = parameter === "uploadId" ? "0".repeat(32) : "";
    const query = parameter === "" ? [] : [[parameter, value] as const];
    const document = mutate(seed, body);
    const md5 = createHash("md5").update(Buffer.from(document, "latin1")).digest("base64");
    return request(nowMs, { method, path, query, body: document, headers: { "content-md5": md5 } });
  },
  json: (seed, nowMs) => {
    const query = [["policy", ""]] as const;
    const path = `/${FUZZ_BUCKET}`;
    return request(nowMs, { method: "PUT", path, query, body: mutate(seed, POLICY) });
  },
  chunked: (seed, nowMs) => {
    const mode = seed.pick(PAYLOAD_MODES.filter((name) => name.startsWith("streaming")));
    const whole = request(nowMs, { method: "PUT", mode, body: "z".repeat(seed.int(20_000)) });
    const text = whole.bytes.toString("latin1");
    const end = text.indexOf("\r\n\r\n") + 4;
    const body = mutate(seed, text.slice(end));
    const head = text.slice(0, end).replace(/(\r\ncontent-length: )\d+/i, `$1${body.length}`);
    return { bytes: Buffer.from(head + body, "latin1"), isHead: false, ends: false };
  },
  headers: (seed, nowMs) => {
    const [name, value] = seed.pick(HEADER_SEEDS);
    const method = seed.pick(["GET", "PUT", "HEAD", "POST"]);
    const query = method === "POST" ? [["uploads", ""] as const] : [];
    const headers = { [name]: headerValue(mutate(seed, value)) };
    return request(nowMs, { method, query, headers });
  },
  range: (seed, nowMs) =>
    request(nowMs, { headers: { range: headerValue(mutate(seed, "bytes=10-20")) } }),
  "copy source": (seed, nowMs) => {
    const source = mutate(seed, `/${FUZZ_BUCKET}/key?versionId=null`);
    const headers: Record<string, string> = { "x-amz-copy-source": headerValue(source) };
    if (seed.chance(0.3))
      headers["x-amz-copy-source-range"] = headerValue(mutate(seed, "bytes=0-9"));
    return request(nowMs, { method: "PUT", path: `/${FUZZ_BUCKET}/copied`, headers });
  },
  lists: (seed, nowMs) => {
    const name = seed.pick([
      ...["continuation-token", "prefix", "delimiter", "start-after", "max-keys", "marker"],
      ...["encoding-type", "key-marker", "upload-id-marker", "version-id-marker", "max-uploads"],
    ]);
    const kind = seed.pick(["list-type", "uploads", "versions", "none"]);
    const first = kind === "none" ? [] : [[kind, kind === "list-type" ? "2" : ""] as const];
    const value = utf8(mutate(seed, "AWtleS1vbmUAAAAA"));
    return request(nowMs, { path: `/${FUZZ_BUCKET}`, query: [...first, [name, value]] });
  },
  keys: (seed, nowMs) => {
    const method = seed.pick(["GET", "PUT", "DELETE", "HEAD"]);
    const key = utf8(mutate(seed, "folder/key.txt")) || "key";
    const path = `/${FUZZ_BUCKET}/${key.split("/").map(encode).join("/")}`;
    return request(nowMs, { method, path, body: method === "PUT" ? "x" : "" });
  },
  form: (seed, nowMs) => {
    const { accessKey, secret } = SIGNER;
    const form = formRequest({ bucket: FUZZ_BUCKET, key: "form", nowMs, accessKey, secret });
    const body = Buffer.from(mutate(seed, Buffer.from(form.body).toString("latin1")), "latin1");
    return { bytes: bytesOf({ ...form, body }), isHead: false, ends: false };
  },
};

/** Mutated bytes as text that a signer can encode. */
function utf8(latin1: string): string {
  return Buffer.from(latin1, "latin1").toString("utf8").toWellFormed();
}
