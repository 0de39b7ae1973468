import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import { childrenNamed, childText, requireKnownChildren, type XmlElement } from "../xml/reader.ts";
import type { XmlWriter } from "../xml/writer.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { childInteger } from "./schema.ts";

/** Methods a rule may name, as they are spelt in requests. */
const CORS_METHODS = ["GET", "PUT", "HEAD", "POST", "DELETE"] as const;
export type CorsMethod = (typeof CORS_METHODS)[number];

/** One rule of a bucket: who may send what from a page of another origin. */
export type CorsRule = {
  readonly id: string | undefined;
  /** Each with at most one `*`, which stands for any text. */
  readonly origins: readonly string[];
  readonly methods: readonly CorsMethod[];
  /** As written; each with at most one `*`. Compared without regard to case. */
  readonly headers: readonly string[];
  readonly exposed: readonly string[];
  readonly maxAgeSeconds: number | undefined;
};

const RULE_CHILDREN = [
  "ID",
  "AllowedHeader",
  "AllowedMethod",
  "AllowedOrigin",
  "ExposeHeader",
  "MaxAgeSeconds",
];
/** AWS: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CORSRule.html */
const ID_CHARS_MAX = 255;

/** A method as CORS knows it; undefined for every other one. */
export function parseCorsMethod(text: string): CorsMethod | undefined {
  return CORS_METHODS.find((method) => method === text);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html */
export const CORS = bucketSetting<readonly CorsRule[]>({
  name: "cors",
  subresource: "cors",
  actions: { get: "GetBucketCORS", put: "PutBucketCORS" },
  document: { kind: "xml", root: "CORSConfiguration", read: readRules, write: writeRules },
  absent: { error: "NoSuchCORSConfiguration" },
  documentBytesMax: LIMITS.corsBytesMax,
});

function readRules(root: XmlElement): readonly CorsRule[] {
  requireKnownChildren(root, ["CORSRule"]);
  const elements = childrenNamed(root, "CORSRule");
  if (elements.length === 0) throw new S3Error("MalformedXML");
  if (elements.length > LIMITS.corsRulesMax) {
    throw new S3Error("InvalidRequest", {
      message:
        "The number of CORS rules should not exceed allowed limit of " +
        `${LIMITS.corsRulesMax} rules.`,
    });
  }
  return elements.map(readRule);
}

function writeRules(xml: XmlWriter, rules: readonly CorsRule[]): void {
  for (const rule of rules) {
    xml.open("CORSRule");
    if (rule.id !== undefined) xml.text("ID", rule.id);
    for (const origin of rule.origins) xml.text("AllowedOrigin", origin);
    for (const method of rule.methods) xml.text("AllowedMethod", method);
    for (const header of rule.headers) xml.text("AllowedHeader", header);
    if (rule.maxAgeSeconds !== undefined) xml.text("MaxAgeSeconds", String(rule.maxAgeSeconds));
    for (const header of rule.exposed) xml.text("ExposeHeader", header);
    xml.close();
  }
}

function readRule(element: XmlElement): CorsRule {
  requireKnownChildren(element, RULE_CHILDREN);
  const id = childText(element, "ID");
  if (id !== undefined && id.length > ID_CHARS_MAX) {
    throw new S3Error("InvalidArgument", {
      message: `The ID of a rule must have at most ${ID_CHARS_MAX} characters.`,
      fields: { ArgumentName: "ID", ArgumentValue: id },
    });
  }
  const origins = texts(element, "AllowedOrigin");
  const methods = texts(element, "AllowedMethod").map(requireMethod);
  if (origins.length === 0 || methods.length === 0) throw new S3Error("MalformedXML");
  const headers = texts(element, "AllowedHeader");
  for (const origin of origins) requireOneStar("AllowedOrigin", origin);
  for (const header of headers) requireOneStar("AllowedHeader", header);
  const exposed = texts(element, "ExposeHeader");
  for (const header of exposed) requireHeaderName(header);
  const maxAgeSeconds = childInteger(element, "MaxAgeSeconds");
  return { id, origins, methods, headers, exposed, maxAgeSeconds };
}

/** Texts of the children of that name; one that is empty or holds elements is no value. */
function texts(element: XmlElement, name: string): readonly string[] {
  return childrenNamed(element, name).map(({ text, children }) => {
    const value = text.trim();
    if (children.length > 0 || value === "") throw new S3Error("MalformedXML");
    return value;
  });
}

function requireMethod(text: string): CorsMethod {
  const method = parseCorsMethod(text);
  if (method !== undefined) return method;
  throw new S3Error("InvalidRequest", {
    message: `Found unsupported HTTP method in CORS config. Unsupported method is ${text}`,
  });
}

function requireOneStar(name: string, value: string): void {
  requireHeaderSafe(value);
  if (value.indexOf("*") === value.lastIndexOf("*")) return;
  throw new S3Error("InvalidRequest", {
    message: `${name} "${value}" can not have more than one wildcard.`,
  });
}

function requireHeaderName(value: string): void {
  requireHeaderSafe(value);
  if (!value.includes("*")) return;
  throw new S3Error("InvalidRequest", {
    message:
      `ExposeHeader "${value}" contains wildcard. We currently do not support wildcard for ` +
      "ExposeHeader.",
  });
}

/** These values become parts of response headers: visible ASCII, and no list within a list. */
function requireHeaderSafe(value: string): void {
  if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(value)) throw new S3Error("MalformedXML");
}
