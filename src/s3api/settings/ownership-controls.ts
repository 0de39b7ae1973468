import { S3Error } from "../errors.ts";
import { BUCKET_ACL } from "../policy/canned-acl.ts";
import { requireKnownChildren } from "../xml/reader.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { requiredChild, requiredWord } from "./schema.ts";

export const OBJECT_OWNERSHIPS = [
  "BucketOwnerEnforced",
  "BucketOwnerPreferred",
  "ObjectWriter",
] as const;
type ObjectOwnership = (typeof OBJECT_OWNERSHIPS)[number];

/**
 * A bucket without the setting takes ACLs, as every bucket did before AWS had it, and says that it
 * has none. One account owns everything, so that only "BucketOwnerEnforced" makes a difference.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html
 */
export const OWNERSHIP_CONTROLS = bucketSetting<ObjectOwnership>({
  name: "ownership-controls",
  subresource: "ownershipControls",
  actions: { get: "GetBucketOwnershipControls", put: "PutBucketOwnershipControls" },
  document: {
    kind: "xml",
    root: "OwnershipControls",
    read: (root) => {
      requireKnownChildren(root, ["Rule"]);
      const rule = requiredChild(root, "Rule");
      requireKnownChildren(rule, ["ObjectOwnership"]);
      return requiredWord(rule, "ObjectOwnership", OBJECT_OWNERSHIPS);
    },
    write: (xml, ownership) => {
      xml.open("Rule");
      xml.text("ObjectOwnership", ownership);
      xml.close();
    },
  },
  check: (ownership, others) => {
    if (ownership === "BucketOwnerEnforced" && others.has(BUCKET_ACL)) {
      throw new S3Error("InvalidBucketAclWithObjectOwnership");
    }
  },
  absent: { error: "OwnershipControlsNotFoundError" },
});
