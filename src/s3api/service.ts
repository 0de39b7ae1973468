import type {
  ForwardedAnswer,
  ForwardedFlow,
  ForwardedHead,
  ForwardedRequest,
} from "../core/forwarded-request.ts";
import type { AccessKeyId, SiteId } from "../core/names.ts";
import type { KeyRing } from "../core/seal.ts";
import type { Exchange, HttpHandler } from "../http/exchange.ts";
import type { Hash } from "../ports/hash.ts";
import type { BringManifests } from "../storage/replica.ts";
import type { Store } from "../storage/store.ts";
import type { Credential } from "./auth/credentials.ts";
import { SigningKeys } from "./auth/signing-key.ts";
import { ANYBODY, type AuthDeps, type AuthResult } from "./auth/verify.ts";
import { NO_GUARD, RequestGuard, slowDown } from "./guard/request-guard.ts";
import { storeWith } from "./home/brought-upload.ts";
import { forwardedExchange } from "./home/forwarded-exchange.ts";
import { type HomeDeps, HomeSites } from "./home/home-sites.ts";
import { homeUnavailable } from "./home/home-unavailable.ts";
import { StreamedExchange } from "./home/streamed-exchange.ts";
import { whileIncomplete } from "./incomplete-site.ts";
import type { HandlerDeps, Reply, S3Settings } from "./operation.ts";
import { answerForwarded, answerRequest, authenticateExchange } from "./pipeline.ts";
import { Responder, type ResponderDeps, type Trace } from "./responder.ts";
import { type AppliedSource, AppliedWaits } from "./tokens/applied-waits.ts";
import { AFTER_HEADER, readWaitWish } from "./tokens/wait-wish.ts";
import { createWatchAuthorizer } from "./watch-authorizer.ts";

export type S3ServiceDeps = Omit<ResponderDeps, "logHead"> & {
  readonly store: Store;
  /** How far the writes of every site have been applied here. */
  readonly applied: AppliedSource;
  readonly hash: Hash;
  readonly keyRing: KeyRing;
  /** The credential of an active key; undefined for unknown and disabled ones. */
  readonly lookup: (id: AccessKeyId) => Credential | undefined;
  readonly settings: S3Settings;
  /** How homes of buckets are asked; without it each site judges for itself. */
  readonly home?: HomeDeps;
  /** This site's own root key, which stands for that of another site. */
  readonly rootKeyId?: () => AccessKeyId;
};

/** The S3 of a site. */
export type S3Service = {
  /** Answers what can be answered at once without a promise; the rest when it is ready. */
  readonly handler: HttpHandler;
  /** Answers a request that another site has authenticated, for a bucket that has its home here. */
  readonly answerForwarded: (request: ForwardedRequest) => Promise<ForwardedAnswer>;
  /** The same for a request whose body that site, which is named, hands over in pieces. */
  readonly openForwarded: (head: ForwardedHead, from: SiteId) => ForwardedFlow;
  /** Whether a request outside S3 is signed by a key that may watch the site. */
  readonly mayWatch: (exchange: Exchange) => boolean;
  /** Undefined where no other site can be asked. */
  readonly home: HomeSites | undefined;
};

/** Puts together what answers S3 requests: of clients, and of peers in the name of clients. */
export function createS3Service(deps: S3ServiceDeps): S3Service {
  const { clock, random, store, hash, keyRing, settings, lookup } = deps;
  const nowMs = () => clock.nowMs();
  const auth: AuthDeps = { nowMs, lookup, region: settings.region, signingKeys: new SigningKeys() };
  const home = deps.home === undefined ? undefined : new HomeSites(deps.home);
  const turn = () => clock.sleep(0);
  const handlerDeps: HandlerDeps = { store, hash, random, keyRing, nowMs, turn, settings, home };
  const guard = new RequestGuard(settings.guard ?? NO_GUARD, () => clock.monotonicMs());
  const responder = new Responder({ ...deps, logHead: () => store.logHead() });
  const waits = new AppliedWaits(deps.applied, clock);
  const answerAfter = async (trace: Trace, after: string): Promise<Reply> => {
    const { exchange } = trace;
    const wish = readWaitWish(after, exchange.headers);
    // Unsigned callers must not wait in the room of those who can sign.
    const { credential } = authenticateExchange(exchange, auth);
    const onAbort = (callback: () => void): void => exchange.onAbort(callback);
    await waits.until({ ...wish, signed: credential.kind !== "anonymous", onAbort });
    return answerRequest(trace, auth, handlerDeps);
  };
  const begin = (exchange: Exchange, answer: (trace: Trace) => Reply | Promise<Reply>): void => {
    const trace = responder.begin(exchange);
    try {
      if (responder.underWay > settings.requestsMax) throw slowDown(1000);
      const reply = answer(trace);
      if (!(reply instanceof Promise)) {
        responder.send(trace, reply);
        return;
      }
      reply.then(
        (settled) => responder.send(trace, settled),
        (failure: unknown) => responder.fail(trace, whileIncomplete(store, failure)),
      );
    } catch (failure) {
      responder.fail(trace, whileIncomplete(store, failure));
    }
  };
  const answer = (trace: Trace): Reply | Promise<Reply> => {
    trace.seating = guard.admit(trace.exchange);
    const after = trace.exchange.headers.get(AFTER_HEADER);
    if (after !== undefined) return answerAfter(trace, after);
    return answerRequest(trace, auth, handlerDeps);
  };
  return {
    handler: (exchange) => begin(exchange, answer),
    answerForwarded: (request) =>
      new Promise((resolve) => {
        begin(forwardedExchange(request, resolve), (trace) =>
          answerForwarded(trace, vouchedAuth(request, deps), handlerDeps),
        );
      }),
    openForwarded: (head, from) => {
      const exchange = new StreamedExchange(head);
      const seen = withUpload(exchange, { head, from, home: deps.home }, handlerDeps);
      begin(exchange, (trace) => answerForwarded(trace, vouchedAuth(head, deps), seen));
      return exchange;
    },
    mayWatch: createWatchAuthorizer(auth, guard),
    home,
  };
}

/** The dependencies of handlers for a request that may have brought an upload with it. */
function withUpload(
  exchange: Exchange,
  brought: {
    readonly head: ForwardedHead;
    readonly from: SiteId;
    readonly home: HomeDeps | undefined;
  },
  deps: HandlerDeps,
): HandlerDeps {
  const { head, from, home } = brought;
  if (head.upload === undefined || home === undefined) return deps;
  const gone = new AbortController();
  exchange.onAbort(() => gone.abort());
  const bring: BringManifests = (manifests) => home.bring(from, manifests, gone.signal);
  return { ...deps, store: storeWith(deps.store, head.upload, bring) };
}

/** The rights of a forwarded request's key are judged here, by what this site knows of it. */
function vouchedAuth(
  { principal, headers }: Pick<ForwardedHead, "principal" | "headers">,
  { lookup, rootKeyId }: Pick<S3ServiceDeps, "lookup" | "rootKeyId">,
): AuthResult {
  const isFramed = headers.some(([name]) => name === "x-amz-trailer");
  const payload = { kind: isFramed ? "streaming-unsigned-trailer" : "unsigned" } as const;
  if (principal.kind === "anonymous") return { ...ANYBODY, payload };
  const id = principal.kind === "root" ? rootKeyId?.() : principal.accessKey;
  const credential = id === undefined ? undefined : lookup(id);
  // A key that has not arrived here yet, or is not valid any more.
  if (credential === undefined) throw homeUnavailable();
  return { credential, payload, presigned: false };
}
