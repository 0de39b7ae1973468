import { bucketSetting } from "./bucket-setting.ts";
import { readTagging, TAGGED_BUCKET, type Tags, writeTagging } from "./tag-set.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html */
export const BUCKET_TAGGING = bucketSetting<Tags>({
  name: "tagging",
  subresource: "tagging",
  actions: { get: "GetBucketTagging", put: "PutBucketTagging" },
  document: {
    kind: "xml",
    root: "Tagging",
    read: (root) => readTagging(root, TAGGED_BUCKET),
    write: writeTagging,
  },
  absent: { error: "NoSuchTagSet" },
  mustBeHashed: true,
  putStatus: 204,
});
