import {
  type BucketVersioningStatus,
  type DeleteMarkerEntry,
  GetObjectCommand,
  ListObjectVersionsCommand,
  type ObjectVersion,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { makeBucket } from "./sdk.ts";

/** Enables or suspends the versioning of a bucket. */
export async function setVersioning(
  s3: S3Client,
  Bucket: string,
  Status: BucketVersioningStatus,
): Promise<void> {
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }));
}

/** Makes a bucket that keeps versions. */
export async function makeVersionedBucket(s3: S3Client): Promise<string> {
  const Bucket = await makeBucket(s3);
  await setVersioning(s3, Bucket, "Enabled");
  return Bucket;
}

/** Stores one version and gives its id, or "" when the answer names none. */
export async function putVersion(
  s3: S3Client,
  target: { readonly Bucket: string; readonly Key: string },
  Body: string,
): Promise<string> {
  const { VersionId } = await s3.send(new PutObjectCommand({ ...target, Body }));
  return VersionId ?? "";
}

/** The text of an object, or of one version of it. */
export async function textOf(
  s3: S3Client,
  target: { readonly Bucket: string; readonly Key: string; readonly VersionId?: string },
): Promise<string> {
  const { Body } = await s3.send(new GetObjectCommand(target));
  return (await Body?.transformToString()) ?? "";
}

/** Versions and delete markers of a bucket, each as "key id latest" or "key id latest marker". */
export async function historyOf(s3: S3Client, Bucket: string, Prefix = ""): Promise<string[]> {
  const page = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix }));
  const line = (entry: ObjectVersion | DeleteMarkerEntry, kind: string): string =>
    `${entry.Key} ${entry.VersionId}${entry.IsLatest === true ? " latest" : ""}${kind}`;
  return [
    ...(page.Versions ?? []).map((version) => line(version, "")),
    ...(page.DeleteMarkers ?? []).map((marker) => line(marker, " marker")),
  ];
}
