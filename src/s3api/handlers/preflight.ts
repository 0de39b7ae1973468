import { answerCors, CORS_VARY, splitHeaderNames } from "../cors/match.ts";
import { S3Error } from "../errors.ts";
import type { HandlerDeps, OpenRequest, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { CORS, parseCorsMethod } from "../settings/cors.ts";

/**
 * Tells a browser what a page of another origin may send. A preflight is never signed, and says
 * nothing of what is stored but that the bucket is there.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html
 */
export function answerPreflight(
  request: Pick<OpenRequest, "bucket" | "bucketText" | "key" | "exchange">,
  deps: HandlerDeps,
): Reply {
  const { bucket, bucketText, key } = request;
  const { headers } = request.exchange;
  const origin = headers.get("origin");
  if (origin === undefined) {
    throw badRequest("Insufficient information. Origin request header needed.");
  }
  const methodText = headers.get("access-control-request-method");
  const method = methodText === undefined ? undefined : parseCorsMethod(methodText);
  if (method === undefined) {
    throw badRequest(`Invalid Access-Control-Request-Method: ${methodText ?? "null"}`);
  }
  const stored = bucket === undefined ? undefined : deps.store.bucket(bucket);
  if (stored === undefined) {
    throw new S3Error("NoSuchBucket", { fields: { BucketName: bucketText } });
  }
  const fields = { Method: method, ResourceType: key === undefined ? "BUCKET" : "OBJECT" };
  const rules = CORS.of(stored.settings);
  if (rules === undefined) {
    const message = "CORSResponse: CORS is not enabled for this bucket.";
    throw new S3Error("AccessForbidden", { message, fields });
  }
  const asked = splitHeaderNames(headers.get("access-control-request-headers"));
  const lines = answerCors(rules, { origin, method, headers: asked });
  if (lines === undefined) {
    throw new S3Error("AccessForbidden", { fields, headers: [CORS_VARY] });
  }
  return emptyReply(200, [...lines]);
}

function badRequest(message: string): S3Error {
  return new S3Error("BadRequest", { message });
}
