import type { ForwardedAnswer, ForwardedFlow, ForwardedHead } from "../core/forwarded-request.ts";
import { LIMITS } from "../core/limits.ts";
import type { SiteId } from "../core/names.ts";
import type { Cancel, Clock } from "../ports/clock.ts";
import { Line } from "../storage/line.ts";
import { FLOW_PATH } from "./forward-flow.ts";
import { textReply } from "./peer-replies.ts";
import type { PeerAnswer, PeerCall, PeerRoute } from "./peer-server.ts";
import { type FlowMessage, parseFlowMessage, writeForwardedAnswer } from "./wire-forward.ts";

export type ForwardGuestsDeps = {
  readonly clock: Pick<Clock, "after">;
  /** Begins to answer a request of a client that a peer brings. */
  readonly open: (head: ForwardedHead, from: SiteId) => ForwardedFlow;
};

type Guest = {
  readonly flow: ForwardedFlow;
  /** Bytes of the body that have been taken. */
  taken: number;
  /** Its messages, of which one is worked on at a time. */
  readonly line: Line;
  /** The answer, once the end of the body has been handed over; undefined before that. */
  ending: Promise<ForwardedAnswer> | undefined;
  answer: ForwardedAnswer | undefined;
  /** How many of its messages wait. */
  waiting: number;
  forget: Cancel;
};

/** How long one message may wait for an answer; then the peer asks again. */
const WAIT_MS = 15_000;
/** Flows that have been answered and are remembered, for a peer that did not hear the answer. */
const REMEMBERED_MAX = 256;

/**
 * Takes requests of clients that peers bring in pieces. Invariants: each piece is taken once and in
 * order, however often it arrives. A flow without messages for a minute is given up, and an answer
 * is remembered for as long.
 */
export class ForwardGuests {
  readonly #deps: ForwardGuestsDeps;
  readonly #guests = new Map<string, Guest>();

  constructor(deps: ForwardGuestsDeps) {
    this.#deps = deps;
  }

  get route(): PeerRoute {
    const answer = (call: PeerCall): Promise<PeerAnswer> => this.#answer(call);
    const bodyBytesMax = LIMITS.replicationAnswerBytesMax;
    return { method: "POST", path: FLOW_PATH, bodyBytesMax, answer };
  }

  /** Gives up whatever is under way. */
  stop(): void {
    for (const name of [...this.#guests.keys()]) this.#drop(name);
  }

  async #answer({ body, peer }: Pick<PeerCall, "body" | "peer">): Promise<PeerAnswer> {
    const parsed = parseFlowMessage(body);
    if (parsed.outcome === "bad") return textReply(400, parsed.problem);
    const message = parsed.value;
    const name = `${peer.id} ${message.flow}`;
    if (message.kind === "open") return this.#open(name, message.request, peer.id);
    const guest = this.#guests.get(name);
    if (guest === undefined) return textReply(404, "nothing of that name is under way");
    if (message.kind === "cut") {
      this.#drop(name);
      return textReply(202, "given up");
    }
    guest.waiting += 1;
    try {
      const refused = await guest.line.run(() => this.#take(guest, message));
      return refused ?? replyOf(guest.answer);
    } finally {
      guest.waiting -= 1;
      this.#rearm(name, guest);
    }
  }

  #open(name: string, head: ForwardedHead, from: SiteId): PeerAnswer {
    const before = this.#guests.get(name);
    if (before !== undefined) return replyOf(before.answer);
    const all = [...this.#guests];
    const answered = all.filter(([, { answer }]) => answer !== undefined);
    if (all.length - answered.length >= LIMITS.forwardedFlowsMax) {
      return textReply(503, "too many at once");
    }
    const [oldest] = answered;
    if (answered.length >= REMEMBERED_MAX && oldest !== undefined) this.#drop(oldest[0]);
    const guest: Guest = {
      ...{ flow: this.#deps.open(head, from), taken: 0, line: new Line() },
      ...{ ending: undefined, answer: undefined, waiting: 0, forget: () => undefined },
    };
    this.#guests.set(name, guest);
    this.#rearm(name, guest);
    return replyOf(undefined);
  }

  /**
   * Takes a message. Undefined when it was taken: the reply then follows from what the guest has
   * been answered.
   */
  async #take(
    guest: Guest,
    message: Extract<FlowMessage, { kind: "data" | "end" }>,
  ): Promise<PeerAnswer | undefined> {
    if (guest.answer !== undefined) return undefined;
    const { offset } = message;
    if (offset > guest.taken) return textReply(409, "something before it has not come");
    if (message.kind === "data") {
      const fresh = message.bytes.subarray(guest.taken - offset);
      guest.answer = await guest.flow.data(fresh);
      guest.taken += fresh.length;
      return undefined;
    }
    if (offset !== guest.taken) return textReply(409, "more has come than was sent");
    guest.ending ??= guest.flow.end();
    guest.answer = await this.#inTime(guest.ending);
    return undefined;
  }

  async #inTime(answered: Promise<ForwardedAnswer>): Promise<ForwardedAnswer | undefined> {
    let cancel: Cancel = () => undefined;
    const late = new Promise<undefined>((resolve) => {
      cancel = this.#deps.clock.after(WAIT_MS, () => resolve(undefined));
    });
    try {
      return await Promise.race([answered, late]);
    } finally {
      cancel();
    }
  }

  #rearm(name: string, guest: Guest): void {
    guest.forget();
    if (this.#guests.get(name) !== guest) return;
    guest.forget = this.#deps.clock.after(LIMITS.forwardedFlowIdleMs, () => {
      if (guest.waiting > 0) this.#rearm(name, guest);
      else this.#drop(name);
    });
  }

  #drop(name: string): void {
    const guest = this.#guests.get(name);
    this.#guests.delete(name);
    guest?.forget();
    guest?.flow.cut();
  }
}

function replyOf(answer: ForwardedAnswer | undefined): PeerAnswer {
  // The client's own status travels inside: ours says only whether it was answered.
  if (answer === undefined) return textReply(202, "it goes on");
  return { status: 200, body: writeForwardedAnswer(answer) };
}
