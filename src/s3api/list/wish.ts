import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import type { Query } from "../target.ts";
import { PLAIN_XML_BYTES } from "../xml/writer.ts";

/** Reads `max-keys` and its like; more than the limit is the limit, as S3 has it. */
export function readMax(query: Query, name: string, max: number = LIMITS.listKeysMax): number {
  const text = query.get(name);
  if (text === undefined || text === "") return max;
  // S3 counts in 32 bits.
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0x7fff_ffff) {
    throw new S3Error("InvalidArgument", {
      message: `Provided ${name} not an integer or within integer range`,
      fields: { ArgumentName: name, ArgumentValue: text },
    });
  }
  return Math.min(Number(text), max);
}

/** How names are written in the answer: as they are, or percent-encoded on request. */
export type NameEncoding = {
  readonly type: "url" | undefined;
  readonly encode: (name: string) => string;
  /** One for every byte of UTF-8 that a document then holds as it is. */
  readonly plainBytes: Uint8Array;
};

const PLAIN: NameEncoding = {
  type: undefined,
  encode: (name) => name,
  plainBytes: PLAIN_XML_BYTES,
};
const URL_ENCODED: NameEncoding = {
  type: "url",
  encode: encodeName,
  plainBytes: Uint8Array.from({ length: 256 }, (_, byte) =>
    Number(/[\w.~*/-]/.test(String.fromCharCode(byte))),
  ),
};

/** Reads `encoding-type`: names as they are, or percent-encoded ("url"). */
export function readEncoding(query: Query): NameEncoding {
  const text = query.get("encoding-type");
  if (text === undefined || text === "") return PLAIN;
  if (text === "url") return URL_ENCODED;
  throw new S3Error("InvalidArgument", {
    message: "Invalid Encoding Method specified in Request",
    fields: { ArgumentName: "encoding-type", ArgumentValue: text },
  });
}

/** Slashes and asterisks stay; a space is %20, which every client decodes, unlike a plus. */
export function encodeName(name: string): string {
  return encodeURIComponent(name)
    .replaceAll("%2F", "/")
    .replace(/[!'()]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}
