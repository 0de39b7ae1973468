import type { Level, OperationRow } from "./operation.ts";

type Method = OperationRow["method"];

const LATER = "planned for a later release";
const NEVER = "not offered by Atoll";

function row(
  method: Method,
  level: Level,
  subresources: string,
  options: { action: string; why?: string; params?: readonly string[]; header?: string },
): OperationRow {
  const query = Object.fromEntries(subresources.split("&").map((name) => [name, ""]));
  return {
    method,
    level,
    ...(subresources === "" ? {} : { query }),
    ...(options.header === undefined ? {} : { header: options.header }),
    params: options.params ?? [],
    action: `s3:${options.action}`,
    body: "none",
    notImplemented: options.why ?? LATER,
  };
}

const bucket = (method: Method, subresource: string, action: string, why = LATER): OperationRow =>
  row(method, "bucket", subresource, { action, why, params: ["id", "continuation-token"] });

const object = (method: Method, subresource: string, action: string, why = LATER): OperationRow =>
  row(method, "object", subresource, {
    action,
    why,
    params: ["versionId", "select-type", "max-parts", "part-number-marker"],
  });

/** Payloads beside an object, each under a name of its own. */
const annotation = (method: Method, action: string, isNamed = true): OperationRow =>
  row(method, "object", isNamed ? "annotation&annotationName" : "annotation", {
    action,
    why: NEVER,
    params: isNamed
      ? ["versionId"]
      : ["versionId", "annotation-prefix", "continuation-token", "max-annotation-results"],
  });

/** The rest of S3: recognised, and refused by its own name. */
export const UNIMPLEMENTED_OPERATIONS = {
  CreateSession: bucket("GET", "session", "CreateSession", NEVER),
  DeleteBucketAnalyticsConfiguration: bucket(
    "DELETE",
    "analytics",
    "PutAnalyticsConfiguration",
    NEVER,
  ),
  DeleteBucketIntelligentTieringConfiguration: bucket(
    "DELETE",
    "intelligent-tiering",
    "PutIntelligentTieringConfiguration",
    NEVER,
  ),
  DeleteBucketInventoryConfiguration: bucket(
    "DELETE",
    "inventory",
    "PutInventoryConfiguration",
    NEVER,
  ),
  DeleteBucketMetadataConfiguration: bucket(
    "DELETE",
    "metadataConfiguration",
    "DeleteBucketMetadataTableConfiguration",
    NEVER,
  ),
  DeleteBucketMetadataTableConfiguration: bucket(
    "DELETE",
    "metadataTable",
    "DeleteBucketMetadataTableConfiguration",
    NEVER,
  ),
  DeleteBucketMetricsConfiguration: bucket("DELETE", "metrics", "PutMetricsConfiguration", NEVER),
  DeleteObjectAnnotation: annotation("DELETE", "DeleteObjectAnnotation"),
  DeleteBucketReplication: bucket("DELETE", "replication", "PutReplicationConfiguration"),
  GetBucketAbac: bucket("GET", "abac", "GetBucketAbac", NEVER),
  GetBucketAnalyticsConfiguration: bucket(
    "GET",
    "analytics&id",
    "GetAnalyticsConfiguration",
    NEVER,
  ),
  ListBucketAnalyticsConfigurations: bucket("GET", "analytics", "GetAnalyticsConfiguration", NEVER),
  GetBucketIntelligentTieringConfiguration: bucket(
    "GET",
    "intelligent-tiering&id",
    "GetIntelligentTieringConfiguration",
    NEVER,
  ),
  ListBucketIntelligentTieringConfigurations: bucket(
    "GET",
    "intelligent-tiering",
    "GetIntelligentTieringConfiguration",
    NEVER,
  ),
  GetBucketInventoryConfiguration: bucket(
    "GET",
    "inventory&id",
    "GetInventoryConfiguration",
    NEVER,
  ),
  ListBucketInventoryConfigurations: bucket("GET", "inventory", "GetInventoryConfiguration", NEVER),
  GetBucketMetadataConfiguration: bucket(
    "GET",
    "metadataConfiguration",
    "GetBucketMetadataTableConfiguration",
    NEVER,
  ),
  GetBucketMetadataTableConfiguration: bucket(
    "GET",
    "metadataTable",
    "GetBucketMetadataTableConfiguration",
    NEVER,
  ),
  GetBucketMetricsConfiguration: bucket("GET", "metrics&id", "GetMetricsConfiguration", NEVER),
  ListBucketMetricsConfigurations: bucket("GET", "metrics", "GetMetricsConfiguration", NEVER),
  CreateBucketMetadataConfiguration: bucket(
    "POST",
    "metadataConfiguration",
    "CreateBucketMetadataTableConfiguration",
    NEVER,
  ),
  CreateBucketMetadataTableConfiguration: bucket(
    "POST",
    "metadataTable",
    "CreateBucketMetadataTableConfiguration",
    NEVER,
  ),
  ListObjectAnnotations: annotation("GET", "ListObjectAnnotations", false),
  PutObjectAnnotation: annotation("PUT", "PutObjectAnnotation"),
  UpdateBucketMetadataAnnotationTableConfiguration: bucket(
    "PUT",
    "metadataAnnotationTable",
    "UpdateBucketMetadataAnnotationTableConfiguration",
    NEVER,
  ),
  UpdateBucketMetadataInventoryTableConfiguration: bucket(
    "PUT",
    "metadataInventoryTable",
    "UpdateBucketMetadataInventoryTableConfiguration",
    NEVER,
  ),
  UpdateBucketMetadataJournalTableConfiguration: bucket(
    "PUT",
    "metadataJournalTable",
    "UpdateBucketMetadataJournalTableConfiguration",
    NEVER,
  ),
  GetObjectAnnotation: annotation("GET", "GetObjectAnnotation"),
  GetObjectTorrent: object("GET", "torrent", "GetObjectTorrent", NEVER),
  PutBucketAbac: bucket("PUT", "abac", "PutBucketAbac", NEVER),
  PutBucketAnalyticsConfiguration: bucket("PUT", "analytics", "PutAnalyticsConfiguration", NEVER),
  PutBucketIntelligentTieringConfiguration: bucket(
    "PUT",
    "intelligent-tiering",
    "PutIntelligentTieringConfiguration",
    NEVER,
  ),
  PutBucketInventoryConfiguration: bucket("PUT", "inventory", "PutInventoryConfiguration", NEVER),
  PutBucketMetricsConfiguration: bucket("PUT", "metrics", "PutMetricsConfiguration", NEVER),
  PutBucketNotificationConfiguration: bucket("PUT", "notification", "PutBucketNotification"),
  PutBucketReplication: bucket("PUT", "replication", "PutReplicationConfiguration"),
  RestoreObject: object("POST", "restore", "RestoreObject", NEVER),
  SelectObjectContent: object("POST", "select", "GetObject", NEVER),
  UpdateObjectEncryption: object("PUT", "encryption", "UpdateObjectEncryption"),
} as const satisfies Readonly<Record<string, OperationRow>>;
