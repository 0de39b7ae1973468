import type { BucketSettings } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { CORS, parseCorsMethod } from "../settings/cors.ts";
import { answerCors, CORS_VARY } from "./match.ts";

/**
 * What the answer to a request from a page of another origin has to carry, however the request
 * ends; undefined when the bucket says nothing about other origins. S3 judges by the method a
 * browser announces, if it does.
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
