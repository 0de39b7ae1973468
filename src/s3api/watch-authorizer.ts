import type { Exchange } from "../http/exchange.ts";
import type { AuthDeps, AuthResult } from "./auth/verify.ts";
import { S3Error } from "./errors.ts";
import type { RequestGuard, Seating } from "./guard/request-guard.ts";
import { authenticateExchange } from "./pipeline.ts";
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
 * checked by the same verifier as every other one, and who guesses here is slowed down as there.
 */
export function createWatchAuthorizer(
  deps: AuthDeps,
  guard: RequestGuard,
): (exchange: Exchange) => boolean {
  return (exchange) => {
    let seating: Seating | undefined;
    try {
      seating = guard.admit(exchange);
      return mayWatch(exchange, authenticateExchange(exchange, deps), deps);
    } catch (failure) {
      if (!(failure instanceof S3Error)) throw failure;
      seating?.failed(failure);
      return false;
    } finally {
      seating?.leave();
    }
  };
}

function mayWatch(exchange: Exchange, auth: AuthResult, { region, nowMs }: AuthDeps): boolean {
  const { headers, target } = exchange;
  const { query } = splitTarget(target);
  const facts = { exchange, headers, query, auth, region, nowMs, operation: undefined };
  const { credential } = auth;
  const valuesOf = requestValues(facts, NOTHING);
  const asked = { caller: credential, action: WATCH_ACTION, resource: SERVICE, valuesOf };
  return decide(asked, credential.policies).allowed;
}
