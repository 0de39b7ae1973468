import { LIMITS } from "../../core/limits.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { SIGNATURE_FIELDS } from "../auth/form-claim.ts";
import { S3Error } from "../errors.ts";
import { headersOf, requireHeaderLine } from "../headers/header-list.ts";
import { readTagging, TAGGED_OBJECT } from "../settings/tag-set.ts";
import { parseXml } from "../xml/reader.ts";
import type { FormHead } from "./form-parser.ts";

/** The fields of a form by lower-case name, with `${filename}` filled in. */
export type FormValues = ReadonlyMap<string, string>;

const FILENAME_VARIABLE = `\${filename}`;
/** What was signed stays as it was signed. */
const NEVER_EXPANDED = new Set(SIGNATURE_FIELDS);

/** Fields that describe the object and are called as the header of a PUT that says the same. */
const HEADER_FIELDS = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-md5",
  "content-type",
  "expires",
  "x-amz-checksum-algorithm",
  "x-amz-checksum-crc32",
  "x-amz-checksum-crc32c",
  "x-amz-checksum-crc64nvme",
  "x-amz-checksum-sha1",
  "x-amz-checksum-sha256",
  "x-amz-sdk-checksum-algorithm",
  "x-amz-storage-class",
  "x-amz-website-redirect-location",
]);
const HEADER_PREFIXES = ["x-amz-meta-", "x-amz-server-side-encryption", "x-amz-object-lock-"];

/**
 * The fields of a form by name. One that comes twice is refused: one reader might believe the
 * first and another the second.
 */
export function readFormValues({ fields, filename }: FormHead): FormValues {
  const base = filename?.slice(Math.max(filename.lastIndexOf("/"), filename.lastIndexOf("\\")) + 1);
  const values = new Map<string, string>();
  for (const [name, value] of fields) {
    const known = name.toLowerCase();
    if (values.has(known)) {
      throw new S3Error("InvalidArgument", {
        message: `Bucket POST must not contain the field '${name}' more than once.`,
        fields: { ArgumentName: name, ArgumentValue: value },
      });
    }
    const isSigned = base === undefined || NEVER_EXPANDED.has(known);
    values.set(known, isSigned ? value : expanded(value, base));
  }
  return values;
}

/** A short field may name a long file many times. */
function expanded(value: string, filename: string): string {
  const pieces = value.split(FILENAME_VARIABLE);
  const chars = value.length + (pieces.length - 1) * filename.length;
  if (chars > LIMITS.formFieldsBytesMax) throw new S3Error("MaxPostPreDataLengthExceededError");
  return pieces.join(filename);
}

/**
 * The headers of a PUT that asks for the same as the form. A field that asks for something else of
 * S3 is refused by name; those that mean nothing to S3 are for the browser.
 */
export function headersOfForm(values: FormValues): RequestHeaders {
  const lines: Array<readonly [string, string]> = [];
  for (const [name, value] of values) {
    if (name === "acl") lines.push(["x-amz-acl", value.trim()]);
    else if (name === "tagging") lines.push(["x-amz-tagging", tagsOf(value)]);
    else if (isHeaderField(name)) {
      const trimmed = value.trim();
      requireHeaderLine(name, trimmed);
      lines.push([name, trimmed]);
    } else if (name.startsWith("x-amz-") && !SIGNATURE_FIELDS.includes(name)) {
      throw new S3Error("NotImplemented", { fields: { Header: name } });
    }
  }
  return headersOf(lines);
}

function isHeaderField(name: string): boolean {
  return HEADER_FIELDS.has(name) || HEADER_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** The document of a form's tags in the form that a header has. */
function tagsOf(document: string): string {
  const tags = readTagging(parseXml(Buffer.from(document), "Tagging"), TAGGED_OBJECT);
  return tags.map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
}
