import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import { childrenNamed, requireKnownChildren, type XmlElement } from "../xml/reader.ts";
import type { XmlWriter } from "../xml/writer.ts";
import { requiredChild, requiredText } from "./schema.ts";

export type Tags = ReadonlyArray<readonly [key: string, value: string]>;

/**
 * What may carry tags, with the most of them and AWS's words for more.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
 */
export type Tagged = { readonly tagsMax: number; readonly tooMany: string };

export const TAGGED_OBJECT: Tagged = {
  tagsMax: LIMITS.objectTagsMax,
  tooMany: "Object tags cannot be greater than 10",
};
export const TAGGED_BUCKET: Tagged = {
  tagsMax: LIMITS.bucketTagsMax,
  tooMany: "Bucket tag count cannot be greater than 50",
};

/** Letters, spaces and digits of any script, and these signs. */
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
const RESERVED = /^aws:/i;

/**
 * Judges tags one by one and their number last, as AWS does, and gives them back sorted by key.
 * Letters are counted as UTF-16 counts them.
 */
export function checkedTags(tags: Tags, { tagsMax, tooMany }: Tagged): Tags {
  const keys = new Set<string>();
  for (const [key, value] of tags) {
    checkTag(key, value);
    if (keys.has(key)) {
      throw new S3Error("InvalidTag", {
        message: "Cannot provide multiple Tags with the same key",
        fields: { TagKey: key },
      });
    }
    keys.add(key);
  }
  if (tags.length > tagsMax) throw new S3Error("BadRequest", { message: tooMany });
  return tags.toSorted(([left], [right]) => (left < right ? -1 : 1));
}

function checkTag(key: string, value: string): void {
  if (key === "" || key.length > LIMITS.tagKeyCharsMax || !TAG_TEXT.test(key)) {
    throw new S3Error("InvalidTag", {
      message: "The TagKey you have provided is invalid",
      fields: { TagKey: key },
    });
  }
  if (RESERVED.test(key)) {
    throw new S3Error("InvalidTag", {
      message: "System tags cannot be added/updated by requester",
      fields: { TagKey: key },
    });
  }
  if (value.length > LIMITS.tagValueCharsMax || !TAG_TEXT.test(value)) {
    throw new S3Error("InvalidTag", {
      message: "The TagValue you have provided is invalid",
      fields: { TagKey: key, TagValue: value },
    });
  }
}

/** Reads the `Tagging` document of a bucket or an object. */
export function readTagging(root: XmlElement, tagged: Tagged): Tags {
  requireKnownChildren(root, ["TagSet"]);
  return readTagSet(requiredChild(root, "TagSet"), tagged);
}

/** Reads an element whose children are tags. */
export function readTagSet(element: XmlElement, tagged: Tagged): Tags {
  requireKnownChildren(element, ["Tag"]);
  const tags = childrenNamed(element, "Tag").map((tag) => {
    requireKnownChildren(tag, ["Key", "Value"]);
    return [requiredText(tag, "Key"), requiredText(tag, "Value")] as const;
  });
  return checkedTags(tags, tagged);
}

/** Writes the inside of a `Tagging` document. */
export function writeTagging(xml: XmlWriter, tags: Tags): void {
  xml.open("TagSet");
  for (const [key, value] of tags) {
    xml.open("Tag");
    xml.text("Key", key);
    xml.text("Value", value);
    xml.close();
  }
  xml.close();
}
