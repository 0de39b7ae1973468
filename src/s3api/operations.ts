import { abortMultipartUpload } from "./handlers/abort-multipart-upload.ts";
import { appendObject } from "./handlers/append-object.ts";
import { completeMultipartUpload } from "./handlers/complete-multipart-upload.ts";
import { copyObject } from "./handlers/copy-object.ts";
import { createBucket } from "./handlers/create-bucket.ts";
import { createMultipartUpload } from "./handlers/create-multipart-upload.ts";
import { deleteBucket } from "./handlers/delete-bucket.ts";
import { deleteObject } from "./handlers/delete-object.ts";
import { deleteObjects } from "./handlers/delete-objects.ts";
import { getBucketLocation } from "./handlers/get-bucket-location.ts";
import { getObject } from "./handlers/get-object.ts";
import { headBucket } from "./handlers/head-bucket.ts";
import { headObject } from "./handlers/head-object.ts";
import { listBuckets } from "./handlers/list-buckets.ts";
import { listMultipartUploads } from "./handlers/list-multipart-uploads.ts";
import { listObjects } from "./handlers/list-objects.ts";
import { listObjectsV2 } from "./handlers/list-objects-v2.ts";
import { listParts } from "./handlers/list-parts.ts";
import {
  deleteObjectTagging,
  getObjectTagging,
  putObjectTagging,
} from "./handlers/object-tagging.ts";
import { putObject } from "./handlers/put-object.ts";
import { renameObject } from "./handlers/rename-object.ts";
import { uploadPart } from "./handlers/upload-part.ts";
import { uploadPartCopy } from "./handlers/upload-part-copy.ts";
import type { OperationRow } from "./operation.ts";
import { ACCESS_OPERATIONS } from "./operations-access.ts";
import { LOCK_OPERATIONS } from "./operations-locks.ts";
import { OPEN_OPERATIONS } from "./operations-open.ts";
import { SETTING_OPERATIONS } from "./operations-settings.ts";
import { UNIMPLEMENTED_OPERATIONS } from "./operations-unimplemented.ts";
import { VERSION_OPERATIONS } from "./operations-versions.ts";

const READ_PARAMETERS = [
  "partNumber",
  "response-cache-control",
  "response-content-disposition",
  "response-content-encoding",
  "response-content-language",
  "response-content-type",
  "response-expires",
  "versionId",
] as const;

/**
 * Every operation of S3, by AWS's name: how it is recognised, what it needs, who answers it. The
 * router, the authorisation, docs/S3.md and the tests all read this one table.
 */
export const OPERATIONS = {
  ...UNIMPLEMENTED_OPERATIONS,
  ...SETTING_OPERATIONS,
  ...OPEN_OPERATIONS,
  ...LOCK_OPERATIONS,
  ...ACCESS_OPERATIONS,
  ...VERSION_OPERATIONS,
  ListBuckets: {
    method: "GET",
    level: "service",
    params: ["bucket-region", "continuation-token", "max-buckets", "prefix"],
    action: "s3:ListAllMyBuckets",
    body: "none",
    handler: listBuckets,
    note: "shows the buckets the caller may list",
  },
  CreateBucket: {
    method: "PUT",
    level: "bucket",
    action: "s3:CreateBucket",
    perKey: true,
    body: "xml",
    handler: createBucket,
    note: "without a location constraint the bucket is created in the site's region",
  },
  HeadBucket: {
    method: "HEAD",
    level: "bucket",
    action: "s3:ListBucket",
    body: "none",
    handler: headBucket,
  },
  DeleteBucket: {
    method: "DELETE",
    level: "bucket",
    action: "s3:DeleteBucket",
    body: "none",
    handler: deleteBucket,
  },
  GetBucketLocation: {
    method: "GET",
    level: "bucket",
    query: { location: "" },
    action: "s3:GetBucketLocation",
    body: "none",
    handler: getBucketLocation,
  },
  ListObjects: {
    method: "GET",
    level: "bucket",
    params: ["delimiter", "encoding-type", "marker", "max-keys", "prefix"],
    action: "s3:ListBucket",
    body: "none",
    handler: listObjects,
  },
  ListObjectsV2: {
    method: "GET",
    level: "bucket",
    query: { "list-type": "2" },
    params: [
      "continuation-token",
      "delimiter",
      "encoding-type",
      "fetch-owner",
      "max-keys",
      "metadata",
      "prefix",
      "start-after",
    ],
    action: "s3:ListBucket",
    body: "none",
    handler: listObjectsV2,
  },
  ListMultipartUploads: {
    method: "GET",
    level: "bucket",
    query: { uploads: "" },
    params: [
      "delimiter",
      "encoding-type",
      "key-marker",
      "max-uploads",
      "prefix",
      "upload-id-marker",
    ],
    action: "s3:ListBucketMultipartUploads",
    body: "none",
    handler: listMultipartUploads,
  },
  DeleteObjects: {
    method: "POST",
    level: "bucket",
    query: { delete: "" },
    action: "s3:DeleteObject",
    perKey: true,
    body: "xml",
    handler: deleteObjects,
    note: "a checksum header is optional; an unsigned request has at most 256 KiB",
  },
  PutObject: {
    method: "PUT",
    level: "object",
    action: "s3:PutObject",
    wishes: true,
    body: "stream",
    handler: putObject,
    note: "If-None-Match takes entity tags as well as *",
  },
  GetObject: {
    method: "GET",
    level: "object",
    params: READ_PARAMETERS,
    action: "s3:GetObject",
    versionAction: "s3:GetObjectVersion",
    body: "none",
    handler: getObject,
  },
  HeadObject: {
    method: "HEAD",
    level: "object",
    params: READ_PARAMETERS,
    action: "s3:GetObject",
    versionAction: "s3:GetObjectVersion",
    body: "none",
    handler: headObject,
  },
  DeleteObject: {
    method: "DELETE",
    level: "object",
    params: ["versionId"],
    action: "s3:DeleteObject",
    versionAction: "s3:DeleteObjectVersion",
    body: "none",
    handler: deleteObject,
  },
  AppendObject: {
    method: "PUT",
    level: "object",
    header: "x-amz-write-offset-bytes",
    action: "s3:PutObject",
    wishes: true,
    body: "stream",
    handler: appendObject,
    note: "PutObject behind the end of an object",
  },
  RenameObject: {
    method: "PUT",
    level: "object",
    query: { renameObject: "" },
    action: "s3:PutObject",
    body: "none",
    handler: renameObject,
    note: "in any bucket; tokens of clients are remembered until the next start",
  },
  CopyObject: {
    method: "PUT",
    level: "object",
    header: "x-amz-copy-source",
    action: "s3:PutObject",
    wishes: true,
    body: "none",
    handler: copyObject,
    note: "shares the source's bytes: a copy of a multipart object keeps its ETag and parts",
  },
  CreateMultipartUpload: {
    method: "POST",
    level: "object",
    query: { uploads: "" },
    action: "s3:PutObject",
    wishes: true,
    body: "none",
    handler: createMultipartUpload,
  },
  UploadPart: {
    method: "PUT",
    level: "object",
    query: { partNumber: "", uploadId: "" },
    action: "s3:PutObject",
    body: "stream",
    handler: uploadPart,
  },
  UploadPartCopy: {
    method: "PUT",
    level: "object",
    query: { partNumber: "", uploadId: "" },
    header: "x-amz-copy-source",
    action: "s3:PutObject",
    body: "none",
    handler: uploadPartCopy,
  },
  ListParts: {
    method: "GET",
    level: "object",
    query: { uploadId: "" },
    params: ["encoding-type", "max-parts", "part-number-marker"],
    action: "s3:ListMultipartUploadParts",
    body: "none",
    handler: listParts,
  },
  CompleteMultipartUpload: {
    method: "POST",
    level: "object",
    query: { uploadId: "" },
    action: "s3:PutObject",
    body: "xml",
    handler: completeMultipartUpload,
    note: "a retry gets the first answer again",
  },
  AbortMultipartUpload: {
    method: "DELETE",
    level: "object",
    query: { uploadId: "" },
    action: "s3:AbortMultipartUpload",
    body: "none",
    handler: abortMultipartUpload,
  },
  GetObjectTagging: {
    method: "GET",
    level: "object",
    query: { tagging: "" },
    params: ["versionId"],
    action: "s3:GetObjectTagging",
    versionAction: "s3:GetObjectVersionTagging",
    body: "none",
    handler: getObjectTagging,
  },
  PutObjectTagging: {
    method: "PUT",
    level: "object",
    query: { tagging: "" },
    params: ["versionId"],
    action: "s3:PutObjectTagging",
    versionAction: "s3:PutObjectVersionTagging",
    perKey: true,
    body: "xml",
    handler: putObjectTagging,
  },
  DeleteObjectTagging: {
    method: "DELETE",
    level: "object",
    query: { tagging: "" },
    params: ["versionId"],
    action: "s3:DeleteObjectTagging",
    versionAction: "s3:DeleteObjectVersionTagging",
    body: "none",
    handler: deleteObjectTagging,
  },
} as const satisfies Readonly<Record<string, OperationRow>>;

export type OperationName = keyof typeof OPERATIONS;
