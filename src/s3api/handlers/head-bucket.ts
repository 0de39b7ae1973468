import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";

/** The service has found the bucket already. */
export function headBucket(_call: BucketCall, deps: HandlerDeps): Reply {
  return {
    kind: "head",
    status: 200,
    headers: [
      ["x-amz-bucket-region", deps.settings.region],
      ["Content-Type", "application/xml"],
    ],
    contentLength: 0,
  };
}
