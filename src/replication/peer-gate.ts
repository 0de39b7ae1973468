import { LIMITS } from "../core/limits.ts";
import {
  type ClusterId,
  type OriginId,
  parseOriginId,
  parseSiteId,
  type SiteId,
} from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Clock } from "../ports/clock.ts";
import { Incarnations } from "./incarnations.ts";
import {
  contentDigest,
  readSignatureInput,
  type SignatureParameters,
  type SignedRequest,
  verifyRequest,
} from "./message-signature.ts";
import { NonceWindow } from "./nonce-window.ts";
import type { RefusalReason } from "./refusals.ts";

type Refused = {
  readonly outcome: "refused";
  readonly status: number;
  /** `session`: signed for an earlier process of this site, or for none; the peer tries again. */
  readonly reason: RefusalReason | "session";
  /** Who the peer says it is; undefined when it said nothing. */
  readonly from: string | undefined;
  readonly detail: string;
};

/**
 * Who signed a request's headers. It is not yet known whether its body is the one that they
 * describe.
 */
export type Claim =
  | Refused
  | {
      readonly outcome: "claim";
      readonly from: string;
      readonly parameters: SignatureParameters;
      readonly sender: Sender;
      readonly dateMs: number;
      readonly request: SignedRequest;
    };

type Sender =
  | { readonly kind: "peer"; readonly peer: MemberSite; readonly publicKey: string }
  | { readonly kind: "invited"; readonly publicKey: string };

/** The proved sender of a request. */
export type Caller = Refused | ({ readonly outcome: "caller"; readonly from: string } & Sender);

export type PeerGateDeps = {
  /** Read anew for every message: a site that joins another cluster changes it. */
  readonly identity: { readonly clusterId: ClusterId; readonly siteId: SiteId };
  readonly site: (id: SiteId) => MemberSite | undefined;
  /** Whether a token with this public key may be used now. */
  readonly isInvited: (publicKey: string) => boolean;
  readonly clock: Clock;
  /** New with every start: what was signed for an earlier process is refused. */
  readonly session: string;
};

const NO_SITE = /^[0-9a-f]{64}$/;

/** Tells who sent a request, or why it is refused. */
export class PeerGate {
  readonly #deps: PeerGateDeps;
  readonly #nonces = new NonceWindow({
    windowMs: LIMITS.requestSkewMsMax,
    noncesMax: LIMITS.replicationNoncesMax,
  });

  readonly #incarnations: Incarnations;

  constructor(deps: PeerGateDeps) {
    this.#deps = deps;
    this.#incarnations = new Incarnations(() => deps.clock.monotonicMs());
  }

  get session(): string {
    return this.#deps.session;
  }

  /**
   * Refuses what no body could make right, before the body is read: strangers get no memory here.
   */
  readClaim(exchange: Exchange): Claim {
    const { headers } = exchange;
    const parameters = readSignatureInput(headers.get("signature-input") ?? "");
    if (parameters === undefined || headers.count("signature") !== 1) {
      return refused(401, "unsigned", undefined, "The request is not signed as peers sign.");
    }
    const [cluster, name = ""] = parameters.keyId.split("/");
    const { identity } = this.#deps;
    const from = name.slice(0, 16);
    if (cluster !== identity.clusterId) {
      return refused(401, "wrong-cluster", from, "This site belongs to another cluster.");
    }
    const sender = this.#senderOf(name);
    if (sender === "unknown") {
      return refused(401, "unknown-site", from, "This site does not know that site.");
    }
    if (sender === "removed") {
      return refused(403, "removed-site", from, "That site was removed from the cluster.");
    }
    if (sender === "token") {
      return refused(401, "token", from, "The token was not issued here, was used, or is late.");
    }
    if (headers.get("x-atoll-to") !== identity.siteId) {
      return refused(401, "wrong-site", from, "The request is meant for another site.");
    }
    const dateMs = Date.parse(headers.get("date") ?? "");
    if (Number.isNaN(dateMs)) return refused(401, "unsigned", from, "The request has no date.");
    const request = requestOf(exchange);
    const signature = headers.get("signature") ?? "";
    const { publicKey } = sender;
    if (!verifyRequest(request, parameters, { publicKey, signature })) return altered(from);
    return { outcome: "claim", from, parameters, sender, dateMs, request };
  }

  /** Judges a request whose body has arrived whole. */
  judge(claim: Extract<Claim, { outcome: "claim" }>, body: Uint8Array): Caller {
    const { parameters, sender, from, dateMs, request } = claim;
    if (request.digest !== contentDigest(body)) return altered(from);
    if (request.session !== this.#deps.session) {
      return refused(401, "session", from, "The request was signed for another process.");
    }
    const message = { nonce: parameters.nonce, dateMs };
    const verdict = this.#nonces.judge(parameters.keyId, message, this.#deps.clock.nowMs());
    if (verdict === "clock") {
      return refused(401, "clock", from, "The request is dated too far from this site's time.");
    }
    if (verdict === "replayed") {
      return refused(401, "replayed", from, "The request came before.");
    }
    const origin = parseOriginId(request.origin);
    if (sender.kind === "peer" && !this.#isAlone(sender.peer, origin)) {
      return refused(403, "clone", from, "Two programs speak as this site: one is a copy.");
    }
    return { outcome: "caller", from, ...sender };
  }

  #isAlone({ id }: MemberSite, origin: OriginId | undefined): boolean {
    return origin !== undefined && this.#incarnations.isAlone(id, origin);
  }

  #senderOf(name: string): Sender | "unknown" | "removed" | "token" {
    if (NO_SITE.test(name)) {
      return this.#deps.isInvited(name) ? { kind: "invited", publicKey: name } : "token";
    }
    const id: SiteId | undefined = parseSiteId(name);
    // A message that this site signed itself must never be accepted as another's.
    if (id === undefined || id === this.#deps.identity.siteId) return "unknown";
    const peer = this.#deps.site(id);
    if (peer === undefined) return "unknown";
    if (peer.state === "removed") return "removed";
    return { kind: "peer", peer, publicKey: peer.publicKey };
  }
}

/** What the signature of a request covers. */
function requestOf({ method, target, headers }: Exchange): SignedRequest {
  return {
    ...{ method, target, authority: headers.get("host") ?? "" },
    digest: headers.get("content-digest") ?? "",
    date: headers.get("date") ?? "",
    to: headers.get("x-atoll-to") ?? "",
    session: headers.get("x-atoll-session") ?? "",
    origin: headers.get("x-atoll-origin") ?? "",
  };
}

function altered(from: string): Refused {
  return refused(401, "altered", from, "The request is not what was signed.");
}

function refused(
  status: number,
  reason: Refused["reason"],
  from: string | undefined,
  detail: string,
): Refused {
  return { outcome: "refused", status, reason, from, detail };
}
