import {
  type BucketName,
  type ObjectKey,
  objectKeyProblem,
  parseBucketName,
  parseObjectKey,
  wasEverBucketName,
} from "../../core/names.ts";
import { S3Error } from "../errors.ts";
import { decodeForm } from "../target.ts";
import { parseVersionRef, type VersionRef } from "./version-ref.ts";

export type CopySource = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  /** Undefined: the current version. */
  readonly version: VersionRef | undefined;
};

const WANTED =
  "Copy Source must mention the source bucket and key: /sourcebucket/sourcekey, percent-encoded";

/**
 * `bucket/key` of a source, decoded once, without what clients write before and after it; undefined
 * when it cannot be decoded. A plus sign is a space, as AWS reads it: what encodes spaces as forms
 * do finds its objects, and what leaves a plus sign as it is does not, there and here.
 */
export function copySourcePath(header: string): string | undefined {
  const queryAt = header.indexOf("?");
  const path = queryAt < 0 ? header : header.slice(0, queryAt);
  return decodeForm(path.startsWith("/") ? path.slice(1) : path);
}

/**
 * Reads `x-amz-copy-source`: `/bucket/key?versionId=V`. What comes out is what is authorised and
 * what is read.
 */
export function parseCopySource(header: string): CopySource {
  if (header.startsWith("arn:")) {
    throw new S3Error("NotImplemented", { fields: { Header: "x-amz-copy-source" } });
  }
  const queryAt = header.indexOf("?");
  const decoded = copySourcePath(header);
  const slashAt = decoded === undefined ? -1 : decoded.indexOf("/");
  if (decoded === undefined || slashAt <= 0) throw invalidSource(header);
  const keyText = decoded.slice(slashAt + 1);
  const problem = objectKeyProblem(keyText);
  if (problem === "too-long") throw new S3Error("KeyTooLongError");
  const key = parseObjectKey(keyText);
  if (key === undefined) throw invalidSource(header);
  const bucketText = decoded.slice(0, slashAt);
  if (!wasEverBucketName(bucketText)) {
    throw invalidSource(header, "Invalid copy source bucket name");
  }
  const bucket = parseBucketName(bucketText);
  if (bucket === undefined)
    throw new S3Error("NoSuchBucket", { fields: { BucketName: bucketText } });
  return { bucket, key, version: versionOf(header, queryAt) };
}

function versionOf(header: string, queryAt: number): VersionRef | undefined {
  if (queryAt < 0) return undefined;
  const match = /^versionId=([^&]*)$/.exec(header.slice(queryAt + 1));
  if (match === null) throw invalidSource(header);
  const decoded = decodeForm(match[1] ?? "");
  if (decoded === undefined) throw invalidSource(header);
  return parseVersionRef(decoded, "x-amz-copy-source");
}

function invalidSource(header: string, message = WANTED): S3Error {
  return new S3Error("InvalidArgument", {
    message,
    fields: { ArgumentName: "x-amz-copy-source", ArgumentValue: header },
  });
}
