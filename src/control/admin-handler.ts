import { LIMITS } from "../core/limits.ts";
import type { Exchange, HttpHandler } from "../http/exchange.ts";
import type { AdminApi } from "./admin.ts";
import { type AdminAnswer, adminProblem } from "./admin-call.ts";

/** Rises with every incompatible change of an answer under `/v1/admin/`. */
const ADMIN_SCHEMA_VERSION = 1;

/**
 * The administration as JSON over HTTP. For the admin socket only: whoever can open that file is
 * the operator, so nothing else is asked.
 */
export function createAdminHandler(
  api: AdminApi,
  onFailure: (failure: unknown) => void,
): HttpHandler {
  return (exchange) => {
    readBody(exchange)
      .then((body) => answer(api, exchange, body))
      .catch((failure: unknown) => {
        onFailure(failure);
        return adminProblem(500, "The request failed; the server's log says why.");
      })
      .then((result) => {
        if (result !== undefined) send(exchange, result);
      })
      .catch(onFailure);
  };
}

async function answer(
  api: AdminApi,
  exchange: Exchange,
  body: Buffer | "too-large" | undefined,
): Promise<AdminAnswer | undefined> {
  if (body === undefined) return undefined;
  if (body === "too-large") return adminProblem(413, "The request is too large.");
  const path = exchange.target.replace(/\?.*$/s, "");
  if (body.length === 0) return api.call({ method: exchange.method, path, body: undefined });
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch (failure) {
    if (failure instanceof SyntaxError) return adminProblem(400, "The request is not JSON.");
    throw failure;
  }
  return api.call({ method: exchange.method, path, body: parsed });
}

// Undefined when the client went away: there is nobody to answer.
function readBody(exchange: Exchange): Promise<Buffer | "too-large" | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    exchange.receive({
      data(bytes) {
        length += bytes.length;
        if (length > LIMITS.jsonBodyBytesMax) resolve("too-large");
        else chunks.push(Buffer.from(bytes));
      },
      end: () => resolve(Buffer.concat(chunks)),
      abort: () => resolve(undefined),
    });
  });
}

function send(exchange: Exchange, { status, body }: AdminAnswer): void {
  const text = JSON.stringify({ schema_version: ADMIN_SCHEMA_VERSION, ...body });
  exchange.send(status, [["content-type", "application/json"]], `${text}\n`);
}
