import { toHex } from "../core/bytes.ts";
import type { ForwardedAnswer, ForwardedFlow, ForwardedHead } from "../core/forwarded-request.ts";
import { ignore } from "../core/ignore.ts";
import { LIMITS } from "../core/limits.ts";
import type { SiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { PeerClient } from "./peer-client.ts";
import { PeerFault, type PeerFaultKind } from "./peer-fault.ts";
import { type FlowMessage, parseForwardedAnswer, writeFlowMessage } from "./wire-forward.ts";

export const FLOW_PATH = "/v1/repl/forward-flow";
/** How long to wait for a reply, beyond the time that the home lets a message wait. */
const TIMEOUT_MS = 30_000;
/** How long a link may be broken before a request that is on its way over it is given up. */
const BROKEN_MS = 20_000;
const FIRST_REST_MS = 100;
const LONGEST_REST_MS = 2000;
const FLOW_BYTES = 16;
/** Failures after which nothing is known of what became of a message: it is sent once more. */
const PASSING: ReadonlySet<PeerFaultKind> = new Set(["unreachable", "timeout"]);

export type FlowDeps = {
  readonly client: PeerClient;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  readonly random: Random;
  readonly peers: () => readonly MemberSite[];
};

/**
 * Begins to bring a request, whose body follows in pieces, to the home of its bucket.
 *
 * @throws PeerFault when there is no such peer, when it cannot be reached, or has no room.
 */
export async function openFlow(
  deps: FlowDeps,
  home: SiteId,
  head: ForwardedHead,
): Promise<ForwardedFlow> {
  const peer = deps.peers().find(({ id }) => id === home);
  if (peer === undefined) throw new PeerFault("unreachable", `${home} is no peer`);
  const flow = toHex(deps.random.bytes(FLOW_BYTES));
  const there = new FlowThere(deps, peer, flow);
  await there.open(head);
  return there;
}

/** Invariant: a message is sent anew, as it was, until the peer has answered it or time is up. */
class FlowThere implements ForwardedFlow {
  readonly #deps: FlowDeps;
  readonly #peer: MemberSite;
  readonly #flow: string;
  #offset = 0;

  constructor(deps: FlowDeps, peer: MemberSite, flow: string) {
    this.#deps = deps;
    this.#peer = peer;
    this.#flow = flow;
  }

  async open(request: ForwardedHead): Promise<void> {
    await this.#ask({ kind: "open", flow: this.#flow, request });
  }

  async data(bytes: Uint8Array): Promise<ForwardedAnswer | undefined> {
    const offset = this.#offset;
    const answer = await this.#ask({ kind: "data", flow: this.#flow, offset, bytes });
    this.#offset += bytes.length;
    return answer;
  }

  async end(): Promise<ForwardedAnswer> {
    for (;;) {
      const answer = await this.#ask({ kind: "end", flow: this.#flow, offset: this.#offset });
      if (answer !== undefined) return answer;
    }
  }

  cut(): void {
    // A home that does not receive this gives the request up by itself.
    this.#send({ kind: "cut", flow: this.#flow }).catch(ignore);
  }

  async #ask(message: FlowMessage): Promise<ForwardedAnswer | undefined> {
    const { clock } = this.#deps;
    const untilMs = clock.monotonicMs() + BROKEN_MS;
    for (let restMs = FIRST_REST_MS; ; restMs = Math.min(restMs * 2, LONGEST_REST_MS)) {
      try {
        return await this.#send(message);
      } catch (failure) {
        const isPassing = failure instanceof PeerFault && PASSING.has(failure.kind);
        if (!isPassing || clock.monotonicMs() + restMs > untilMs) throw failure;
      }
      await clock.sleep(restMs);
    }
  }

  async #send(message: FlowMessage): Promise<ForwardedAnswer | undefined> {
    const peer = this.#peer;
    const { status, body } = await this.#deps.client.request(peer, {
      ...{ method: "POST", path: FLOW_PATH, body: writeFlowMessage(message) },
      ...{ bytesMax: LIMITS.replicationAnswerBytesMax, timeoutMs: TIMEOUT_MS },
    });
    if (status === 202) return undefined;
    if (status !== 200) throw new PeerFault("refused", `${peer.name} answered ${status}`);
    const answer = parseForwardedAnswer(body);
    if (answer.outcome === "ok") return answer.value;
    const what = `${peer.name} answered what is no answer: ${answer.problem}`;
    throw new PeerFault("untrusted", what);
  }
}
