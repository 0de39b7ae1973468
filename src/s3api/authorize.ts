import type { Exchange, RequestHeaders } from "../http/exchange.ts";
import type { AuthResult } from "./auth/verify.ts";
import type { Query } from "./target.ts";

/** Whether the caller may do this; a bucket or key left out means the service or the bucket. */
export type Allows = (action: string, bucket?: string, key?: string) => boolean;

export function authorizer(request: {
  readonly exchange: Exchange;
  readonly headers: RequestHeaders;
  readonly query: Query;
  readonly auth: AuthResult;
}): Allows {
  return () => request.auth.credential.kind === "root";
}
