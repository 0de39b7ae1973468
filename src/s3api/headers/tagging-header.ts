import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import { parseQuery } from "../target.ts";

export type Tags = ReadonlyArray<readonly [key: string, value: string]>;

const NO_TAGS: Tags = [];
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html */
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/** Reads `x-amz-tagging`, a query string of an object's tags; sorted by key. */
export function parseTaggingHeader(header: string | undefined): Tags {
  if (header === undefined || header === "") return NO_TAGS;
  const tags = [...parseQuery(header).entries];
  if (tags.length > LIMITS.objectTagsMax) {
    throw new S3Error("BadRequest", { message: "Object tags cannot be greater than 10" });
  }
  for (const [key, value] of tags) checkTag(key, value);
  return tags.sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
}

function checkTag(key: string, value: string): void {
  if (key === "" || [...key].length > LIMITS.tagKeyCharsMax || !TAG_TEXT.test(key)) {
    throw new S3Error("InvalidTag", {
      message: "The TagKey you have provided is invalid",
      fields: { TagKey: key },
    });
  }
  if ([...value].length > LIMITS.tagValueCharsMax || !TAG_TEXT.test(value)) {
    throw new S3Error("InvalidTag", {
      message: "The TagValue you have provided is invalid",
      fields: { TagKey: key, TagValue: value },
    });
  }
}
