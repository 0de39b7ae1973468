import { type Agent, request as httpRequest } from "node:http";
import { signedHeaders } from "../support/raw-http.ts";
import type { CrashServer, RootKey } from "./crash-server.ts";

/** Long enough for a loaded machine; a request that needs it hangs. */
const GUARD_MS = 30_000;

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** What stands in `<Code>`, or "". */
  readonly code: string;
};

export type Ask = {
  readonly method: string;
  /** Path and query, percent-encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
};

/** The server went away before its answer was whole: nothing is known of the request. */
export class NoAnswer extends Error {}

/** Sends signed requests to one server; its `send` rejects with NoAnswer. */
export type Client = { send(ask: Ask): Promise<Answer> };

export function createClient(server: CrashServer, key: RootKey): Client {
  const { address, agent } = server;
  return {
    send: ({ method, path, headers, body }) => {
      const unsigned = { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", ...headers };
      const signed = signedHeaders({ host: address }, { method, path, ...key, headers: unsigned });
      const length = { "Content-Length": String(Buffer.byteLength(body ?? "")) };
      return exchange({ address, agent, method, path, body, headers: { ...signed, ...length } });
    },
  };
}

type Sent = {
  readonly address: string;
  readonly agent: Agent;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string | undefined;
};

function exchange({ address, body, ...sent }: Sent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const [host, port] = address.split(":");
    const name = `${sent.method} ${sent.path}`;
    const lost = (failure: Error): void => reject(new NoAnswer(`${name}: ${failure.message}`));
    const asked = httpRequest({ host, port, ...sent }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on("data", (piece: Buffer) => pieces.push(piece));
      answer.on("error", lost);
      answer.on("end", () => {
        const whole = Buffer.concat(pieces);
        const code = /<Code>([^<]*)<\/Code>/.exec(whole.subarray(0, 4096).toString("latin1"));
        const { statusCode: status = 0, headers } = answer;
        resolve({ status, headers, body: whole, code: code?.[1] ?? "" });
      });
    });
    asked.setTimeout(GUARD_MS, () => {
      reject(new Error(`${name} hangs: no whole answer in ${GUARD_MS} ms`));
      asked.destroy();
    });
    asked.on("error", lost);
    asked.end(body);
  });
}
