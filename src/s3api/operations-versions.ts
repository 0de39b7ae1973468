import { getObjectAttributes } from "./handlers/get-object-attributes.ts";
import { listObjectVersions } from "./handlers/list-object-versions.ts";
import type { OperationRow } from "./operation.ts";

/** What there is to ask about versions, and of each of them. */
export const VERSION_OPERATIONS = {
  ListObjectVersions: {
    method: "GET",
    level: "bucket",
    query: { versions: "" },
    params: [
      ...["delimiter", "encoding-type", "key-marker", "max-keys", "metadata", "prefix"],
      "version-id-marker",
    ],
    action: "s3:ListBucketVersions",
    body: "none",
    handler: listObjectVersions,
  },
  GetObjectAttributes: {
    method: "GET",
    level: "object",
    query: { attributes: "" },
    params: ["versionId"],
    action: "s3:GetObjectAttributes",
    versionAction: "s3:GetObjectVersionAttributes",
    body: "none",
    handler: getObjectAttributes,
    note: "asks for s3:GetObject as well; parts are listed whether or not they have checksums",
  },
} as const satisfies Readonly<Record<string, OperationRow>>;
