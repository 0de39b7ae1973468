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
  #count = 0;
  /** A peer is asked one thing after the other; who does not answer keeps no others waiting. */
  readonly #lines = new Map<SiteId, Line>();
  /** Questions that have not begun yet: one for a peer, for that will bring all there is. */
  readonly #waiting = new Map<SiteId, Promise<void>>();
  #telling: Promise<void> = Promise.resolve();
  /** The key that peers have been told of, or had from the start. */
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
        void this.#ask(peer);
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
      if (current !== this.#told) this.#telling = this.#tell(current);
      else if (isTime) void this.look();
      if (!this.#stopping.signal.aborted) this.start();
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel?.();
    await this.#telling;
    await Promise.all(Array.from(this.#lines.values(), (line) => line.idle()));
  }

  /** Takes the keys of every peer that answers. Never rejects. */
  async look(): Promise<void> {
    await Promise.all(this.#deps.peers().map((peer) => this.#ask(peer)));
  }

  #ask(peer: MemberSite): Promise<void> {
    const { id } = peer;
    const line = this.#lines.get(id) ?? new Line();
    this.#lines.set(id, line);
    const asked =
      this.#waiting.get(id) ??
      line.run(() => {
        this.#waiting.delete(id);
        return this.#stopping.signal.aborted ? undefined : this.#takeFrom(peer);
      });
    this.#waiting.set(id, asked);
    return asked;
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
