import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import { UsageError } from "../core/usage-error.ts";
import type { Clock } from "../ports/clock.ts";
import type { Network } from "../ports/network.ts";

export type AdminReply = {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
};

/** Talks to a site's administration, however it is reached. */
export interface AdminClient {
  call(method: string, path: string, body?: unknown): Promise<AdminReply>;
  /** Gives the site free again, if it was opened for this command. */
  close(): Promise<void>;
}

const ANSWER_MS_MAX = 5000;

/** The administration of a running server, through its socket. */
export function connectAdminSocket(
  network: Network,
  socketPath: string,
  signal?: AbortSignal,
): AdminClient {
  return {
    async call(method, path, body) {
      const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const length = { "content-length": String(bytes?.length ?? 0) };
      const response = await network.request({
        target: { kind: "socket", path: socketPath },
        method,
        path: `/v1/admin/${path}`,
        headers: { host: "atoll", "content-type": "application/json", ...length },
        ...(bytes === undefined ? {} : { body: bytes }),
        ...(signal === undefined ? {} : { signal }),
      });
      return { status: response.status, body: parseBody(await readAll(response.body)) };
    },
    close: async () => undefined,
  };
}

/**
 * True when a server answers on the socket in good time; a socket file that nobody serves is no
 * server, and neither is one whose process stands still.
 */
export async function answersOnSocket(
  network: Network,
  clock: Clock,
  socketPath: string,
): Promise<boolean> {
  const patience = new AbortController();
  const cancel = clock.after(ANSWER_MS_MAX, () => patience.abort());
  try {
    const client = connectAdminSocket(network, socketPath, patience.signal);
    return (await client.call("GET", "status")).status < 500;
  } catch (failure) {
    if (failure instanceof Error) return false;
    throw failure;
  } finally {
    cancel();
  }
}

/** The body of a reply that succeeded; what went wrong otherwise, in the server's words. */
export function expectSuccess(reply: AdminReply): Readonly<Record<string, unknown>> {
  if (reply.status < 300) return reply.body;
  const { error } = reply.body;
  const message = isRecord(error) ? String(error["message"]) : `status ${reply.status}`;
  if (reply.status === 503) {
    // A server whose site is not open, or no more, says what it does instead.
    const isAlone = typeof reply.body["state"] === "string";
    const isAway = isRecord(error) && error["kind"] === "unreachable";
    throw new StorageFault(isAlone || isAway ? "unreachable" : "busy", message);
  }
  if (reply.status >= 500) throw new StorageFault("io", message);
  throw new UsageError(message);
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > 64 * LIMITS.jsonBodyBytesMax)
      throw new StorageFault("io", "the answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseBody(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  return isRecord(value) ? value : {};
}

/** Whether a parsed JSON value is an object, neither a list nor null. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
