import type { HttpHandler } from "../http/exchange.ts";
import { S3Error } from "./errors.ts";
import { Responder, type ResponderDeps } from "./responder.ts";

/** Answers every request with SlowDown: while the site recovers, and clients had better wait. */
export function createSlowDownService(deps: ResponderDeps): HttpHandler {
  const responder = new Responder(deps);
  return (exchange) => responder.fail(responder.begin(exchange), new S3Error("SlowDown"));
}
