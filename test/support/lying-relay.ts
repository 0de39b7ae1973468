import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type PeerKeys, signedAnswerHeaders } from "./forged-peer.ts";
import { listenLocally } from "./listen-locally.ts";

/** An answer of the honest site, on its way to who asked. */
export type RelayedAnswer = {
  readonly path: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
};

/** What becomes of an answer. */
export type Lie = (answer: RelayedAnswer) =>
  | { readonly kind: "as-it-is" }
  /** Another status or body, signed with the site's own key: the site itself lies. */
  | { readonly kind: "signed"; readonly status?: number; readonly body: Buffer }
  /** The same, with the headers as they were or with others, as somebody on the way would. */
  | {
      readonly kind: "altered";
      readonly status?: number;
      readonly body?: Buffer;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Half of the body, and then nothing. */
  | { readonly kind: "cut" }
  /** Bytes without end. */
  | { readonly kind: "endless" };

export type LyingRelay = {
  readonly port: number;
  /** How answers are changed from now on. */
  tell(lie: Lie): void;
  /** How many answers have been changed since. */
  lies(): number;
  /** How many bytes of endless answers went out before the asker hung up, of the longest. */
  endlessBytes(): number;
  close(): Promise<void>;
};

const HONEST: Lie = () => ({ kind: "as-it-is" });
const ENDLESS_PIECE = Buffer.alloc(64 * 1024, "x");

/** Stands in front of a site, with that site's keys, and changes what it says. */
export async function openLyingRelay(
  keys: PeerKeys,
  target: () => number | undefined,
): Promise<LyingRelay> {
  let lie = HONEST;
  let lies = 0;
  let endlessBytes = 0;

  function endless(response: ServerResponse): void {
    let sent = 0;
    const more = (): void => {
      while (!response.destroyed) {
        sent += ENDLESS_PIECE.length;
        endlessBytes = Math.max(endlessBytes, sent);
        if (!response.write(ENDLESS_PIECE)) return;
      }
    };
    response.on("drain", more);
    more();
  }

  function answer(asked: IncomingMessage, response: ServerResponse, honest: RelayedAnswer): void {
    const told = lie(honest);
    if (told.kind !== "as-it-is") lies += 1;
    const { status, headers, body } = honest;
    switch (told.kind) {
      case "as-it-is":
        response.writeHead(status, headers).end(body);
        return;
      case "altered": {
        const bytes = told.body ?? body;
        const length = { "content-length": String(bytes.length) };
        const lines = { ...headers, ...told.headers, ...length };
        response.writeHead(told.status ?? status, lines).end(bytes);
        return;
      }
      case "signed": {
        const requestSignature = String(asked.headers["signature"] ?? "");
        const changed = { status: told.status ?? status, body: told.body };
        const signed = signedAnswerHeaders(keys, { ...changed, requestSignature });
        const length = { "content-length": String(told.body.length) };
        response.writeHead(changed.status, { ...headers, ...signed, ...length }).end(told.body);
        return;
      }
      case "cut":
        response.writeHead(status, { ...headers, "content-length": String(body.length) });
        response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
        return;
      case "endless": {
        const { "content-length": _length, ...rest } = headers;
        response.writeHead(status, rest);
        endless(response);
      }
    }
  }

  const server = createServer((asked, response) => {
    const behind = target();
    if (behind === undefined) {
      response.destroy();
      return;
    }
    const options = {
      ...{ host: "127.0.0.1", port: behind, method: asked.method, path: asked.url },
      headers: asked.headers,
      agent: false as const,
    };
    const onward = request(options, (came) => {
      const pieces: Buffer[] = [];
      came.on("data", (piece: Buffer) => pieces.push(piece));
      came.on("end", () => {
        const headers = Object.entries(came.headers).map(([name, value]) => [name, String(value)]);
        answer(asked, response, {
          path: asked.url ?? "",
          status: came.statusCode ?? 0,
          headers: Object.fromEntries(headers.filter(([name]) => name !== "transfer-encoding")),
          body: Buffer.concat(pieces),
        });
      });
      came.on("error", () => response.destroy());
    });
    // A site that is down: who asked finds nobody.
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    asked.pipe(onward);
  });
  const port = await listenLocally(server);
  return {
    port,
    tell: (next) => {
      lie = next;
      lies = 0;
      endlessBytes = 0;
    },
    lies: () => lies,
    endlessBytes: () => endlessBytes,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
