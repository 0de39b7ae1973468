import type { BucketSettings } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { CORS, parseCorsMethod } from "../settings/cors.ts";
import { answerCors, CORS_VARY } from "./match.ts";

/**
 * The CORS headers of an answer to a page of another origin, however the request ends; undefined
 * when the bucket has no rule for it. S3 judges by the method that the browser announces, if it
 * announces one.
 */
export function corsLines(
  request: { readonly method: string; readonly headers: RequestHeaders },
  origin: string,
  settings: BucketSettings,
): HeaderLines | undefined {
  const rules = CORS.of(settings);
  if (rules === undefined) return undefined;
  const method = parseCorsMethod(
    request.headers.get("access-control-request-method") ?? request.method,
  );
  const lines = answerCors(rules, { origin, method, headers: [] });
  return lines === undefined ? [CORS_VARY] : [...lines];
}
