import type { AccessKeyId } from "../core/names.ts";
import type { KeyRing } from "../core/seal.ts";
import type { HttpHandler } from "../http/exchange.ts";
import type { Hash } from "../ports/hash.ts";
import type { Store } from "../storage/store.ts";
import type { Credential } from "./auth/credentials.ts";
import { SigningKeys } from "./auth/signing-key.ts";
import type { AuthDeps } from "./auth/verify.ts";
import { NO_GUARD, RequestGuard, slowDown } from "./guard/request-guard.ts";
import type { HandlerDeps, S3Settings } from "./operation.ts";
import { answerRequest } from "./pipeline.ts";
import { Responder, type ResponderDeps } from "./responder.ts";

export type S3ServiceDeps = ResponderDeps & {
  readonly store: Store;
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
  const responder = new Responder(deps);
  return (exchange) => {
    const trace = responder.begin(exchange);
    try {
      if (responder.underWay > requestsMax) throw slowDown(1000);
      trace.seating = guard.admit(exchange);
      const reply = answerRequest(trace, auth, handlerDeps);
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
