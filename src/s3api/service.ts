import type { AccessKeyId } from "../core/names.ts";
import type { KeyRing } from "../core/seal.ts";
import type { HttpHandler } from "../http/exchange.ts";
import type { Hash } from "../ports/hash.ts";
import type { Store } from "../storage/store.ts";
import type { Credential } from "./auth/credentials.ts";
import { SigningKeys } from "./auth/signing-key.ts";
import type { AuthDeps } from "./auth/verify.ts";
import { NO_GUARD, RequestGuard, slowDown } from "./guard/request-guard.ts";
import type { HandlerDeps, Reply, S3Settings } from "./operation.ts";
import { answerRequest, authenticateExchange } from "./pipeline.ts";
import { Responder, type ResponderDeps, type Trace } from "./responder.ts";
import { type AppliedSource, AppliedWaits } from "./tokens/applied-waits.ts";
import { AFTER_HEADER, readWaitWish } from "./tokens/wait-wish.ts";

export type S3ServiceDeps = Omit<ResponderDeps, "logHead"> & {
  readonly store: Store;
  /** How far the writes of every site have been applied here. */
  readonly applied: AppliedSource;
  readonly hash: Hash;
  readonly keyRing: KeyRing;
  /** The credential of an active key; undefined for unknown and disabled ones. */
  readonly lookup: (id: AccessKeyId) => Credential | undefined;
  readonly settings: S3Settings;
};

/** Answers S3: what can be answered at once is, without a promise; the rest when it is ready. */
export function createS3Service(deps: S3ServiceDeps): HttpHandler {
  const { clock, random, store, hash, keyRing, settings, lookup } = deps;
  const nowMs = () => clock.nowMs();
  const { region, requestsMax } = settings;
  const auth: AuthDeps = { nowMs, lookup, region, signingKeys: new SigningKeys() };
  const handlerDeps: HandlerDeps = { store, hash, random, keyRing, nowMs, settings };
  const guard = new RequestGuard(settings.guard ?? NO_GUARD, () => clock.monotonicMs());
  const responder = new Responder({ ...deps, logHead: () => store.logHead() });
  const waits = new AppliedWaits(deps.applied, clock);
  const answerAfter = async (trace: Trace, after: string): Promise<Reply> => {
    const { exchange } = trace;
    const wish = readWaitWish(after, exchange.headers);
    // Who cannot sign must not wait in the room of those who can.
    const { credential } = authenticateExchange(exchange, auth);
    const onAbort = (callback: () => void): void => exchange.onAbort(callback);
    await waits.until({ ...wish, signed: credential.kind !== "anonymous", onAbort });
    return answerRequest(trace, auth, handlerDeps);
  };
  return (exchange) => {
    const trace = responder.begin(exchange);
    try {
      if (responder.underWay > requestsMax) throw slowDown(1000);
      trace.seating = guard.admit(exchange);
      const after = exchange.headers.get(AFTER_HEADER);
      const reply =
        after === undefined ? answerRequest(trace, auth, handlerDeps) : answerAfter(trace, after);
      if (!(reply instanceof Promise)) {
        responder.send(trace, reply);
        return;
      }
      reply.then(
        (settled) => responder.send(trace, settled),
        (failure: unknown) => responder.fail(trace, failure),
      );
    } catch (failure) {
      responder.fail(trace, failure);
    }
  };
}
