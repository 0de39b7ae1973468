import type { OriginId, SiteId } from "../core/names.ts";
import type { BodyRef, Dot, Operation } from "../core/records.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Hash } from "../ports/hash.ts";
import type { LogEntry } from "../storage/replica.ts";
import { type BodyFetchDeps, type FetchedBody, fetchBody } from "./body-fetch.ts";
import type { PassedOver } from "./passed-over.ts";
import type { PeerCalls } from "./peer-calls.ts";
import { PeerLie } from "./peer-lie.ts";
import { mayBeBodyOf } from "./relayed-bodies.ts";

export type ByteSearchDeps = {
  readonly replica: BodyFetchDeps["replica"];
  readonly hash: Hash;
  readonly self: () => SiteId;
  /** Members of the cluster, removed ones among them. */
  readonly sites: () => Iterable<MemberSite>;
  /** Peers that can be asked now, the given one first. */
  readonly callsOf: (first: SiteId | undefined) => readonly PeerCalls[];
  readonly passedOver: PassedOver;
  readonly lied: (peer: SiteId, lie: PeerLie) => void;
  /** Bytes of chunks that came over the wire. */
  readonly fetched: (bytes: number) => void;
};

/** Looks for bytes that this site lacks at its peers, and knows when none of them has them. */
export class ByteSearch {
  readonly #deps: ByteSearchDeps;

  constructor(deps: ByteSearchDeps) {
    this.#deps = deps;
  }

  /** The bytes of a body, from whichever peer has them. */
  body(
    body: Extract<BodyRef, { kind: "manifests" }>,
    first: SiteId | undefined,
    signal: AbortSignal,
  ): Promise<FetchedBody> {
    const { replica, hash, callsOf, passedOver, lied, fetched } = this.#deps;
    return fetchBody(
      {
        ...{ replica, hash, lied, fetched },
        sources: callsOf,
        leftOut: () => this.#leftOut(),
        asked: (...how) => passedOver.asked(...how),
      },
      body.manifests,
      first,
      signal,
    );
  }

  /** What a put has in chunks; other operations have nothing there. */
  ofOperation({ body, dot }: Operation, signal: AbortSignal): Promise<FetchedBody> {
    if (body.kind !== "object-put" || body.object.body.kind !== "manifests") {
      return Promise.resolve({ outcome: "whole", manifests: [] });
    }
    return this.body(body.object.body, this.#siteOf(dot.origin), signal);
  }

  /** An operation with its small body; "gone" when every member was asked and none has it. */
  async entry(
    dot: Dot,
    encoded: Uint8Array,
    signal: AbortSignal,
  ): Promise<LogEntry | "gone" | "unreachable"> {
    const { callsOf, passedOver, hash, lied } = this.#deps;
    let isUnheard = this.#leftOut() !== undefined;
    for (const calls of callsOf(this.#siteOf(dot.origin))) {
      try {
        const entry = await calls.entry(dot, encoded, signal);
        passedOver.answered(calls.site, "an operation");
        if (entry === undefined) continue;
        const isWritten = calls.peer.origins.includes(dot.origin);
        if (isWritten || mayBeBodyOf(hash, entry)) return entry;
        lied(calls.site, new PeerLie(`it gave another body for ${dot.seq} of ${dot.origin}`));
        isUnheard = true;
      } catch (failure) {
        signal.throwIfAborted();
        passedOver.note(calls.site, "an operation", failure);
        isUnheard = true;
      }
    }
    return isUnheard ? "unreachable" : "gone";
  }

  /** A member that is not asked now: it said what is not true, or is not known for long. */
  #leftOut(): string | undefined {
    const asked = new Set(this.#deps.callsOf(undefined).map(({ site }) => site));
    for (const { id, name, state } of this.#deps.sites()) {
      const isOther = id !== this.#deps.self() && state === "active";
      if (isOther && !asked.has(id)) return `${name} is not asked now`;
    }
    return undefined;
  }

  #siteOf(origin: OriginId): SiteId | undefined {
    for (const site of this.#deps.sites()) if (site.origins.includes(origin)) return site.id;
    return undefined;
  }
}
