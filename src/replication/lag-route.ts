import type { AppliedSet } from "../core/applied-set.ts";
import type { OriginId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Lag } from "./lag-ledger.ts";
import type { PeerClient } from "./peer-client.ts";
import { PeerFault } from "./peer-fault.ts";
import type { PeerRoute } from "./peer-server.ts";
import { parseLag, parseLagRequest, writeLag, writeLagRequest } from "./wire-lag.ts";

const LAG_PATH = "/v1/repl/lag";
const BYTES_MAX = 1024 * 1024;
const TIMEOUT_MS = 1000;

/** Tells peers exactly what they lack of what this site has. */
export function lagRoute(
  behind: (has: AppliedSet, without: ReadonlySet<OriginId>) => Promise<Lag | undefined>,
): PeerRoute {
  return {
    ...{ method: "POST", path: LAG_PATH, bodyBytesMax: BYTES_MAX },
    answer: async ({ peer, body }) => {
      const asked = parseLagRequest(body);
      if (asked.outcome === "bad") return { status: 400, body: Buffer.from(asked.problem) };
      const lag = await behind(asked.value, new Set(peer.origins));
      return lag === undefined
        ? { status: 409, body: Buffer.from("not known") }
        : { status: 200, body: writeLag(lag) };
    },
  };
}

/**
 * Asks a peer what this site lacks of what the peer has; undefined when it does not say. Nonsense
 * is told to `failed`.
 */
export async function askLag(
  client: PeerClient,
  peer: MemberSite,
  has: AppliedSet,
  failed: (problem: string) => void,
): Promise<Lag | undefined> {
  try {
    const { status, body } = await client.request(peer, {
      ...{ method: "POST", path: LAG_PATH, body: writeLagRequest(has) },
      ...{ bytesMax: BYTES_MAX, timeoutMs: TIMEOUT_MS },
    });
    if (status !== 200) return undefined;
    const lag = parseLag(body);
    if (lag.outcome === "ok") return lag.value;
    failed(`its answer about lag is none: ${lag.problem}`);
    return undefined;
  } catch (failure) {
    // The state of the link tells why; the figures are left out.
    if (failure instanceof PeerFault) return undefined;
    throw failure;
  }
}
