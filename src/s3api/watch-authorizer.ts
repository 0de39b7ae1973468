import type { Exchange } from "../http/exchange.ts";
import { type AuthDeps, authenticate } from "./auth/verify.ts";
import { authorizer } from "./authorize.ts";
import { S3Error } from "./errors.ts";
import { splitTarget } from "./target.ts";

/** What a key must be granted to read the site's stats and metrics. */
const WATCH_ACTION = "atoll:Stats";

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
      return authorizer({ exchange, headers, query, auth })(WATCH_ACTION);
    } catch (failure) {
      if (failure instanceof S3Error) return false;
      throw failure;
    }
  };
}
