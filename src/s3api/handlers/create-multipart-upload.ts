import {
  encryptionOfNew,
  envelopeOfUpload,
  pushEncryption,
} from "../encryption/body-encryption.ts";
import { S3Error } from "../errors.ts";
import { pushAbortDate } from "../headers/lifecycle-headers.ts";
import { type HeaderLines, readObjectAttributes } from "../headers/object-headers.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { readChecksumPlan } from "./checksum-wish.ts";
import { lockOfUpload } from "./lock-of-write.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html */
export async function createMultipartUpload(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const { bucket, key } = call;
  const checksum = readChecksumPlan(call.headers);
  const encryption = encryptionOfNew(call, deps);
  const outcome = await deps.store.createUpload({
    bucket,
    key,
    initiator: call.auth.credential.id,
    attributes: readObjectAttributes(call.headers),
    encryption: encryption === undefined ? undefined : envelopeOfUpload(deps, encryption, bucket),
    checksum,
    lock: lockOfUpload(call, deps),
  });
  if (outcome.outcome === "no-such-bucket") {
    throw new S3Error("NoSuchBucket", { fields: { BucketName: bucket } });
  }
  const xml = new XmlWriter("InitiateMultipartUploadResult");
  xml.text("Bucket", bucket);
  xml.text("Key", key);
  xml.text("UploadId", outcome.upload.uploadId);
  const headers: HeaderLines = [];
  if (checksum !== undefined) {
    headers.push(["x-amz-checksum-algorithm", checksum.algorithm]);
    headers.push(["x-amz-checksum-type", checksum.type]);
  }
  pushEncryption(headers, encryption);
  pushAbortDate(headers, call.bucketSettings, outcome.upload);
  return xmlReply(xml.finish(), headers);
}
