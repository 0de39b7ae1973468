import { S3Error } from "../errors.ts";
import { checkedTags, TAGGED_OBJECT, type Tags } from "../settings/tag-set.ts";
import { decodePercent } from "../target.ts";

const NO_TAGS: Tags = [];

/**
 * Reads `x-amz-tagging`, a query string of an object's tags; sorted by key. A key without `=` has
 * an empty value; a plus sign is a space.
 */
export function parseTaggingHeader(header: string | undefined): Tags {
  if (header === undefined || header === "") return NO_TAGS;
  const tags: Array<readonly [string, string]> = [];
  const keys = new Set<string>();
  for (const pair of header.split("&")) {
    if (pair === "") continue;
    const [rawKey = "", rawValue = "", ...more] = pair.replaceAll("+", " ").split("=");
    const key = decodePercent(rawKey);
    const value = decodePercent(rawValue);
    const unread = key === undefined || value === undefined || more.length > 0;
    // A tag without a name is said to be badly encoded, and not a bad tag.
    if (unread || key === "" || keys.has(key)) throw badHeader(header);
    keys.add(key);
    tags.push([key, value]);
  }
  return checkedTags(tags, TAGGED_OBJECT);
}

function badHeader(value: string): S3Error {
  return new S3Error("InvalidArgument", {
    message:
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters " +
      "without tag name duplicates.",
    fields: { ArgumentName: "x-amz-tagging", ArgumentValue: value },
  });
}
