import { createHash } from "node:crypto";

/** What a route needs to be asked in earnest, so that a forgery that got through would count. */
export type RouteSample = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

/** Fixed places that the fixture creates before the matrix runs. */
export const MATRIX_BUCKET = "matrix-bucket";
export const MATRIX_KEY = "folder/key";
export const OTHER_BUCKET = "other-bucket";

const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
const document = (root: string, inner: string): RouteSample => {
  const body = `<${root} ${NAMESPACE}>${inner}</${root}>`;
  return { body, headers: { "content-md5": createHash("md5").update(body).digest("base64") } };
};
const copySource = { headers: { "x-amz-copy-source": `/${MATRIX_BUCKET}/${MATRIX_KEY}` } };
const tagSet = "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>";
const later = "2099-01-01T00:00:00Z";

const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Principal: "*",
      Action: "s3:GetObject",
      Resource: `arn:aws:s3:::${MATRIX_BUCKET}/public/*`,
    },
  ],
});

/** Routes that need a body or headers. */
const SAMPLES: Readonly<Record<string, RouteSample>> = {
  CompleteMultipartUpload: document(
    "CompleteMultipartUpload",
    "<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>",
  ),
  AppendObject: { body: "z".repeat(20_000), headers: { "x-amz-write-offset-bytes": "0" } },
  CopyObject: copySource,
  CreateBucket: document(
    "CreateBucketConfiguration",
    "<LocationConstraint>us-east-1</LocationConstraint>",
  ),
  DeleteObjects: document("Delete", `<Object><Key>${MATRIX_KEY}</Key></Object>`),
  GetObjectAttributes: { headers: { "x-amz-object-attributes": "ETag,ObjectSize" } },
  OptionsBucket: { headers: { origin: "https://a.test", "access-control-request-method": "PUT" } },
  OptionsObject: { headers: { origin: "https://a.test", "access-control-request-method": "PUT" } },
  PutBucketAccelerateConfiguration: document(
    "AccelerateConfiguration",
    "<Status>Suspended</Status>",
  ),
  PutBucketAcl: { headers: { "x-amz-acl": "private" } },
  PutBucketCors: document(
    "CORSConfiguration",
    "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>",
  ),
  PutBucketEncryption: document(
    "ServerSideEncryptionConfiguration",
    "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>" +
      "</ApplyServerSideEncryptionByDefault></Rule>",
  ),
  PutBucketLifecycleConfiguration: document(
    "LifecycleConfiguration",
    "<Rule><ID>a</ID><Filter><Prefix>old/</Prefix></Filter><Status>Enabled</Status>" +
      "<Expiration><Days>1</Days></Expiration></Rule>",
  ),
  PutBucketLogging: document("BucketLoggingStatus", ""),
  PutBucketNotificationConfiguration: document("NotificationConfiguration", ""),
  PutBucketOwnershipControls: document(
    "OwnershipControls",
    "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>",
  ),
  PutBucketPolicy: { body: POLICY },
  PutBucketRequestPayment: document("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
  PutBucketTagging: document("Tagging", tagSet),
  PutBucketVersioning: document("VersioningConfiguration", "<Status>Enabled</Status>"),
  PutBucketWebsite: document(
    "WebsiteConfiguration",
    "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>",
  ),
  PutObject: { body: "x".repeat(20_000), headers: { "x-amz-meta-colour": "blue" } },
  PutObjectAcl: { headers: { "x-amz-acl": "private" } },
  PutObjectLegalHold: document("LegalHold", "<Status>ON</Status>"),
  PutObjectLockConfiguration: document(
    "ObjectLockConfiguration",
    "<ObjectLockEnabled>Enabled</ObjectLockEnabled>",
  ),
  PutObjectRetention: document(
    "Retention",
    `<Mode>GOVERNANCE</Mode><RetainUntilDate>${later}</RetainUntilDate>`,
  ),
  PutObjectTagging: document("Tagging", tagSet),
  PutPublicAccessBlock: document(
    "PublicAccessBlockConfiguration",
    "<BlockPublicAcls>true</BlockPublicAcls>",
  ),
  RenameObject: { headers: { "x-amz-rename-source": `/${MATRIX_BUCKET}/${MATRIX_KEY}` } },
  UploadPart: { body: "y".repeat(20_000) },
  UploadPartCopy: copySource,
};

/** Routes whose line says everything. */
const PLAIN = [
  ...["AbortMultipartUpload", "CreateBucketMetadataConfiguration", "CreateSession"],
  ...["CreateBucketMetadataTableConfiguration", "CreateMultipartUpload", "DeleteBucket"],
  ...["DeleteBucketAnalyticsConfiguration", "DeleteBucketCors", "DeleteBucketEncryption"],
  ...["DeleteBucketIntelligentTieringConfiguration", "DeleteBucketInventoryConfiguration"],
  ...["DeleteBucketLifecycle", "DeleteBucketMetadataConfiguration", "DeleteBucketPolicy"],
  ...["DeleteBucketMetadataTableConfiguration", "DeleteBucketMetricsConfiguration"],
  ...["DeleteBucketOwnershipControls", "DeleteBucketReplication", "DeleteBucketTagging"],
  ...["DeleteObjectAnnotation", "GetObjectAnnotation", "ListObjectAnnotations"],
  ...["PutObjectAnnotation", "UpdateBucketMetadataAnnotationTableConfiguration"],
  ...["DeleteBucketWebsite", "DeleteObject", "DeleteObjectTagging", "DeletePublicAccessBlock"],
  ...["GetBucketAbac", "GetBucketAccelerateConfiguration", "GetBucketAcl", "GetBucketCors"],
  ...["GetBucketAnalyticsConfiguration", "GetBucketEncryption", "GetBucketLocation"],
  ...["GetBucketIntelligentTieringConfiguration", "GetBucketInventoryConfiguration"],
  ...["GetBucketLifecycleConfiguration", "GetBucketLogging", "GetBucketMetadataConfiguration"],
  ...["GetBucketMetadataTableConfiguration", "GetBucketMetricsConfiguration", "GetBucketPolicy"],
  ...["GetBucketNotificationConfiguration", "GetBucketOwnershipControls", "GetBucketTagging"],
  ...["GetBucketPolicyStatus", "GetBucketReplication", "GetBucketRequestPayment", "GetObject"],
  ...["GetBucketVersioning", "GetBucketWebsite", "GetObjectAcl", "GetObjectLegalHold"],
  ...["GetObjectLockConfiguration", "GetObjectRetention", "GetObjectTagging", "GetObjectTorrent"],
  ...["GetPublicAccessBlock", "HeadBucket", "HeadObject", "ListBucketAnalyticsConfigurations"],
  ...["ListBucketIntelligentTieringConfigurations", "ListBucketInventoryConfigurations"],
  ...["ListBucketMetricsConfigurations", "ListBuckets", "ListMultipartUploads", "ListObjects"],
  ...["ListObjectVersions", "ListObjectsV2", "ListParts", "PostObject", "PutBucketAbac"],
  ...["PutBucketAnalyticsConfiguration", "PutBucketIntelligentTieringConfiguration"],
  ...["PutBucketInventoryConfiguration", "PutBucketMetricsConfiguration", "PutBucketReplication"],
  ...["RestoreObject", "SelectObjectContent", "UpdateBucketMetadataInventoryTableConfiguration"],
  ...["UpdateBucketMetadataJournalTableConfiguration", "UpdateObjectEncryption"],
];

/** A row for every route, by AWS's name; a route without one fails the build. */
export const ROUTE_SAMPLES: ReadonlyMap<string, RouteSample> = new Map<string, RouteSample>([
  ...PLAIN.map((name) => [name, {}] as const),
  ...Object.entries(SAMPLES),
]);
