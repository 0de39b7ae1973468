import { Gathered, toHex } from "../core/bytes.ts";
import { signBytes } from "../core/ed25519.ts";
import type { SiteKeyPair } from "../core/identity.ts";
import type { ClusterId, OriginId, SiteId } from "../core/names.ts";
import { authorityOf } from "../core/peer-address.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Network, NetworkResponse } from "../ports/network.ts";
import type { Random } from "../ports/random.ts";
import { contentDigest, signRequest, verifyAnswer } from "./message-signature.ts";
import { PeerFault } from "./peer-fault.ts";

export type PeerRequest = {
  readonly method: "GET" | "POST";
  /** With its query, as it goes on the wire. */
  readonly path: string;
  readonly body?: Uint8Array;
  /** More than this is not read. */
  readonly bytesMax: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
};

/** An answer that the peer signed, whole. */
export type PeerResponse = {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
};

/** The site that is asked; a site record is one. */
export type Callee = Pick<
  SiteRecord,
  "id" | "name" | "publicKey" | "addresses" | "certificates" | "insecure"
>;

export interface PeerClient {
  /**
   * Sends a request to the first address of a peer that answers. Returns whatever status the peer
   * signed, except those that say that it does not accept our signature.
   *
   * @throws PeerFault.
   */
  request(peer: Callee, request: PeerRequest): Promise<PeerResponse>;
}

export type PeerClientDeps = {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  /** The site that asks; read anew for every request. */
  readonly identity: {
    readonly clusterId: ClusterId;
    readonly siteId: SiteId | string;
    readonly origin: OriginId;
  };
  readonly keyPair: SiteKeyPair;
};

const NONCE_BYTES = 16;
const REFUSALS: ReadonlySet<number> = new Set([401, 403]);
/**
 * Statuses that stand for a site that is not there: from the site itself while it starts, or from a
 * proxy.
 */
const GATEWAYS: ReadonlySet<number> = new Set([502, 503, 504]);

/** Makes a client that signs requests and believes an answer only when the peer has signed it. */
export function createPeerClient(deps: PeerClientDeps): PeerClient {
  return new SigningClient(deps);
}

/** Invariant: a session is one that the peer itself has named, in an answer that it signed. */
class SigningClient implements PeerClient {
  readonly #deps: PeerClientDeps;
  readonly #sessions = new Map<string, string>();
  /** The address of each peer that answered last. */
  readonly #lastGood = new Map<string, string>();

  constructor(deps: PeerClientDeps) {
    this.#deps = deps;
  }

  async request(peer: Callee, wish: PeerRequest): Promise<PeerResponse> {
    const deadline = startDeadline(this.#deps.clock, wish);
    try {
      const known = this.#sessions.get(peer.id);
      const answer = await this.#askOnce(peer, wish, deadline.signal);
      const session = answer.headers["x-atoll-session"] ?? "";
      const isStale = answer.status === 401 && readProblem(answer.body).reason === "session";
      if (!isStale || session === known) return accept(peer, answer);
      // The peer has restarted since we last spoke: sign for the process that runs now. Another
      // request may have learnt of it in the meantime.
      this.#sessions.set(peer.id, session);
      return accept(peer, await this.#askOnce(peer, wish, deadline.signal));
    } catch (failure) {
      throw deadline.explain(failure, peer);
    } finally {
      deadline.end();
    }
  }

  async #askOnce(peer: Callee, wish: PeerRequest, signal: AbortSignal): Promise<PeerResponse> {
    const usable = addressesOf(peer, this.#lastGood.get(peer.id));
    let failed: unknown;
    for (const address of usable) {
      const signed = this.#sign(peer, wish, address);
      let response: NetworkResponse;
      try {
        const { certificates } = peer;
        response = await this.#deps.network.request({
          target: {
            ...{ kind: "url", origin: address },
            ...(certificates.length > 0 && { trustedCertificates: certificates.join("\n") }),
          },
          ...{ method: wish.method, path: wish.path, headers: signed.headers, signal },
          ...(wish.body !== undefined && { body: wish.body }),
        });
      } catch (failure) {
        if (signal.aborted) throw failure;
        failed = failure;
        continue;
      }
      const body = await readWhole(peer, response, wish.bytesMax);
      this.#checkAnswer(peer, { response, body, requestSignature: signed.signature });
      this.#lastGood.set(peer.id, address);
      return { status: response.status, headers: response.headers, body };
    }
    throw failed;
  }

  #sign(peer: Callee, wish: PeerRequest, address: string) {
    const body = wish.body ?? new Uint8Array(0);
    const { clusterId, siteId, origin } = this.#deps.identity;
    const message = {
      ...{ method: wish.method, authority: authorityOf(address), target: wish.path },
      date: new Date(this.#deps.clock.nowMs()).toUTCString(),
      digest: contentDigest(body),
      ...{ to: peer.id, session: this.#sessions.get(peer.id) ?? "none", origin },
    };
    const parameters = {
      keyId: `${clusterId}/${siteId}`,
      nonce: toHex(this.#deps.random.bytes(NONCE_BYTES)),
    };
    const { input, signature } = signRequest(message, parameters, (bytes) =>
      signBytes(this.#deps.keyPair, bytes),
    );
    const headers = {
      ...{ host: message.authority, date: message.date, "content-digest": message.digest },
      ...{ "x-atoll-to": message.to, "x-atoll-session": message.session },
      "x-atoll-origin": origin,
      ...{ "signature-input": input, signature, "content-length": String(body.length) },
    };
    return { headers, signature };
  }

  #checkAnswer(
    peer: Callee,
    answer: {
      readonly response: NetworkResponse;
      readonly body: Buffer;
      readonly requestSignature: string;
    },
  ): void {
    const { status, headers } = answer.response;
    const digest = contentDigest(answer.body);
    const isSigned = verifyAnswer(
      { status, digest, requestSignature: answer.requestSignature },
      {
        keyId: `${this.#deps.identity.clusterId}/${peer.id}`,
        publicKey: peer.publicKey,
        input: headers["signature-input"] ?? "",
        signature: headers["signature"] ?? "",
      },
    );
    if (isSigned) return;
    if (GATEWAYS.has(status)) {
      throw new PeerFault("unreachable", `${peer.name} does not serve now (${status})`, {
        hint: "It is starting, or a proxy in front of it does not reach it.",
      });
    }
    throw new PeerFault("untrusted", `the answer (${status}) is not signed by ${peer.name}`, {
      hint: "Another server answers at its address, or something between the sites alters answers.",
    });
  }
}

function accept(peer: Callee, answer: PeerResponse): PeerResponse {
  if (!REFUSALS.has(answer.status)) return answer;
  const { reason, message, wallMs } = readProblem(answer.body);
  // The message is shown with a full stop behind it, and perhaps a hint.
  const why = message.replace(/\.$/, "");
  throw new PeerFault("refused", `${peer.name} refuses this site (${reason}): ${why}`, {
    hint: HINTS[reason] ?? "Its log and `atoll repl-status` there say more.",
    ...{ wallMs, reason },
  });
}

const HINTS: Readonly<Record<string, string>> = {
  clock: "Set the clocks of both machines (NTP).",
  token: "Ask for a new one: `atoll repl-invite` there.",
  clone: "Another program runs as this site, on a copy of its data: stop one of the two.",
  "removed-site": "To come back it must join again: `atoll repl-join` with a new token.",
};

type Problem = {
  readonly reason: string;
  readonly message: string;
  readonly wallMs: number | undefined;
};

/** Reads what went wrong from a peer's answer, in which any field may be missing. */
export function readProblem(body: Uint8Array): Problem {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(body).toString("utf8"));
    const error = (parsed as { error?: Record<string, unknown> } | undefined)?.error;
    const wallMs = error?.["wall_ms"];
    return {
      ...{ reason: String(error?.["reason"]), message: String(error?.["message"]) },
      wallMs: Number.isSafeInteger(wallMs) ? Number(wallMs) : undefined,
    };
  } catch {
    return { reason: "unknown", message: "it does not say why", wallMs: undefined };
  }
}

/** The address that answered last comes first; plain http only where an operator wanted it. */
function addressesOf(peer: Callee, lastGood: string | undefined): readonly string[] {
  const allowed = peer.addresses.filter((one) => peer.insecure || one.startsWith("https://"));
  if (allowed.length === 0) {
    throw new PeerFault("unreachable", `no address of ${peer.name} may be used`, {
      hint: "Give it one with https, or allow plain http with --insecure-peer.",
    });
  }
  return allowed.toSorted((left, right) => Number(right === lastGood) - Number(left === lastGood));
}

async function readWhole(
  peer: Callee,
  { headers, body }: NetworkResponse,
  bytesMax: number,
): Promise<Buffer> {
  const said = Number(headers["content-length"]);
  const whole = new Gathered(said > 0 ? Math.min(said, bytesMax) : 0);
  for await (const bytes of body) {
    if (whole.length + bytes.length > bytesMax) {
      throw new PeerFault("too-large", `${peer.name} answers with more than ${bytesMax} bytes`, {
        hint: "It is cut off; if it goes on, remove that site or look at what runs there.",
      });
    }
    whole.push(bytes);
  }
  return whole.take();
}

function startDeadline(clock: Clock, { timeoutMs, signal }: PeerRequest) {
  const controller = new AbortController();
  let isLate = false;
  const cancel = clock.after(timeoutMs, () => {
    isLate = true;
    controller.abort();
  });
  const giveUp = (): void => controller.abort();
  if (signal?.aborted === true) giveUp();
  signal?.addEventListener("abort", giveUp, { once: true });
  return {
    signal: controller.signal,
    end(): void {
      cancel();
      signal?.removeEventListener("abort", giveUp);
    },
    explain(failure: unknown, peer: Callee): PeerFault {
      if (failure instanceof PeerFault) return failure;
      if (isLate) {
        return new PeerFault("timeout", `${peer.name} did not answer within ${timeoutMs} ms`);
      }
      const message = failure instanceof Error ? failure.message : String(failure);
      return new PeerFault("unreachable", `${peer.name} cannot be reached: ${message}`, {
        hint: `Is it running, and is ${peer.addresses[0] ?? "its address"} right?`,
        cause: failure,
      });
    },
  };
}
