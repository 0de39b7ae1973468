import type { ClusterId, SiteId } from "../core/names.ts";
import { makeBoxKeyPair, openBox, sealBox } from "../core/sealed-box.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Cancel, Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import type { ClusterKeys } from "../storage/cluster-keys.ts";
import { Line } from "../storage/line.ts";
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
const NEWS_PATH = "/v1/repl/ring-news";
const SEED_BYTES = 32;
const ANSWER_BYTES_MAX = 1024 * 1024;
const ANSWER_MS_MAX = 30_000;
/**
 * How soon a new key is announced to the others. What is sealed with it may arrive there earlier.
 */
const TELL_MS = 1000;
/** A peer that could not be told gets the key after at most this many looks. */
const LOOK_EVERY = 30;

/** Shares the keys that any member made with all members; keys are never in the log. */
export class RingShare {
  readonly #deps: RingShareDeps;
  readonly #stopping = new AbortController();
  #cancel: Cancel | undefined;
  /** Tasks are done in turn; a task that has not begun yet is not queued twice. */
  readonly #line = new Line();
  #count = 0;
  /** Peers that have announced a key which has not been fetched yet. */
  readonly #waiting = new Set<SiteId>();
  /** The key that peers have been told about, or had from the start. */
  #told: string;

  constructor(deps: RingShareDeps) {
    this.#deps = deps;
    this.#told = deps.keyRing.current;
  }

  /** What peers may ask: for the ring, sealed to a key of theirs, and that we ask for theirs. */
  get routes(): readonly PeerRoute[] {
    const news: PeerRoute = {
      ...{ method: "POST", path: NEWS_PATH, bodyBytesMax: 0 },
      answer: ({ peer }) => {
        // However often a peer announces keys: a fetch that has not begun will bring all of them.
        if (!this.#waiting.has(peer.id)) {
          this.#waiting.add(peer.id);
          this.#work(() => {
            this.#waiting.delete(peer.id);
            return this.#takeFrom(peer);
          });
        }
        return { status: 200, body: Buffer.from("{}") };
      },
    };
    return [this.#ringRoute, news];
  }

  get #ringRoute(): PeerRoute {
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
    this.#cancel = this.#deps.clock.after(TELL_MS, () => {
      // Right after a start: what others have sealed meanwhile cannot be read without their keys.
      const isTime = this.#count++ % LOOK_EVERY === 0;
      const { current } = this.#deps.keyRing;
      if (current !== this.#told) this.#work(() => this.#tell(current));
      else if (isTime) this.#work(() => this.look());
      if (!this.#stopping.signal.aborted) this.start();
    });
  }

  #work(task: () => Promise<void>): void {
    void this.#line.run(() => (this.#stopping.signal.aborted ? undefined : task()));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel?.();
    await this.#line.idle();
  }

  /** Takes the keys of every peer that answers. Never rejects. */
  async look(): Promise<void> {
    for (const peer of this.#deps.peers()) {
      if (this.#stopping.signal.aborted) return;
      await this.#takeFrom(peer);
    }
  }

  async #tell(current: string): Promise<void> {
    this.#told = current;
    const { client, peers } = this.#deps;
    const news = { method: "POST", path: NEWS_PATH, body: Buffer.alloc(0) } as const;
    const { signal } = this.#stopping;
    await Promise.all(
      peers().map((peer) =>
        client
          .request(peer, { ...news, bytesMax: 1024, timeoutMs: ANSWER_MS_MAX, signal })
          .catch((failure: unknown) => this.#excuse(peer, failure)),
      ),
    );
  }

  async #takeFrom(peer: MemberSite): Promise<void> {
    try {
      await this.#take(peer);
    } catch (failure) {
      this.#excuse(peer, failure);
    }
  }

  /** That a peer cannot be reached is reported where operations are pulled from it. */
  #excuse(peer: MemberSite, failure: unknown): void {
    if (failure instanceof PeerFault) return;
    this.#deps.log.warn({ err: failure, peer: peer.name }, "keys could not be exchanged");
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
