import { Gathered, toHex } from "../core/bytes.ts";
import { signBytes } from "../core/ed25519.ts";
import type { SiteKeyPair } from "../core/identity.ts";
import { LIMITS } from "../core/limits.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Exchange, ResponseHeaders } from "../http/exchange.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import { contentDigest, signAnswer, splitTarget } from "./message-signature.ts";
import { type Caller, PeerGate, type PeerGateDeps } from "./peer-gate.ts";
import type { Refusals } from "./refusals.ts";

/** A request of a peer that has proved who it is. */
export type PeerCall = {
  readonly peer: MemberSite;
  /** The whole body as its digest and signature have it; valid for this call. */
  readonly body: Uint8Array;
  readonly query: ReadonlyMap<string, string>;
  /** Aborts when the peer goes away. */
  readonly signal: AbortSignal;
};

/** What a peer is answered; the server signs it. */
export type PeerAnswer = {
  readonly status: number;
  readonly body: Uint8Array;
  readonly headers?: ResponseHeaders;
};

/** One thing that peers may ask. A failure that it throws is answered 500 and logged. */
export type PeerRoute = {
  readonly method: "GET" | "POST";
  /** Exact, such as "/v1/repl/pull". */
  readonly path: string;
  /** A larger body is refused unparsed. */
  readonly bodyBytesMax: number;
  answer(call: PeerCall): Promise<PeerAnswer> | PeerAnswer;
};

/** The same for a site that holds an invitation and is no member yet. */
export type InvitedRoute = Omit<PeerRoute, "answer"> & {
  answer(
    call: Omit<PeerCall, "peer"> & { readonly invitation: string },
  ): ReturnType<PeerRoute["answer"]>;
};

export type PeerServerDeps = Omit<PeerGateDeps, "session"> & {
  readonly identity: PeerGateDeps["identity"] & { readonly keyPair: SiteKeyPair };
  readonly random: Random;
  readonly log: Log;
  readonly refusals: Refusals;
  readonly routes: readonly PeerRoute[];
  readonly invitedRoutes: readonly InvitedRoute[];
};

const PEER_PATH = "/v1/repl/";
/** The bound for a body that was sent to no route. */
const STRANGE_BYTES_MAX = 4096;

type AnyRoute =
  | { readonly kind: "peer"; readonly route: PeerRoute }
  | { readonly kind: "invited"; readonly route: InvitedRoute };

/** Answers requests of peers; everything else under their path is refused. Never throws. */
export class PeerServer {
  readonly #deps: PeerServerDeps;
  readonly #gate: PeerGate;
  readonly #routes = new Map<string, AnyRoute>();

  constructor(deps: PeerServerDeps) {
    this.#deps = deps;
    this.#gate = new PeerGate({ ...deps, session: toHex(deps.random.bytes(16)) });
    for (const route of deps.routes) {
      this.#routes.set(`${route.method} ${route.path}`, { kind: "peer", route });
    }
    for (const route of deps.invitedRoutes) {
      this.#routes.set(`${route.method} ${route.path}`, { kind: "invited", route });
    }
  }

  serves({ target }: Exchange): boolean {
    return target.startsWith(PEER_PATH);
  }

  handle(exchange: Exchange): void {
    this.#answer(exchange)
      .catch((failure: unknown): PeerAnswer => {
        this.#deps.log.error({ err: failure, target: exchange.target }, "a peer's request failed");
        return problem(500, "failed", "The request failed; this site's log says why.");
      })
      .then((answer) => {
        if (answer !== undefined) this.#send(exchange, answer);
      })
      .catch((failure: unknown) => this.#deps.log.error({ err: failure }, "an answer failed"));
  }

  /** Undefined when the peer has gone. */
  async #answer(exchange: Exchange): Promise<PeerAnswer | undefined> {
    const gone = new AbortController();
    exchange.onAbort(() => gone.abort());
    const [path, query] = splitTarget(exchange.target);
    const found = this.#routes.get(`${exchange.method} ${path}`);
    const claim = this.#gate.readClaim(exchange);
    if (claim.outcome === "refused") return this.#refuse(exchange, claim);
    // Only peers are told which paths exist, so for any other path the body is read and judged as
    // well.
    const body = await readBody(exchange, found?.route.bodyBytesMax ?? STRANGE_BYTES_MAX);
    if (body === "gone") return undefined;
    if (body === "too-large") {
      const reason = "too-large" as const;
      return this.#refuse(exchange, { status: 413, reason, from: claim.from, detail: path });
    }
    const caller = this.#gate.judge(claim, body);
    if (caller.outcome === "refused") return this.#refuse(exchange, caller);
    if (found === undefined || found.kind !== caller.kind) {
      return problem(404, "no-route", "There is nothing at this address.");
    }
    const call = { body, query: queryOf(query), signal: gone.signal };
    const answer = await run(found, caller, call);
    if (answer.status === 400) this.#deps.refusals.note(caller.from, "malformed", path);
    if (answer.status === 403) this.#deps.refusals.note(caller.from, "token", path);
    return answer;
  }

  #refuse(
    { remoteAddress }: Exchange,
    refused: Extract<Caller, { outcome: "refused" }> | Omit<Refused, "outcome">,
  ): PeerAnswer {
    const { status, reason, from, detail } = refused;
    // A peer that does not know of our last start yet has done nothing wrong.
    if (reason !== "session") this.#deps.refusals.note(from ?? remoteAddress, reason, detail);
    // One of the two clocks is wrong, and the other site learns of it only by this answer.
    const wallMs = reason === "clock" ? this.#deps.clock.nowMs() : undefined;
    return problem(status, reason, detail, wallMs);
  }

  #send(exchange: Exchange, { status, body, headers = [] }: PeerAnswer): void {
    const { identity, random } = this.#deps;
    const digest = contentDigest(body);
    const requestSignature = exchange.headers.get("signature") ?? "";
    const parameters = {
      keyId: `${identity.clusterId}/${identity.siteId}`,
      nonce: toHex(random.bytes(16)),
    };
    const signed = signAnswer({ status, digest, requestSignature }, parameters, (bytes) =>
      signBytes(identity.keyPair, bytes),
    );
    exchange.send(
      status,
      [
        ...headers,
        ["content-digest", digest],
        ["signature-input", signed.input],
        ["signature", signed.signature],
        ["x-atoll-session", this.#gate.session],
      ],
      body,
    );
  }
}

type Refused = Extract<Caller, { outcome: "refused" }>;

async function run(
  found: AnyRoute,
  caller: Extract<Caller, { outcome: "caller" }>,
  call: Omit<PeerCall, "peer">,
): Promise<PeerAnswer> {
  if (found.kind === "peer" && caller.kind === "peer") {
    return found.route.answer({ ...call, peer: caller.peer });
  }
  if (found.kind === "invited" && caller.kind === "invited") {
    return found.route.answer({ ...call, invitation: caller.publicKey });
  }
  return problem(404, "no-route", "There is nothing at this address.");
}

/**
 * An answer that says why a request was refused, for programs and people; with this site's clock in
 * Unix milliseconds where that is the reason.
 */
export function problem(
  status: number,
  reason: string,
  message: string,
  wallMs?: number,
): PeerAnswer {
  const error = { reason, message, wall_ms: wallMs };
  const body = Buffer.from(JSON.stringify({ error }));
  return { status, body, headers: [["content-type", "application/json"]] };
}

function queryOf(query: string | undefined): ReadonlyMap<string, string> {
  return new Map(new URLSearchParams(query ?? ""));
}

/** Collects a body. Beyond the bound it is given up, however much the peer would still send. */
function readBody(exchange: Exchange, bytesMax: number): Promise<Buffer | "too-large" | "gone"> {
  const bound = Math.min(bytesMax, LIMITS.replicationAnswerBytesMax);
  return new Promise((resolve) => {
    const body = new Gathered();
    let isTooLarge = false;
    exchange.receive({
      data(bytes) {
        isTooLarge ||= body.length + bytes.length > bound;
        if (!isTooLarge) {
          body.push(bytes);
          return;
        }
        body.take();
        resolve("too-large");
      },
      end: () => resolve(body.take()),
      abort: () => resolve("gone"),
    });
  });
}
