import type { HttpHandler } from "../http/exchange.ts";
import type { Random } from "../ports/random.ts";
import { S3Error } from "./errors.ts";
import { RequestIds } from "./request-ids.ts";
import { renderError } from "./xml/error-document.ts";

/** Answers S3 while there is no site yet: every client is told to come back in a moment. */
export function createWaitingService(random: Random): HttpHandler {
  const ids = new RequestIds(random);
  const error = new S3Error("SlowDown");
  return (exchange) => {
    const requestId = ids.next();
    const headers = [
      ["x-amz-request-id", requestId],
      ["x-amz-id-2", ids.hostId],
      ["Server", "Atoll"],
      ["Retry-After", "1"],
      ["Content-Type", "application/xml"],
    ] as const;
    if (exchange.method === "HEAD") {
      exchange.sendHead(error.status, headers, 0);
      return;
    }
    const resource = exchange.target.replace(/\?.*$/s, "");
    const body = renderError(error, { resource, requestId, hostId: ids.hostId });
    exchange.send(error.status, headers, body);
  };
}
