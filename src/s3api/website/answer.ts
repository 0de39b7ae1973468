import { bucketInFront, hostNameOf } from "../../core/bucket-host.ts";
import { objectKeyProblem, parseObjectKey } from "../../core/names.ts";
import { S3Error } from "../errors.ts";
import { getObject } from "../handlers/get-object.ts";
import { headObject } from "../handlers/head-object.ts";
import { answerPreflight } from "../handlers/preflight.ts";
import { headersOf } from "../headers/header-list.ts";
import { whileIncomplete } from "../incomplete-site.ts";
import type { HandlerDeps, ObjectCall, OpenRequest, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { WEBSITE, type Website } from "../settings/website.ts";
import { decodePercent, EMPTY_QUERY } from "../target.ts";
import { errorHeaders, errorPage } from "./error-page.ts";
import {
  encodedKey,
  encodedText,
  pageKey,
  redirectAll,
  redirectByRules,
  type WebRedirect,
  type WebRequest,
} from "./routing.ts";

type Pages = Extract<Website, { kind: "pages" }>;

/** A visit has a query that says nothing, whatever it is. */
type WebsiteRequest = Omit<OpenRequest, "screen">;

/** A request to the website of a bucket that has pages. */
type Visit = {
  readonly request: WebsiteRequest;
  readonly deps: HandlerDeps;
  readonly web: WebRequest;
  readonly pages: Pages;
  /** Everything of the call but which key it is about. */
  readonly call: Omit<ObjectCall, "key">;
};

const REDIRECT_ATTRIBUTE = "x-amz-website-redirect-location";
const METHODS: readonly string[] = ["GET", "HEAD", "OPTIONS"];
/** Headers that ask about the page that was not found, and not about the one that says so. */
const ABOUT_THE_PAGE = /^(?:range|if-.*)$/;

/**
 * Answers a browser as a web server would: pages, redirects, and errors that people can read.
 * Nobody signs here, so that only what a bucket's policy shows to everybody can be seen.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html
 */
export function answerWebsite(request: WebsiteRequest, deps: HandlerDeps): Reply | Promise<Reply> {
  try {
    return openWebsite(request, deps);
  } catch (failure) {
    const error = requireClientError(whileIncomplete(deps.store, failure));
    return errorPage(error, request.requestId);
  }
}

/** Throws errors of the server on: they are rendered and logged where all others are. */
function requireClientError(failure: unknown): S3Error {
  if (failure instanceof S3Error && failure.status < 500) return failure;
  throw failure;
}

function openWebsite(request: WebsiteRequest, deps: HandlerDeps): Reply | Promise<Reply> {
  const { exchange, bucket, bucketText, received } = request;
  if (!METHODS.includes(exchange.method)) {
    throw new S3Error("MethodNotAllowed", {
      fields: { Method: exchange.method, ResourceType: "OBJECT" },
      headers: [["Allow", METHODS.join(", ")]],
    });
  }
  const stored = bucket === undefined ? undefined : deps.store.bucket(bucket);
  if (bucket === undefined || stored === undefined) {
    throw new S3Error("NoSuchBucket", { fields: { BucketName: bucketText } });
  }
  const website = WEBSITE.of(stored.settings);
  if (website === undefined) {
    throw new S3Error("NoSuchWebsiteConfiguration", { fields: { BucketName: bucketText } });
  }
  if (exchange.method === "OPTIONS") return answerPreflight(request, deps);
  const web = webRequestOf(request);
  if (website.kind === "redirect-all") return redirectReply(redirectAll(website, web));
  const { auth, allows } = request.anybody();
  const { headers } = exchange;
  const call = { ...{ exchange, headers, auth, allows, received, bucket }, query: EMPTY_QUERY };
  const visit = { request, deps, web, pages: website, call: withSettings(call, stored.settings) };
  const redirect = redirectByRules(website, web);
  if (redirect !== undefined) return redirectReply(redirect);
  return orErrorPage(visit, () => visitPage(visit));
}

function withSettings(
  call: Omit<ObjectCall, "key" | "bucketSettings">,
  bucketSettings: ObjectCall["bucketSettings"],
): Visit["call"] {
  return { ...call, bucketSettings };
}

function webRequestOf({ exchange }: WebsiteRequest): WebRequest {
  const path = exchange.target.split("?", 1)[0] ?? "/";
  const key = decodePercent(path.slice(1));
  if (key === undefined) throw new S3Error("InvalidURI", { fields: { URI: path } });
  return {
    key,
    protocol: exchange.secure ? "https" : "http",
    host: exchange.headers.get("host") ?? "",
  };
}

function visitPage(visit: Visit): Reply | Promise<Reply> {
  const { web, pages } = visit;
  const call = callFor(visit, pageKey(pages, web.key));
  requireVisible(call);
  const object = visit.deps.store.object(call.bucket, call.key);
  if (object === undefined && isFolder(visit)) {
    return redirectReply({ status: 302, location: `/${encodedKey(web.key)}/` });
  }
  const location = object?.record.attributes.system.find(([name]) => name === REDIRECT_ATTRIBUTE);
  if (location !== undefined)
    return redirectReply({ status: 301, location: encodedText(location[1]) });
  return read(call, visit.deps);
}

function requireVisible(call: ObjectCall): void {
  if (!call.allows("s3:GetObject", call.bucket, call.key)) throw new S3Error("AccessDenied");
}

/** Whether the key without its slash is that of a folder with an index document. */
function isFolder({ web, pages, call, deps }: Visit): boolean {
  if (web.key === "" || web.key.endsWith("/")) return false;
  const index = parseObjectKey(`${web.key}/${pages.indexSuffix}`);
  if (index === undefined || deps.store.object(call.bucket, index) === undefined) return false;
  return call.allows("s3:GetObject", call.bucket, index);
}

function callFor({ call }: Visit, keyText: string): ObjectCall {
  const key = parseObjectKey(keyText);
  if (key !== undefined) return { ...call, key };
  throw new S3Error(objectKeyProblem(keyText) === "too-long" ? "KeyTooLongError" : "InvalidURI");
}

function read(call: ObjectCall, deps: HandlerDeps): Reply | Promise<Reply> {
  return call.exchange.method === "HEAD" ? headObject(call, deps) : getObject(call, deps);
}

/** The answer; when it fails, what the website shows for that error. */
function orErrorPage(visit: Visit, answer: () => Reply | Promise<Reply>): Reply | Promise<Reply> {
  try {
    const reply = answer();
    if (!(reply instanceof Promise)) return reply;
    return reply.catch((failure: unknown) => showError(visit, failure));
  } catch (failure) {
    return showError(visit, failure);
  }
}

function showError(visit: Visit, failure: unknown): Reply | Promise<Reply> {
  const { request, pages, web } = visit;
  const error = requireClientError(whileIncomplete(visit.deps.store, failure));
  const redirect = redirectByRules(pages, web, error.status);
  if (redirect !== undefined) return redirectReply(redirect);
  const plain = (custom?: unknown): Reply =>
    errorPage(error, request.requestId, custom === undefined ? custom : requireClientError(custom));
  if (pages.errorKey === undefined) return plain();
  try {
    const document = errorDocument(visit, pages.errorKey);
    if (!(document instanceof Promise)) return withError(document, error);
    return document.then((reply) => withError(reply, error), plain);
  } catch (custom) {
    return plain(custom);
  }
}

function errorDocument(visit: Visit, errorKey: string): Reply | Promise<Reply> {
  const call = callFor(visit, errorKey);
  const lines = call.headers.entries.filter(([name]) => !ABOUT_THE_PAGE.test(name));
  requireVisible(call);
  return read({ ...call, headers: headersOf(lines) }, visit.deps);
}

function withError(reply: Reply, error: S3Error): Reply {
  return { ...reply, status: error.status, headers: [...reply.headers, ...errorHeaders(error)] };
}

function redirectReply({ status, location }: WebRedirect): Reply {
  return emptyReply(status, [["Location", location]]);
}

/**
 * The bucket in front of the website domain; undefined for a host that speaks S3. A longer domain
 * of S3 below it wins.
 */
export function websiteBucket(
  hostHeader: string,
  websiteDomain: string,
  domains: readonly string[],
): string | undefined {
  const host = hostNameOf(hostHeader);
  const bucket = bucketInFront(host, [websiteDomain]);
  return bucketInFront(host, [websiteDomain, ...domains]) === bucket ? bucket : undefined;
}
