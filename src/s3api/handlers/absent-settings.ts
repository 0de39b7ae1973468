import { S3Error, type S3ErrorCode } from "../errors.ts";
import type { BucketCall, Handler } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";

/**
 * Clients ask for settings before they begin. No bucket has one yet, and S3's answer for a bucket
 * without the setting is then the truth: an error of its own, or an empty document.
 */
export function answerNotConfigured(code: S3ErrorCode): Handler<BucketCall> {
  return (call) => {
    throw new S3Error(code, { fields: { BucketName: call.bucket } });
  };
}

/** An empty document of that name. */
export function answerEmpty(root: string): Handler<BucketCall> {
  return () => xmlReply(new XmlWriter(root).finish());
}
