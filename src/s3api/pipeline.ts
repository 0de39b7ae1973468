import { assert } from "../core/assert.ts";
import { HOME_SETTING } from "../core/home-site.ts";
import { type BucketName, type ObjectKey, wasEverBucketName } from "../core/names.ts";
import type { BucketSettings } from "../core/records.ts";
import type { Exchange } from "../http/exchange.ts";
import type { StoredBucket } from "../storage/store.ts";
import { requireWishesAllowed } from "./acl-wish.ts";
import { type AuthDeps, type AuthResult, authenticate } from "./auth/verify.ts";
import { type Allows, authorizer } from "./authorize.ts";
import { S3Error } from "./errors.ts";
import { refusalWithRegion } from "./handlers/head-bucket.ts";
import { withHoistedHeaders } from "./headers/header-list.ts";
import { requireComplete } from "./incomplete-site.ts";
import { answerOrigin, openRequest, visitWebsite } from "./open-pipeline.ts";
import type { BucketCall, Call, HandlerDeps, HomeVisit, OperationRow, Reply } from "./operation.ts";
import { OPERATIONS, type OperationName } from "./operations.ts";
import type { Trace } from "./responder.ts";
import { findOperation, type Route, refuseUnknownParameters, routeRequest } from "./router.ts";
import { screenHeaders } from "./screen.ts";
import type { Query } from "./target.ts";

/**
 * Routes a request; operations that authenticate by themselves (forms, preflights) are let in
 * first.
 */
export function answerRequest(
  trace: Trace,
  authDeps: AuthDeps,
  deps: HandlerDeps,
): Reply | Promise<Reply> {
  const { exchange } = trace;
  const { websiteDomain, domains } = deps.settings;
  if (websiteDomain !== undefined) {
    const visited = visitWebsite(trace, websiteDomain, authDeps, deps);
    if (visited !== undefined) return visited;
  }
  const route = routeRequest(exchange, domains);
  trace.bucket = route.bucketText;
  trace.key = route.key;
  answerOrigin(trace, route.bucket, deps);
  const { operation } = route;
  if (operation === undefined) return answerProven(trace, route, authDeps, deps);
  const row: OperationRow = OPERATIONS[operation];
  if (!("open" in row)) return answerProven(trace, route, authDeps, deps);
  trace.operation = operation;
  const screen = (): void => refuseUnknownParameters(operation, route.query);
  return row.open({ ...openRequest(trace, route, authDeps, deps), screen }, deps);
}

/**
 * Authenticates, authorises, screens and handles, in this order: nobody learns of what exists
 * before being allowed to, and nothing is done that was not asked for in full.
 */
function answerProven(
  trace: Trace,
  route: Route,
  authDeps: AuthDeps,
  deps: HandlerDeps,
): Reply | Promise<Reply> {
  try {
    const auth = authenticateExchange(trace.exchange, authDeps);
    return answerAs(trace, route, auth, deps);
  } catch (failure) {
    if (route.operation !== "HeadBucket") throw failure;
    throw refusalWithRegion(failure, deps.settings.region);
  }
}

/** Answers a request that another site has authenticated, and has brought here for its bucket. */
export function answerForwarded(
  trace: Trace,
  auth: AuthResult,
  deps: HandlerDeps,
): Reply | Promise<Reply> {
  // Below the domains of this site its host means nothing: it is addressed in path style.
  const route = routeRequest(trace.exchange, []);
  trace.bucket = route.bucketText;
  trace.key = route.key;
  trace.isForwarded = true;
  const row: OperationRow | undefined = route.operation && OPERATIONS[route.operation];
  if (row === undefined || "open" in row) throw new S3Error("MethodNotAllowed");
  return answerAs(trace, route, auth, deps);
}

function answerAs(
  trace: Trace,
  route: Route,
  auth: AuthResult,
  deps: HandlerDeps,
): Reply | Promise<Reply> {
  const { exchange } = trace;
  if (auth.credential.kind !== "anonymous") {
    trace.accessKey = auth.credential.id;
    trace.seating?.signedBy(auth.credential.id);
  }
  const headers = auth.presigned
    ? withHoistedHeaders(exchange.headers, route.query.entries)
    : exchange.headers;
  const { method } = exchange;
  const operation =
    headers === exchange.headers
      ? route.operation
      : findOperation(route.level, { method, headers }, route.query);
  if (operation === undefined) {
    throw new S3Error("MethodNotAllowed", { fields: { Method: method } });
  }
  trace.operation = operation;
  const row: OperationRow = OPERATIONS[operation];
  assert(!("open" in row), "operations that are open to everybody have been answered");
  const { nowMs, settings, store } = deps;
  const { region } = settings;
  const stored = route.bucket === undefined ? undefined : store.bucket(route.bucket);
  const facts = { exchange, headers, query: route.query, auth, region, nowMs, operation };
  const allows = authorizer(facts, deps, stored);
  if (row.perKey !== true) requireAllowed(allows, actionOf(row, route.query), route);
  if ("notImplemented" in row) {
    throw new S3Error("NotImplemented", {
      message: `${operation} is not implemented: ${row.notImplemented}.`,
      fields: { Operation: operation },
    });
  }
  refuseUnknownParameters(operation, route.query);
  requireComplete(store, operation);
  screenHeaders(headers, settings.ownerId, stored?.settings, row.header);
  const received = (bytes: number): void => {
    trace.inBytes += bytes;
  };
  const { query } = route;
  const call: Call = { exchange, headers, query, auth, allows, received };
  if (row.level === "service") return row.handler(call, deps);
  const addressed = addressedBucket(route, allows, stored, operation);
  const { name: bucket, settings: bucketSettings } = addressed;
  const place: Place = { bucket, bucketSettings, key: route.key };
  if (deps.home === undefined || !bucketSettings.has(HOME_SETTING)) {
    return handle(row, call, place, deps);
  }
  const visit: HomeVisit = {
    ...{ call: { ...call, ...place }, operation, isForwarded: trace.isForwarded },
    answer: () => handle(row, call, place, deps),
  };
  return deps.home.visit(visit, deps);
}

/** Hot path. */
function handle(
  row: Exclude<OperationRow, { readonly open: unknown } | { readonly notImplemented: string }>,
  call: Call,
  { bucket, bucketSettings, key }: Place,
  deps: HandlerDeps,
): Reply | Promise<Reply> {
  if (row.level === "service") return row.handler(call, deps);
  if (row.level === "bucket") return row.handler({ ...call, bucket, bucketSettings }, deps);
  if (key === undefined) throw new S3Error("InvalidURI");
  const { exchange, headers, query, auth, allows, received } = call;
  if (row.wishes === true) {
    requireWishesAllowed({ headers, allows, bucket, key, settings: bucketSettings });
  }
  // Written out: copying an object of unknown shape costs more than all of this.
  return row.handler(
    { exchange, headers, query, auth, allows, received, bucket, bucketSettings, key },
    deps,
  );
}

/** AWS has actions of their own for requests that name a version. */
function actionOf(row: OperationRow, query: Query): string {
  if (row.versionAction === undefined || !query.has("versionId")) return row.action;
  return row.versionAction;
}

/** Whoever signed this request's head; throws the S3Error to answer with when it is wrong. */
export function authenticateExchange(exchange: Exchange, deps: AuthDeps): AuthResult {
  const { method, target, headers } = exchange;
  const queryAt = target.indexOf("?");
  return authenticate(
    {
      method,
      rawPath: queryAt < 0 ? target : target.slice(0, queryAt),
      rawQuery: queryAt < 0 ? "" : target.slice(queryAt + 1),
      headers,
    },
    deps,
  );
}

function requireAllowed(allows: Allows, action: string, route: Route): void {
  if (!allows(action, route.bucketText, route.key)) throw new S3Error("AccessDenied");
}

type Place = Pick<BucketCall, "bucket" | "bucketSettings"> & {
  readonly key: ObjectKey | undefined;
};
type AddressedBucket = { readonly name: BucketName; readonly settings: BucketSettings };

const NO_SETTINGS: BucketSettings = new Map();

/** The bucket of a request, which must exist unless it is to be created. Hot path. */
function addressedBucket(
  route: Route,
  allows: Allows,
  stored: StoredBucket | undefined,
  operation: OperationName,
): AddressedBucket {
  const { bucket, bucketText = "" } = route;
  const fields = { BucketName: bucketText };
  if (operation === "CreateBucket") {
    if (bucket !== undefined) return { name: bucket, settings: NO_SETTINGS };
    throw new S3Error("InvalidBucketName", { fields });
  }
  if (stored !== undefined) return stored;
  // Nothing has been asked yet where the handler asks by itself.
  const { perKey }: OperationRow = OPERATIONS[operation];
  if (perKey === true && !allows("s3:ListBucket", bucketText)) throw new S3Error("AccessDenied");
  throw new S3Error(wasEverBucketName(bucketText) ? "NoSuchBucket" : "InvalidBucketName", {
    fields,
  });
}
