import { sha256Hex } from "../../core/hmac.ts";
import {
  type Lifecycle,
  type LifecycleRule,
  TRANSITION_SIZES,
  type TransitionSize,
} from "../../core/lifecycle.ts";
import { decodeLifecycle, encodeLifecycle, LIFECYCLE_SETTING } from "../../core/lifecycle-codec.ts";
import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import { formatIsoDate } from "../headers/dates.ts";
import { parseIsoDate } from "../headers/iso-date.ts";
import {
  childNamed,
  childrenNamed,
  childText,
  requireKnownChildren,
  type XmlElement,
} from "../xml/reader.ts";
import type { XmlWriter } from "../xml/writer.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { readRuleFilter, writeRuleFilter } from "./lifecycle-filter.ts";
import { childBoolean, requiredText, requiredWord } from "./schema.ts";

const RULE_CHILDREN = [
  ...["ID", "Status", "Prefix", "Filter", "Expiration", "NoncurrentVersionExpiration"],
  ...["AbortIncompleteMultipartUpload", "Transition", "NoncurrentVersionTransition"],
];
/** There is one kind of storage: a rule that moves objects asks for what would never happen. */
const UNMET = ["Transition", "NoncurrentVersionTransition"];
const ID_CHARS_MAX = 255;
/** AWS: https://docs.aws.amazon.com/AmazonS3/latest/API/API_NoncurrentVersionExpiration.html */
const KEPT_VERSIONS_MAX = 100;
const DAYS_MAX = 2 ** 31 - 1;
const DAY_MS = 86_400_000;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html */
export const LIFECYCLE = bucketSetting<Lifecycle>({
  name: LIFECYCLE_SETTING,
  subresource: "lifecycle",
  actions: { get: "GetLifecycleConfiguration", put: "PutLifecycleConfiguration" },
  document: {
    kind: "xml",
    root: "LifecycleConfiguration",
    read: (root) => ({ rules: readRules(root), transitionSize: TRANSITION_SIZES[0] }),
    write: (xml, { rules }) => {
      for (const rule of rules) writeRule(xml, rule);
    },
  },
  stored: { encode: encodeLifecycle, decode: decodeLifecycle },
  absent: { error: "NoSuchLifecycleConfiguration" },
  mustBeHashed: true,
});

/** The header that comes with the document; AWS's own default when there is none. */
export function readTransitionSize(text: string | undefined): TransitionSize {
  if (text === undefined) return TRANSITION_SIZES[0];
  const size = TRANSITION_SIZES.find((known) => known === text);
  if (size !== undefined) return size;
  throw invalid("TransitionDefaultMinimumObjectSize found is invalid.");
}

function readRules(root: XmlElement): readonly LifecycleRule[] {
  requireKnownChildren(root, ["Rule"]);
  const elements = childrenNamed(root, "Rule");
  if (elements.length === 0 || elements.length > LIMITS.lifecycleRulesMax) {
    throw new S3Error("MalformedXML");
  }
  const rules = elements.map(readRule);
  if (new Set(rules.map(({ id }) => id)).size !== rules.length) {
    throw invalid("Rule ID must be unique. Found same ID for more than one rule");
  }
  if (new Set(rules.map(({ form }) => form === "prefix")).size > 1) {
    throw new S3Error("InvalidRequest", {
      message:
        "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the " +
        "Filter.",
    });
  }
  return rules;
}

function readRule(element: XmlElement, index: number): LifecycleRule {
  requireKnownChildren(element, RULE_CHILDREN);
  for (const { name } of element.children) {
    if (UNMET.includes(name)) throw new S3Error("NotImplemented", { fields: { Element: name } });
  }
  const id = childText(element, "ID") ?? "";
  if (id.length > ID_CHARS_MAX) throw invalid("ID length should not exceed allowed limit of 255");
  const rule = {
    id,
    enabled: requiredWord(element, "Status", ["Enabled", "Disabled"]) === "Enabled",
    ...readRuleFilter(element),
    expiration: readExpiration(childNamed(element, "Expiration")),
    noncurrent: readNoncurrent(childNamed(element, "NoncurrentVersionExpiration")),
    abortUploadDays: readAbort(childNamed(element, "AbortIncompleteMultipartUpload")),
  };
  requireSense(rule);
  // A rule is always shown under a name: one that brings none gets one, the same on every site.
  return id === "" ? { ...rule, id: sha256Hex(`${index} ${JSON.stringify(rule)}`) } : rule;
}

/** What AWS refuses although every part of the rule can be read. */
function requireSense({ filter, expiration, noncurrent, abortUploadDays }: LifecycleRule): void {
  if (expiration === undefined && noncurrent === undefined && abortUploadDays === undefined) {
    throw unfit("At least one action needs to be specified in a rule");
  }
  const hasTags = filter.tags.length > 0;
  const hasSize = filter.sizeGreaterThan !== undefined || filter.sizeLessThan !== undefined;
  const picky = [...(hasTags ? ["Tags"] : []), ...(hasSize ? ["Object Size"] : [])][0];
  if (picky === undefined) return;
  if (abortUploadDays !== undefined) {
    throw unfit(`AbortIncompleteMultipartUpload cannot be specified with ${picky}.`);
  }
  if (expiration?.kind === "markers") {
    throw unfit(`ExpiredObjectDeleteMarker cannot be specified with ${picky}.`);
  }
}

function readExpiration(element: XmlElement | undefined): LifecycleRule["expiration"] {
  if (element === undefined) return undefined;
  requireKnownChildren(element, ["Days", "Date", "ExpiredObjectDeleteMarker"]);
  if (element.children.length !== 1) throw new S3Error("MalformedXML");
  const days = readCount(element, "Days", "Expiration");
  if (days !== undefined) return { kind: "days", days };
  const remove = childBoolean(element, "ExpiredObjectDeleteMarker");
  if (remove !== undefined) return { kind: "markers", remove };
  const dateMs = parseIsoDate(requiredText(element, "Date").trim());
  if (dateMs === undefined) throw new S3Error("MalformedXML");
  if (dateMs % DAY_MS !== 0 || dateMs < 0) throw invalid("'Date' must be at midnight GMT");
  return { kind: "date", dateMs };
}

function readNoncurrent(element: XmlElement | undefined): LifecycleRule["noncurrent"] {
  if (element === undefined) return undefined;
  requireKnownChildren(element, ["NoncurrentDays", "NewerNoncurrentVersions"]);
  const action = "NoncurrentVersionExpiration";
  const days = readCount(element, "NoncurrentDays", action);
  if (days === undefined) throw new S3Error("MalformedXML");
  const keep = readCount(element, "NewerNoncurrentVersions", action);
  if (keep !== undefined && keep > KEPT_VERSIONS_MAX) {
    throw invalid(`'NewerNoncurrentVersions' for ${action} action must be at most 100`);
  }
  return { days, keep };
}

function readAbort(element: XmlElement | undefined): number | undefined {
  if (element === undefined) return undefined;
  requireKnownChildren(element, ["DaysAfterInitiation"]);
  const days = readCount(element, "DaysAfterInitiation", "AbortIncompleteMultipartUpload");
  if (days === undefined) throw new S3Error("MalformedXML");
  return days;
}

/** The child as a number from 1; undefined when it is not there. */
function readCount(element: XmlElement, name: string, action: string): number | undefined {
  const text = childText(element, name)?.trim();
  if (text === undefined) return undefined;
  if (!/^[+-]?\d{1,10}$/.test(text)) throw new S3Error("MalformedXML");
  const count = Number(text);
  if (count < 1) throw invalid(`'${name}' for ${action} action must be a positive integer`);
  if (count > DAYS_MAX) throw new S3Error("MalformedXML");
  return count;
}

function writeRule(xml: XmlWriter, rule: LifecycleRule): void {
  const { expiration, noncurrent, abortUploadDays } = rule;
  xml.open("Rule");
  xml.text("ID", rule.id);
  writeRuleFilter(xml, rule);
  xml.text("Status", rule.enabled ? "Enabled" : "Disabled");
  if (expiration !== undefined) {
    xml.open("Expiration");
    if (expiration.kind === "days") xml.text("Days", String(expiration.days));
    else if (expiration.kind === "date") xml.text("Date", formatIsoDate(expiration.dateMs));
    else xml.text("ExpiredObjectDeleteMarker", String(expiration.remove));
    xml.close();
  }
  if (noncurrent !== undefined) {
    xml.open("NoncurrentVersionExpiration");
    xml.text("NoncurrentDays", String(noncurrent.days));
    if (noncurrent.keep !== undefined) xml.text("NewerNoncurrentVersions", `${noncurrent.keep}`);
    xml.close();
  }
  if (abortUploadDays !== undefined) {
    xml.open("AbortIncompleteMultipartUpload");
    xml.text("DaysAfterInitiation", String(abortUploadDays));
    xml.close();
  }
  xml.close();
}

function invalid(message: string): S3Error {
  return new S3Error("InvalidArgument", { message });
}

function unfit(message: string): S3Error {
  return new S3Error("InvalidRequest", { message });
}
