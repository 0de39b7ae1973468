import { requireKnownChildren } from "../xml/reader.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { childBoolean } from "./schema.ts";

/** AWS's order; one that a document leaves out is off. */
const SWITCHES = [
  "BlockPublicAcls",
  "IgnorePublicAcls",
  "BlockPublicPolicy",
  "RestrictPublicBuckets",
] as const;

export type PublicAccessBlock = Readonly<Record<(typeof SWITCHES)[number], boolean>>;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html */
export const PUBLIC_ACCESS_BLOCK = bucketSetting<PublicAccessBlock>({
  name: "public-access-block",
  subresource: "publicAccessBlock",
  actions: { get: "GetBucketPublicAccessBlock", put: "PutBucketPublicAccessBlock" },
  document: {
    kind: "xml",
    root: "PublicAccessBlockConfiguration",
    read: (root) => {
      requireKnownChildren(root, SWITCHES);
      return {
        BlockPublicAcls: childBoolean(root, "BlockPublicAcls") ?? false,
        IgnorePublicAcls: childBoolean(root, "IgnorePublicAcls") ?? false,
        BlockPublicPolicy: childBoolean(root, "BlockPublicPolicy") ?? false,
        RestrictPublicBuckets: childBoolean(root, "RestrictPublicBuckets") ?? false,
      };
    },
    write: (xml, block) => {
      for (const name of SWITCHES) xml.text(name, String(block[name]));
    },
  },
  absent: { error: "NoSuchPublicAccessBlockConfiguration" },
});
