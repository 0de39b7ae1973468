import { unreachable } from "../../core/assert.ts";
import type { StoredBucket } from "../../storage/store.ts";
import { readIntegrityClaim } from "../body/integrity-claim.ts";
import { S3Error } from "../errors.ts";
import type { BucketCall, Handler, HandlerDeps } from "../operation.ts";
import { emptyReply, xmlReply } from "../reply.ts";
import { type BucketSetting, readDocument, writeDocument } from "../settings/bucket-setting.ts";
import { readDocumentBody } from "./xml-body.ts";

/** Shows a setting as its document; AWS's error, or the document of the default, without one. */
export function answerSetting<Value>(setting: BucketSetting<Value>): Handler<BucketCall> {
  const { absent, document } = setting;
  return (call) => {
    let value = setting.of(call.bucketSettings);
    if (value === undefined) {
      if ("error" in absent) {
        throw new S3Error(absent.error, { fields: { BucketName: call.bucket } });
      }
      value = absent.value;
    }
    const body = writeDocument(document, value);
    if (document.kind === "xml") return xmlReply(body);
    return { kind: "whole", status: 200, headers: [["Content-Type", "application/json"]], body };
  };
}

/** Replaces a setting by the document in the body, once all of it has been found good. */
export function replaceSetting<Value>(setting: BucketSetting<Value>): Handler<BucketCall> {
  return async (call, deps) => {
    if (setting.mustBeHashed === true) requireDigest(call);
    const body = await readDocumentBody(call, deps, setting.documentBytesMax);
    if (body.length === 0) throw new S3Error("MissingRequestBodyError");
    const value = readDocument(setting.document, body);
    // The bucket may have changed while its new setting was on the way.
    setting.check?.(value, bucketOf(call, deps).settings);
    await storeSetting(call, deps, setting, value);
    return emptyReply(setting.putStatus ?? 200);
  };
}

/** Takes a setting away; a bucket without it stays as it is, and the answer is the same. */
export function removeSetting<Value>(setting: BucketSetting<Value>): Handler<BucketCall> {
  return async (call, deps) => {
    await storeSetting(call, deps, setting, undefined);
    return emptyReply(204);
  };
}

/** Makes a value the bucket's own; resolves when it is durable and every request sees it. */
export async function storeSetting<Value>(
  call: BucketCall,
  deps: HandlerDeps,
  setting: BucketSetting<Value>,
  value: Value | undefined,
): Promise<void> {
  const { outcome } = await deps.store.putBucketSetting({
    bucket: call.bucket,
    name: setting.name,
    value: value === undefined ? undefined : setting.encode(value),
  });
  const fields = { BucketName: call.bucket };
  switch (outcome) {
    case "stored":
      return;
    case "no-such-bucket":
      throw new S3Error("NoSuchBucket", { fields });
    case "refused":
      throw new S3Error(setting.refused ?? "InvalidBucketState", { fields });
  }
  return unreachable(outcome);
}

/** The bucket of a request, which may have been deleted since the request was let in. */
export function bucketOf(call: BucketCall, deps: HandlerDeps): StoredBucket {
  const bucket = deps.store.bucket(call.bucket);
  if (bucket === undefined) {
    throw new S3Error("NoSuchBucket", { fields: { BucketName: call.bucket } });
  }
  return bucket;
}

/** For documents that AWS does not take without a digest; a signature of the body is none. */
export function requireDigest({ headers }: Pick<BucketCall, "headers">): void {
  const { md5, checksum } = readIntegrityClaim(headers);
  if (md5 !== undefined || checksum !== undefined) return;
  throw new S3Error("InvalidRequest", {
    message: "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
  });
}
