import type { Exchange } from "../http/exchange.ts";
import { type AuthDeps, authenticate } from "./auth/verify.ts";
import { S3Error } from "./errors.ts";
import { decide, resourceArn } from "./policy/decide.ts";
import { type AskedFor, requestValues } from "./request-values.ts";
import { splitTarget } from "./target.ts";

/** What a key must be granted to read the site's stats and metrics. */
const WATCH_ACTION = "atoll:Stats";

const SERVICE = resourceArn(undefined, undefined);
/** Neither a bucket nor an object is asked for. */
const NOTHING: AskedFor = {
  bucket: undefined,
  key: undefined,
  known: undefined,
  tagsOf: () => [],
};

/**
 * Tells whether a request outside S3 is signed by a key that may watch the site. The signature is
 * checked by the same verifier as every other one.
 */
export function createWatchAuthorizer(deps: AuthDeps): (exchange: Exchange) => boolean {
  return (exchange) => {
    const { method, target, headers } = exchange;
    const queryAt = target.indexOf("?");
    const rawPath = queryAt < 0 ? target : target.slice(0, queryAt);
    const rawQuery = queryAt < 0 ? "" : target.slice(queryAt + 1);
    try {
      const auth = authenticate({ method, rawPath, rawQuery, headers }, deps);
      const { query } = splitTarget(target);
      const { region, nowMs } = deps;
      const facts = { exchange, headers, query, auth, region, nowMs, operation: undefined };
      const { credential } = auth;
      const valuesOf = requestValues(facts, NOTHING);
      const asked = { caller: credential, action: WATCH_ACTION, resource: SERVICE, valuesOf };
      return decide(asked, credential.policies).allowed;
    } catch (failure) {
      if (failure instanceof S3Error) return false;
      throw failure;
    }
  };
}
