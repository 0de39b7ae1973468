import { LIMITS } from "../core/limits.ts";
import { makeVersionId } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Damage } from "../storage/logical-rows.ts";
import { positionsOfVersion } from "../storage/row-operations.ts";
import type { PassedOver } from "./passed-over.ts";
import type { PeerCalls } from "./peer-calls.ts";
import type { RowCalls } from "./row-calls.ts";

export type RightBytesDeps = {
  readonly engine: {
    /** Peers that can be asked now. */
    callsOf(): readonly PeerCalls[];
    readonly passedOver: Pick<PassedOver, "asked">;
  };
  readonly callsTo: (peer: SiteRecord) => RowCalls;
  readonly clock: Pick<Clock, "after">;
};

/** How long a reader waits for the right bytes before it is told of the damage. */
const REPAIR_MS_MAX = 10_000;

/**
 * The right bytes for damaged ones, from the first peer that has them; undefined when none gave
 * them in time. Storage checks them before it trusts them.
 */
export async function rightBytes(
  { engine, callsTo, clock }: RightBytesDeps,
  damage: Damage,
): Promise<Uint8Array | undefined> {
  const patience = new AbortController();
  const cancel = clock.after(REPAIR_MS_MAX, () => patience.abort());
  const { passedOver } = engine;
  try {
    for (const calls of engine.callsOf()) {
      try {
        const bytes = await askFor(calls, damage, callsTo, patience.signal);
        passedOver.asked(calls.site, "right bytes", undefined);
        if (bytes !== undefined) return bytes;
      } catch (failure) {
        passedOver.asked(calls.site, "right bytes", failure);
        if (patience.signal.aborted) return undefined;
      }
    }
    return undefined;
  } finally {
    cancel();
  }
}

async function askFor(
  calls: PeerCalls,
  damage: Damage,
  callsTo: RightBytesDeps["callsTo"],
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  if (damage.kind === "inline") return await askForInline(callsTo(calls.peer), damage, signal);
  const { hash, bytes } = damage;
  const whole = Buffer.allocUnsafe(bytes);
  for (let filled = 0; filled < bytes; ) {
    const wish = { hash, offset: filled, bytes: bytes - filled, manifest: hash };
    const piece = await calls.chunk(wish, signal);
    if (piece === undefined) return undefined;
    whole.set(piece, filled);
    filled += piece.length;
  }
  return whole;
}

async function askForInline(
  calls: RowCalls,
  { object }: Extract<Damage, { kind: "inline" }>,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const positions = positionsOfVersion(object);
  const [from = ""] = positions;
  const range = { from, to: `${positions.at(-1)}\0` };
  const wish = { range, positions, bodies: true, bytesMax: LIMITS.replicationPageBytes };
  const page = await calls.rows(wish, signal);
  const found = page.entries.find(({ encoded }) => {
    const { hlc, dot } = decodeOperation(encoded);
    return makeVersionId(hlc, dot.origin) === object.version;
  });
  return found?.inline;
}
