import { pushEncryption } from "../encryption/body-encryption.ts";
import { decryptionOfRead, openPlain, readSmallPlain } from "../encryption/object-bytes.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { planRead, wantedPart } from "./object-access.ts";
import { pushTerms } from "./object-terms.ts";
import { existingObject } from "./object-version.ts";
import { hasGone, markRemote, startRemote } from "./remote-body.ts";

/** Small and warm bodies are answered without a promise; this is the hot path of reads. */
export function getObject(call: ObjectCall, deps: HandlerDeps): Reply | Promise<Reply> {
  const partNumber = wantedPart(call);
  const object = existingObject(call, deps);
  const decryption = decryptionOfRead(call, deps, object);
  const plan = planRead(call, deps, object, partNumber);
  if ("kind" in plan) return plan;
  pushEncryption(plan.headers, decryption);
  pushTerms(plan.headers, call, object);
  const { status, headers, range } = plan;
  const contentLength = range.end - range.start;
  if (contentLength === 0) return { kind: "whole", status, headers, body: undefined };
  const body = readSmallPlain(deps.store, object, range, decryption);
  if (body !== undefined) return { kind: "whole", status, headers, body, lasting: true };
  const reader = openPlain(deps.store, object, range, decryption);
  const reply = { kind: "stream", status, headers, contentLength, reader } as const;
  if (!markRemote(headers, deps, object)) return reply;
  return startRemote(reply).catch((failure: unknown) => {
    // It was deleted or replaced while its bytes were on their way.
    if (hasGone(deps, object, failure)) return getObject(call, deps);
    throw failure;
  });
}
