import { S3Error } from "../errors.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { readDocument } from "../settings/bucket-setting.ts";
import { LIFECYCLE, readTransitionSize } from "../settings/lifecycle.ts";
import { answerSetting, requireDigest, storeSetting } from "./bucket-settings.ts";
import { readDocumentBody } from "./xml-body.ts";

const HEADER = "x-amz-transition-default-minimum-object-size";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html */
export async function putBucketLifecycle(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  requireDigest(call);
  const transitionSize = readTransitionSize(call.headers.get(HEADER));
  const body = await readDocumentBody(call, deps);
  if (body.length === 0) throw new S3Error("MissingRequestBodyError");
  const { rules } = readDocument(LIFECYCLE.document, body);
  await storeSetting(call, deps, LIFECYCLE, { rules, transitionSize });
  return emptyReply(200, [[HEADER, transitionSize]]);
}

const answerLifecycle = answerSetting(LIFECYCLE);

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html */
export async function getBucketLifecycle(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const reply = await answerLifecycle(call, deps);
  const { transitionSize } = LIFECYCLE.of(call.bucketSettings) ?? {};
  if (transitionSize !== undefined) reply.headers.push([HEADER, transitionSize]);
  return reply;
}
