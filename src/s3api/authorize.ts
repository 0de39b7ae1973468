import type { Exchange, RequestHeaders } from "../http/exchange.ts";
import type { AuthResult } from "./auth/verify.ts";
import { decide, resourceArn } from "./policy/decide.ts";
import type { Query } from "./target.ts";

/** Whether the caller may do this; a bucket or key left out means the service or the bucket. */
export type Allows = (action: string, bucket?: string, key?: string) => boolean;

const EVERYTHING: Allows = () => true;

/** What the caller of a request may do. */
export function authorizer(request: {
  readonly exchange: Exchange;
  readonly headers: RequestHeaders;
  readonly query: Query;
  readonly auth: AuthResult;
}): Allows {
  const { credential } = request.auth;
  if (credential.kind === "root") return EVERYTHING;
  return (action, bucket, key) =>
    decide({ action, resource: resourceArn(bucket, key) }, credential).allowed;
}
