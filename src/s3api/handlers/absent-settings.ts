import { S3Error, type S3ErrorCode } from "../errors.ts";
import type { BucketCall, Handler } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";

/**
 * Answers a question for a setting that Atoll does not have, as S3 does for a bucket without it:
 * with an error of its own, or an empty document. Clients ask such questions before they begin.
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
