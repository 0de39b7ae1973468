import type { Exchange } from "../http/exchange.ts";
import { type AuthDeps, type AuthResult, authenticate } from "./auth/verify.ts";
import { type Allows, authorizer } from "./authorize.ts";
import { S3Error } from "./errors.ts";
import { withHoistedHeaders } from "./headers/header-list.ts";
import type { BucketCall, Call, HandlerDeps, OperationRow, Reply } from "./operation.ts";
import { OPERATIONS, type OperationName } from "./operations.ts";
import type { Trace } from "./responder.ts";
import { type Route, refuseUnknownParameters, routeRequest } from "./router.ts";
import { screenHeaders } from "./screen.ts";

/**
 * Route, authenticate, authorise, screen, handle: in this order, so that nobody learns of what
 * exists before being allowed to, and nothing is done that was not asked for in full.
 */
export function answerRequest(
  trace: Trace,
  authDeps: AuthDeps,
  deps: HandlerDeps,
): Reply | Promise<Reply> {
  const { exchange } = trace;
  const route = routeRequest(exchange, deps.settings.domains);
  trace.bucket = route.bucketText;
  trace.key = route.key;
  const auth = authenticateExchange(exchange, authDeps);
  trace.accessKey = auth.credential.id;
  const { operation } = route;
  if (operation === undefined) {
    throw new S3Error("MethodNotAllowed", { fields: { Method: exchange.method } });
  }
  trace.operation = operation;
  const row: OperationRow = OPERATIONS[operation];
  const headers = auth.presigned
    ? withHoistedHeaders(exchange.headers, route.query.entries)
    : exchange.headers;
  const allows = authorizer({ exchange, headers, query: route.query, auth });
  if (row.perKey !== true) requireAllowed(allows, row.action, route);
  if ("notImplemented" in row) {
    throw new S3Error("NotImplemented", {
      message: `${operation} is not implemented: ${row.notImplemented}.`,
      fields: { Operation: operation },
    });
  }
  refuseUnknownParameters(operation, route.query);
  screenHeaders(headers, deps.settings.ownerId);
  const call: Call = {
    exchange,
    requestId: trace.requestId,
    headers,
    query: route.query,
    auth,
    allows,
    received: (bytes) => {
      trace.inBytes += bytes;
    },
  };
  if (row.level === "service") return row.handler(call, deps);
  const bucketCall = bucketCallOf(call, route, deps, operation);
  if (row.level === "bucket") return row.handler(bucketCall, deps);
  if (route.key === undefined) throw new S3Error("InvalidURI");
  return row.handler({ ...bucketCall, key: route.key }, deps);
}

function authenticateExchange(exchange: Exchange, deps: AuthDeps): AuthResult {
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

/** Finds the bucket. Whoever reaches this may learn whether it exists, or is told nothing. */
function bucketCallOf(
  call: Call,
  route: Route,
  deps: HandlerDeps,
  operation: OperationName,
): BucketCall {
  const creates = operation === "CreateBucket";
  const { bucket, bucketText = "" } = route;
  const fields = { BucketName: bucketText };
  if (bucket === undefined && creates) throw new S3Error("InvalidBucketName", { fields });
  const stored = bucket === undefined ? undefined : deps.store.bucket(bucket);
  if (bucket === undefined || (stored === undefined && !creates)) {
    // Operations that ask for each key have not asked for the bucket.
    if (operation === "DeleteObjects" && !call.allows("s3:ListBucket", bucketText)) {
      throw new S3Error("AccessDenied");
    }
    throw new S3Error("NoSuchBucket", { fields });
  }
  return { ...call, bucket, stored };
}
