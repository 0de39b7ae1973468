import type { StagedBody } from "../../storage/store.ts";
import { openPayload, type Payload, type PayloadSettings } from "../body/payload.ts";
import type { PayloadDigests } from "../body/payload-digests.ts";
import type { Call, HandlerDeps } from "../operation.ts";

/** The body of this request, not yet read. */
export function payloadOf(call: Call, deps: HandlerDeps, settings: PayloadSettings): Payload {
  return openPayload(
    { exchange: call.exchange, headers: call.headers, claim: call.auth.payload },
    deps.hash,
    settings,
  );
}

/**
 * Receives a large body into storage, durable and verified when this resolves. Whatever goes wrong,
 * nothing of it stays.
 */
export async function stagePayload(
  payload: Payload,
  deps: HandlerDeps,
): Promise<{ readonly staged: StagedBody; readonly digests: PayloadDigests }> {
  const writer = await deps.store.stageBody();
  try {
    const digests = await payload.pipe(writer);
    return { staged: await writer.finish(), digests };
  } catch (failure) {
    writer.abort();
    throw failure;
  }
}
