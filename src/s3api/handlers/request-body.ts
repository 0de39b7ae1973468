import type { PartSealer } from "../../core/block-cipher.ts";
import type { BodyWriter, StagedBody } from "../../storage/store.ts";
import { openPayload, type Payload, type PayloadSettings } from "../body/payload.ts";
import type { PayloadDigests } from "../body/payload-digests.ts";
import { EncryptingWriter } from "../encryption/encrypting-writer.ts";
import type { Call, HandlerDeps } from "../operation.ts";

/** The body of this request, not yet read. */
export function payloadOf(call: Call, deps: HandlerDeps, settings: PayloadSettings): Payload {
  const { exchange, headers, auth, received } = call;
  return openPayload({ exchange, headers, claim: auth.payload, received }, deps.hash, settings);
}

/** Begins a large body that is encrypted on its way, if something encrypts it. */
export async function stageSealed(
  deps: Pick<HandlerDeps, "store">,
  sealer: PartSealer | undefined,
): Promise<BodyWriter> {
  const writer = await deps.store.stageBody();
  return sealer === undefined ? writer : new EncryptingWriter(sealer, writer);
}

/**
 * Receives a large body into storage, durable and verified when this resolves. Whatever goes wrong,
 * nothing of it stays.
 */
export async function stagePayload(
  payload: Payload,
  deps: HandlerDeps,
  sealer?: PartSealer,
): Promise<{ readonly staged: StagedBody; readonly digests: PayloadDigests }> {
  const writer = await stageSealed(deps, sealer);
  try {
    const digests = await payload.pipe(writer);
    return { staged: await writer.finish(), digests };
  } catch (failure) {
    writer.abort();
    throw failure;
  }
}
