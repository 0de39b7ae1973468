import { S3Error } from "../errors.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";

const REGION = "x-amz-bucket-region";

/** The service has found the bucket already. */
export function headBucket(_call: BucketCall, deps: HandlerDeps): Reply {
  return {
    kind: "head",
    status: 200,
    headers: [
      [REGION, deps.settings.region],
      ["Content-Type", "application/xml"],
    ],
    contentLength: 0,
  };
}

/**
 * A refusal to tell of a bucket, with its region: AWS names it to whoever asks, and clients that do
 * not know it ask unsigned. All buckets of a site are in one region, so that whether there is such
 * a bucket stays untold.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
 */
export function refusalWithRegion(failure: unknown, region: string): unknown {
  if (!(failure instanceof S3Error) || !REFUSALS.includes(failure.status)) return failure;
  const { code, message, fields, headers = [] } = failure;
  return new S3Error(code, { message, fields, headers: [...headers, [REGION, region]] });
}

/** What is signed wrongly, or by somebody who may not. */
const REFUSALS: readonly number[] = [400, 403];
