import type { LifecycleFilter, LifecycleRule } from "../../core/lifecycle.ts";
import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import {
  childNamed,
  childrenNamed,
  childText,
  requireKnownChildren,
  type XmlElement,
} from "../xml/reader.ts";
import type { XmlWriter } from "../xml/writer.ts";
import { childInteger, requiredText } from "./schema.ts";
import { checkedTags, TAGGED_OBJECT } from "./tag-set.ts";

type FilterOfRule = Pick<LifecycleRule, "form" | "filter">;

const CONDITIONS = ["Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"];

/**
 * Reads what a rule applies to, in the old form (a prefix in the rule itself) or the new one (a
 * filter that holds one condition, none, or several in `And`).
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRuleFilter.html
 */
export function readRuleFilter(rule: XmlElement): FilterOfRule {
  const filter = childNamed(rule, "Filter");
  const prefix = childText(rule, "Prefix");
  if ((filter === undefined) === (prefix === undefined)) throw new S3Error("MalformedXML");
  if (filter === undefined) return { form: "prefix", filter: readConditions(rule) };
  requireKnownChildren(filter, [...CONDITIONS, "And"]);
  if (filter.children.length > 1) throw new S3Error("MalformedXML");
  const and = childNamed(filter, "And");
  if (and === undefined) return { form: "filter", filter: readConditions(filter) };
  requireKnownChildren(and, CONDITIONS);
  if (and.children.length < 2) throw new S3Error("MalformedXML");
  return { form: "and", filter: readConditions(and) };
}

function readConditions(element: XmlElement): LifecycleFilter {
  const prefix = childText(element, "Prefix");
  if (prefix !== undefined && Buffer.byteLength(prefix) > LIMITS.keyBytesMax) {
    throw new S3Error("InvalidRequest", {
      message: `The maximum size of a prefix is ${LIMITS.keyBytesMax}.`,
    });
  }
  const tags = childrenNamed(element, "Tag").map((tag) => {
    requireKnownChildren(tag, ["Key", "Value"]);
    return [requiredText(tag, "Key"), requiredText(tag, "Value")] as const;
  });
  checkedTags(tags, TAGGED_OBJECT);
  const sizeGreaterThan = childInteger(element, "ObjectSizeGreaterThan");
  const sizeLessThan = childInteger(element, "ObjectSizeLessThan");
  requireSizes(sizeGreaterThan, sizeLessThan);
  return { prefix, tags, sizeGreaterThan, sizeLessThan };
}

function requireSizes(greaterThan: number | undefined, lessThan: number | undefined): void {
  if (lessThan === undefined) return;
  if (lessThan > (greaterThan ?? 0)) return;
  throw new S3Error("InvalidRequest", {
    message: "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.",
  });
}

/** Writes the filter in the form in which it came. */
export function writeRuleFilter(xml: XmlWriter, { form, filter }: FilterOfRule): void {
  if (form !== "prefix") xml.open("Filter");
  if (form === "and") xml.open("And");
  if (filter.prefix !== undefined) xml.text("Prefix", filter.prefix);
  for (const [key, value] of filter.tags) {
    xml.open("Tag");
    xml.text("Key", key);
    xml.text("Value", value);
    xml.close();
  }
  const { sizeGreaterThan, sizeLessThan } = filter;
  if (sizeGreaterThan !== undefined) xml.text("ObjectSizeGreaterThan", String(sizeGreaterThan));
  if (sizeLessThan !== undefined) xml.text("ObjectSizeLessThan", String(sizeLessThan));
  if (form === "and") xml.close();
  if (form !== "prefix") xml.close();
}
