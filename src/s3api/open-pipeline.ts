import { type BucketName, type ObjectKey, parseBucketName } from "../core/names.ts";
import type { RequestHeaders } from "../http/exchange.ts";
import { ANYBODY, type AuthDeps, type AuthResult, authenticateForm } from "./auth/verify.ts";
import { authorizer } from "./authorize.ts";
import { corsLines } from "./cors/actual-request.ts";
import { headersOf } from "./headers/header-list.ts";
import type { HandlerDeps, Identity, OpenRequest, Reply } from "./operation.ts";
import type { Trace } from "./responder.ts";
import { EMPTY_QUERY } from "./target.ts";
import { answerWebsite, websiteBucket } from "./website/answer.ts";

/** Where an open request is addressed. */
type Address = {
  readonly bucketText: string | undefined;
  readonly bucket: BucketName | undefined;
  readonly key: ObjectKey | undefined;
};

/** Headers of the request itself that policies ask about, beside what a form says. */
const BROWSER_HEADERS = ["referer", "user-agent"];

/** Makes the request for a handler that finds out by itself who sends it. */
export function openRequest(
  trace: Trace,
  address: Address,
  authDeps: AuthDeps,
  deps: HandlerDeps,
): Omit<OpenRequest, "screen"> {
  const { exchange, requestId } = trace;
  const { bucketText = "", bucket, key } = address;
  const identity = (auth: AuthResult, headers: RequestHeaders): Identity => {
    const { region } = deps.settings;
    const { nowMs } = deps;
    const { operation } = trace;
    const facts = { exchange, headers, query: EMPTY_QUERY, auth, region, nowMs, operation };
    const stored = bucket === undefined ? undefined : deps.store.bucket(bucket);
    return { auth, allows: authorizer(facts, deps, stored) };
  };
  return {
    ...{ exchange, requestId, bucketText, bucket, key },
    identify: (claim, headers) => {
      const { method, target } = exchange;
      const [rawPath = "", rawQuery = ""] = target.split("?", 2);
      const request = { method, rawPath, rawQuery, headers: exchange.headers };
      const auth = authenticateForm(request, claim, authDeps);
      if (claim !== undefined) {
        trace.accessKey = auth.credential.id;
        trace.seating?.signedBy(auth.credential.id);
      }
      const seen = exchange.headers.entries.filter(([name]) => BROWSER_HEADERS.includes(name));
      if (claim !== undefined) seen.push(["x-amz-date", claim.time.text]);
      return identity(auth, headersOf([...headers.entries, ...seen]));
    },
    anybody: () => identity(ANYBODY, exchange.headers),
    keyFound: (found) => {
      trace.key = found;
    },
    received: (bytes) => {
      trace.inBytes += bytes;
    },
  };
}

/** Sees to it that a page of another origin can read the answer, where the bucket lets it. */
export function answerOrigin(
  trace: Trace,
  bucket: BucketName | undefined,
  deps: HandlerDeps,
): void {
  const { headers, method } = trace.exchange;
  const origin = headers.get("origin");
  // A preflight gets them as its whole answer.
  if (origin === undefined || method === "OPTIONS") return;
  const stored = bucket === undefined ? undefined : deps.store.bucket(bucket);
  if (stored !== undefined) trace.corsLines = corsLines(trace.exchange, origin, stored.settings);
}

/** The answer of a website, when the host is that of one; undefined for requests of S3. */
export function visitWebsite(
  trace: Trace,
  websiteDomain: string,
  authDeps: AuthDeps,
  deps: HandlerDeps,
): Reply | Promise<Reply> | undefined {
  const { exchange } = trace;
  const host = exchange.headers.get("host") ?? "";
  const bucketText = websiteBucket(host, websiteDomain, deps.settings.domains);
  if (bucketText === undefined) return undefined;
  const bucket = parseBucketName(bucketText);
  trace.operation = "Website";
  trace.bucket = bucketText;
  answerOrigin(trace, bucket, deps);
  const address = { bucketText, bucket, key: undefined };
  return answerWebsite(openRequest(trace, address, authDeps, deps), deps);
}
