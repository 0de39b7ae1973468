import { createHash, createHmac, hash, randomBytes } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";

export const ACCESS_KEY = "ATOLLBENCHROOTKEY001";
export const SECRET_KEY = "bench-root-secret-key-of-no-value-01";
const REGION = "us-east-1";

export type RequestPlan = {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  /** Absolute path of letters, digits, slashes and hyphens, so that it needs no encoding. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** The hash to sign for a body that is sent apart; its length is then given too. */
  readonly unsignedBytes?: number;
};

/** Signs with AWS Signature Version 4, as of the moment it is made: good for 15 minutes. */
export class Signer {
  readonly #host: string;
  readonly #when: string;
  readonly #scope: string;
  readonly #key: Buffer;

  constructor(port: number) {
    this.#host = `127.0.0.1:${port}`;
    this.#when = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const day = this.#when.slice(0, 8);
    this.#scope = `${day}/${REGION}/s3/aws4_request`;
    let key = hmac(Buffer.from(`AWS4${SECRET_KEY}`), day);
    for (const part of [REGION, "s3", "aws4_request"]) key = hmac(key, part);
    this.#key = key;
  }

  /** The bytes of one HTTP/1.1 request with a signed payload. */
  sign(plan: RequestPlan): Buffer {
    const body = plan.body ?? Buffer.alloc(0);
    const unsigned = plan.unsignedBytes !== undefined;
    const payload = unsigned ? "UNSIGNED-PAYLOAD" : hash("sha256", body);
    const headers = `host:${this.#host}\nx-amz-content-sha256:${payload}\nx-amz-date:${this.#when}\n`;
    const names = "host;x-amz-content-sha256;x-amz-date";
    const query = canonicalQuery(plan.query ?? {});
    const canonical = `${plan.method}\n${plan.path}\n${query}\n${headers}\n${names}\n${payload}`;
    const toSign = `AWS4-HMAC-SHA256\n${this.#when}\n${this.#scope}\n${hash("sha256", canonical)}`;
    const signature = createHmac("sha256", this.#key).update(toSign).digest("hex");
    const credential = `${ACCESS_KEY}/${this.#scope}`;
    const length = plan.unsignedBytes ?? body.length;
    const last = plan.method === "PUT" ? `content-length: ${length}` : "accept: */*";
    const target = query === "" ? plan.path : `${plan.path}?${query}`;
    const head = `${plan.method} ${target} HTTP/1.1\r
host: ${this.#host}\r
x-amz-content-sha256: ${payload}\r
x-amz-date: ${this.#when}\r
authorization: AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}\r
${last}\r
\r
`;
    return Buffer.concat([Buffer.from(head, "latin1"), body]);
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function canonicalQuery(query: Readonly<Record<string, string>>): string {
  return Object.keys(query)
    .sort()
    .map((name) => `${name}=${encodeURIComponent(query[name] ?? "")}`)
    .join("&");
}

/**
 * The key of one object of a series: random to look at, so that new keys fall everywhere between
 * those that are there, and in one of 4,096 folders, so that listings can be asked for folders.
 */
export function keyOf(series: string, index: number): string {
  const digest = hash("sha1", `${series}:${index}`);
  return `${digest.slice(0, 3)}/${digest.slice(3, 19)}`;
}

/** Bodies of one size, each different from all others. */
export function bodyMaker(bytes: number): (index: number) => Buffer {
  const block = randomBytes(bytes);
  const salt = createHash("sha1").update(block).digest().readUInt32LE(0);
  return (index) => {
    block.writeUInt32LE(index, 0);
    block.writeUInt32LE(salt, 4);
    return block;
  };
}

const FLUSH_BYTES = 8 * 1024 ** 2;

/** Writes requests in the form httpload reads: each after its length, 32 bits, little-endian. */
export function writeRequestFile(path: string, requests: Iterable<Buffer>): void {
  const file = openSync(path, "w");
  try {
    let pending: Buffer[] = [];
    let pendingBytes = 0;
    const flush = (): void => {
      const bytes = Buffer.concat(pending);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      pending = [];
      pendingBytes = 0;
    };
    for (const request of requests) {
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32LE(request.length);
      pending.push(length, request);
      pendingBytes += request.length;
      if (pendingBytes > FLUSH_BYTES) flush();
    }
    flush();
  } finally {
    closeSync(file);
  }
}
