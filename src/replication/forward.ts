import { toHex } from "../core/bytes.ts";
import type { ForwardedAnswer, ForwardedRequest } from "../core/forwarded-request.ts";
import { LIMITS } from "../core/limits.ts";
import type { SiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { PeerClient } from "./peer-client.ts";
import { PeerFault } from "./peer-fault.ts";
import { textReply } from "./peer-replies.ts";
import type { PeerAnswer, PeerRoute } from "./peer-server.ts";
import {
  parseForwardedAnswer,
  parseForwardedRequest,
  writeForwardedAnswer,
  writeForwardedRequest,
} from "./wire-forward.ts";

const FORWARD_PATH = "/v1/repl/forward";
/** Bytes that the head may take beside the body. */
const HEAD_BYTES_MAX = 256 * 1024;
const BYTES_MAX = LIMITS.forwardedBodyBytesMax + HEAD_BYTES_MAX;
const TIMEOUT_MS = 30_000;
const NAME_BYTES = 16;
/** Between tries; a home that is down is told to its clients soon. */
const RESTS_MS = [100, 400] as const;
/** Answers that are remembered, for a peer that did not hear them and asks at another address. */
const REMEMBERED_MAX = 1024;

/**
 * Answers peers that bring a request for a bucket which has its home here. A request that arrives
 * twice is carried out once: the second time, a write with `If-None-Match` would be refused because
 * of itself.
 */
export function forwardRoute(
  answer: (request: ForwardedRequest) => Promise<ForwardedAnswer>,
): PeerRoute {
  let underWay = 0;
  const remembered = new Map<string, Promise<PeerAnswer>>();
  const take = async (request: ForwardedRequest): Promise<PeerAnswer> => {
    underWay += 1;
    try {
      // The client's own status travels inside: ours says only that it was answered.
      return { status: 200, body: writeForwardedAnswer(await answer(request)) };
    } finally {
      underWay -= 1;
    }
  };
  return {
    ...{ method: "POST", path: FORWARD_PATH, bodyBytesMax: BYTES_MAX },
    answer: ({ body, peer, query }) => {
      const name = `${peer.id} ${query.get("name") ?? ""}`;
      const before = query.has("name") ? remembered.get(name) : undefined;
      if (before !== undefined) return before;
      // Each of these requests holds its body in memory.
      if (underWay >= LIMITS.forwardsMax) return textReply(503, "too many at once");
      const request = parseForwardedRequest(body);
      if (request.outcome === "bad") return textReply(400, request.problem);
      const taken = take(request.value);
      remembered.set(name, taken);
      const [oldest] = remembered.keys();
      if (remembered.size > REMEMBERED_MAX && oldest !== undefined) remembered.delete(oldest);
      return taken;
    },
  };
}

/**
 * Brings a request to the home of its bucket.
 *
 * @throws PeerFault when there is no such peer, when it cannot be reached, or has no room.
 */
export async function forwardTo(
  deps: {
    readonly client: PeerClient;
    readonly clock: Pick<Clock, "sleep">;
    readonly random: Random;
    readonly peers: () => readonly MemberSite[];
  },
  home: SiteId,
  request: ForwardedRequest,
): Promise<ForwardedAnswer> {
  const peer = deps.peers().find(({ id }) => id === home);
  if (peer === undefined) throw new PeerFault("unreachable", `${home} is no peer`);
  const path = `${FORWARD_PATH}?name=${toHex(deps.random.bytes(NAME_BYTES))}`;
  const wish = { method: "POST", path, body: writeForwardedRequest(request) } as const;
  const bounds = { bytesMax: BYTES_MAX, timeoutMs: TIMEOUT_MS };
  const { status, body } = await insist(deps.clock, () =>
    deps.client.request(peer, { ...wish, ...bounds }),
  );
  if (status !== 200) throw new PeerFault("refused", `${peer.name} answered ${status}`);
  const answer = parseForwardedAnswer(body);
  if (answer.outcome === "ok") return answer.value;
  const what = `${peer.name} answered what is no answer: ${answer.problem}`;
  throw new PeerFault("untrusted", what);
}

/** Asks again, under the same name, when a link broke that may be whole in a moment. */
async function insist<Answer>(
  clock: Pick<Clock, "sleep">,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  for (const restMs of RESTS_MS) {
    try {
      return await ask();
    } catch (failure) {
      if (!(failure instanceof PeerFault) || failure.kind !== "unreachable") throw failure;
    }
    await clock.sleep(restMs);
  }
  return ask();
}
