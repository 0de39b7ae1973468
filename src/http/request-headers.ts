import type { RequestHeaders } from "./exchange.ts";

/** Names that nearly every request has, each as one string, so that comparing them is quick. */
const COMMON_NAMES: ReadonlyMap<string, string> = new Map(
  [
    "accept",
    "accept-encoding",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-md5",
    "content-type",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "range",
    "transfer-encoding",
    "user-agent",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-mode",
    "x-amz-checksum-sha256",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "x-amz-user-agent",
  ].map((name) => [name, name]),
);

/** The same name, as the one string that stands for it if it is a common one. Hot path. */
export function commonName(name: string): string {
  return COMMON_NAMES.get(name) ?? name;
}

/** Whether a name, in lower case, is one that nearly every request has. Hot path. */
export function isCommonName(name: string): boolean {
  return COMMON_NAMES.has(name);
}

/** Header lines as two flat lists, in the order of arrival; names are in lower case. */
export class FlatHeaders implements RequestHeaders {
  readonly names: readonly string[];
  readonly #values: readonly string[];
  #entries: ReadonlyArray<readonly [name: string, value: string]> | undefined;

  constructor(names: readonly string[], values: readonly string[]) {
    this.names = names;
    this.#values = values;
  }

  // A request has a dozen headers: a scan is cheaper than building a map for each request.
  get(name: string): string | undefined {
    const { names } = this;
    let joined: string | undefined;
    for (let index = 0; index < names.length; index++) {
      if (names[index] !== name) continue;
      const value = this.#values[index] ?? "";
      joined = joined === undefined ? value : `${joined},${value}`;
    }
    return joined;
  }

  count(name: string): number {
    let count = 0;
    for (const candidate of this.names) if (candidate === name) count++;
    return count;
  }

  /** Bytes of the body that follows: 0 without one, undefined for a chunked one. */
  bodyLength(): number | undefined {
    const text = this.get("content-length");
    if (text !== undefined) return Number(text);
    return this.count("transfer-encoding") > 0 ? undefined : 0;
  }

  get entries(): ReadonlyArray<readonly [name: string, value: string]> {
    this.#entries ??= this.names.map((name, index) => [name, this.#values[index] ?? ""]);
    return this.#entries;
  }
}
