import type { ClusterId, SiteId } from "../core/names.ts";
import { makeBoxKeyPair, openBox, sealBox } from "../core/sealed-box.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Cancel, Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import type { ClusterKeys } from "../storage/cluster-keys.ts";
import { ringContext } from "./join-server.ts";
import type { PeerClient } from "./peer-client.ts";
import { PeerFault } from "./peer-fault.ts";
import { type PeerRoute, problem } from "./peer-server.ts";
import { decodeRing, encodeRing, parseRingAnswer, parseRingRequest, toJson } from "./wire-join.ts";

export type RingShareDeps = {
  readonly identity: { readonly clusterId: ClusterId; readonly siteId: SiteId };
  readonly keyRing: ClusterKeys;
  readonly peers: () => readonly MemberSite[];
  readonly client: PeerClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
};

const PATH = "/v1/repl/ring";
const SEED_BYTES = 32;
const ANSWER_BYTES_MAX = 1024 * 1024;
const ANSWER_MS_MAX = 30_000;
/** A key that one site made is known to the others after so long, if they can reach it. */
const LOOK_MS = 30_000;

/** Lets every member have the keys that any of them made; they never stand in the log. */
export class RingShare {
  readonly #deps: RingShareDeps;
  readonly #stopping = new AbortController();
  #cancel: Cancel | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(deps: RingShareDeps) {
    this.#deps = deps;
  }

  /** Gives a peer the ring, sealed to the key that it names. */
  get route(): PeerRoute {
    return {
      ...{ method: "POST", path: PATH, bodyBytesMax: 1024 },
      answer: ({ peer, body }) => {
        const { identity, keyRing, random } = this.#deps;
        const request = parseRingRequest(body);
        const context = ringContext(identity.clusterId, peer.id);
        const box =
          request === undefined
            ? undefined
            : sealBox(request.sealTo, encodeRing(keyRing), context, random.bytes(SEED_BYTES));
        if (box === undefined) return problem(400, "malformed", "There is no key to seal to.");
        return { status: 200, body: toJson({ ring: Buffer.from(box).toString("base64") }) };
      },
    };
  }

  start(): void {
    this.#cancel = this.#deps.clock.after(LOOK_MS, () => {
      this.#looking = this.look().finally(() => {
        if (!this.#stopping.signal.aborted) this.start();
      });
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel?.();
    await this.#looking;
  }

  /** Takes the keys of every peer that answers. Never rejects. */
  async look(): Promise<void> {
    for (const peer of this.#deps.peers()) {
      if (this.#stopping.signal.aborted) return;
      try {
        await this.#take(peer);
      } catch (failure) {
        // That a peer cannot be reached is said where operations are pulled from it.
        if (failure instanceof PeerFault) continue;
        this.#deps.log.warn({ err: failure, peer: peer.name }, "its keys could not be taken");
      }
    }
  }

  async #take(peer: MemberSite): Promise<void> {
    const { identity, client, random, keyRing, log } = this.#deps;
    const box = makeBoxKeyPair(random.bytes(SEED_BYTES));
    const answer = await client.request(peer, {
      ...{ method: "POST", path: PATH, body: toJson({ sealTo: box.publicKey }) },
      ...{ bytesMax: ANSWER_BYTES_MAX, timeoutMs: ANSWER_MS_MAX },
      signal: this.#stopping.signal,
    });
    const sealed = answer.status === 200 ? parseRingAnswer(answer.body) : undefined;
    if (sealed === undefined) return;
    const context = ringContext(identity.clusterId, identity.siteId);
    const opened = openBox(box, Buffer.from(sealed.ring, "base64"), context);
    const ring = opened === undefined ? undefined : decodeRing(opened);
    if (ring !== undefined && (await keyRing.merge(ring))) {
      log.info({ peer: peer.name, key: keyRing.current }, "took keys that another site made");
    }
  }
}
