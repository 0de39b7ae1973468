import { requireKnownChildren } from "../xml/reader.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { requiredChild, requiredWord } from "./schema.ts";

export const OBJECT_OWNERSHIPS = [
  "BucketOwnerEnforced",
  "BucketOwnerPreferred",
  "ObjectWriter",
] as const;
export type ObjectOwnership = (typeof OBJECT_OWNERSHIPS)[number];

/** What a bucket has whose owner has never said otherwise: ACLs are off, as at AWS. */
export const DEFAULT_OWNERSHIP: ObjectOwnership = "BucketOwnerEnforced";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html */
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
  absent: { value: DEFAULT_OWNERSHIP },
});
