import { z } from "zod";
import { NO_HOLES } from "../core/applied-set.ts";
import { asBuffer } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { parseSiteId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { SignedHead } from "../storage/replica.ts";
import {
  holes,
  json,
  origin,
  type Parsed,
  parsed,
  parseWith,
  seq,
  showHoles,
  vector,
} from "./wire-values.ts";

/*
 * The JSON of peers that pull from each other: what is asked, and the head of a page. Every list
 * is bounded, and every name is parsed by core, before anything is done with it.
 */

/** Greater by one when a kind of operation is added that older programs do not know. */
export const FEATURE_LEVEL = 1;

const CHAIN_BYTES = 32;
/** So much of a chain is enough to see that two logs are not the same. */
const CHAIN_MARK_BYTES = 16;
const SIGNATURE_BYTES = 64;

const site = parsed(parseSiteId);
const mark = parsed((text) => parseBase64url(text, CHAIN_MARK_BYTES));
const chain = parsed((text) => parseBase64url(text, CHAIN_BYTES));
const signature = parsed((text) => parseBase64url(text, SIGNATURE_BYTES));
const wallMs = z
  .number()
  .int()
  .min(0)
  .max(2 ** 48);
const featureLevel = z.number().int().min(1).max(1_000_000);

const bytesMax = z.number().int().min(1).max(LIMITS.replicationPageBytes);
const originsMax = LIMITS.replicationOriginsMax;
const NOTHING: Vector = new Map();
/** How far logs go, and marks of the chains there. */
export const knownHeadsSchema = z
  .array(z.tuple([origin, seq, mark]))
  .max(originsMax)
  .readonly();
const origins = z.array(origin).max(originsMax).readonly();
const signedHead = z
  .tuple([origin, site, seq, chain, signature])
  .transform(([from, by, at, hash, signed]): SignedHead => {
    return { origin: from, site: by, seq: at, chain: hash, signature: signed };
  });

const pullRequest = z
  .object({
    /** How far the asking site's log goes, and marks of the chains there: they show a clone. */
    received: knownHeadsSchema,
    /** Where it differs from what was received. */
    applied: vector.default(NOTHING),
    /** What is parked behind that. */
    holes: holes.default(NO_HOLES),
    /** Nothing but operations of these; of all when empty. */
    only: origins.default([]),
    /** Origins whose operations it gets elsewhere. */
    skip: origins.default([]),
    waitMs: z.number().int().min(0).max(LIMITS.replicationWaitMsMax),
    bytesMax: bytesMax.default(LIMITS.replicationPageBytes),
    compress: z.boolean().default(true),
    wallMs,
    featureLevel,
  })
  .transform(({ applied, ...rest }) => {
    return { ...rest, applied: withChanges(seqsOfKnown(rest.received), applied) };
  });

const pageHead = z.object({
  outcome: z.enum(["page", "below-floor"]).default("page"),
  /** Where the log begins too late for the one that asked; empty for a page. */
  floors: origins.default([]),
  /** Origins of which the one that asked has another history. */
  diverged: origins.default([]),
  heads: z.array(signedHead).max(originsMax).readonly().default([]),
  /** Where it differs from what the one that asked has received. */
  received: vector.default(NOTHING),
  /** Where it differs from what was received. */
  applied: vector.default(NOTHING),
  /** What is parked behind that. */
  holes: holes.default(NO_HOLES),
  more: z.boolean().default(false),
  wallMs,
  featureLevel,
});

const hint = z
  .object({
    received: vector,
    applied: vector.default(NOTHING),
    holes: holes.default(NO_HOLES),
    wallMs,
    featureLevel,
  })
  .transform((told) => ({ ...told, applied: withChanges(told.received, told.applied) }));

/** What is left out when nothing else is meant; every message is paid for. */
const REQUEST_DEFAULTS = {
  ...{ applied: [], holes: [], only: [], skip: [], compress: true },
  bytesMax: LIMITS.replicationPageBytes,
};
const HEAD_DEFAULTS = {
  ...{ outcome: "page", floors: [], diverged: [], heads: [], received: [], applied: [] },
  ...{ holes: [], more: false },
};
const HINT_DEFAULTS = { applied: [], holes: [] };

export type KnownHead = z.output<typeof knownHeadsSchema>[number];
export type PullRequest = Readonly<z.output<typeof pullRequest>>;
export type PageHead = Readonly<z.output<typeof pageHead>>;
export type Hint = Readonly<z.output<typeof hint>>;

/** Reads what a peer asks of our log. */
export function parsePullRequest(body: Uint8Array): Parsed<PullRequest> {
  return parseWith(pullRequest, body);
}

/** Reads what stands in front of a page; `asked` is what the request said had been received. */
export function parsePageHead(body: Uint8Array, asked: Vector): Parsed<PageHead> {
  const parsed = parseWith(pageHead, body);
  if (parsed.outcome === "bad") return parsed;
  const received = withChanges(asked, parsed.value.received);
  const applied = withChanges(received, parsed.value.applied);
  return { outcome: "ok", value: { ...parsed.value, received, applied } };
}

/** Reads word of news, and of what a peer has applied. */
export function parseHint(body: Uint8Array): Parsed<Hint> {
  return parseWith(hint, body);
}

/** The mark of a chain, as requests state where a log stands. */
export function markOf(chain: Uint8Array): Uint8Array {
  return Buffer.from(chain.subarray(0, CHAIN_MARK_BYTES));
}

/** How far logs go, for a peer to compare with what it has; of a log that is not here nothing. */
export function knownHeads(heads: Iterable<LogEnd | undefined>): KnownHead[] {
  return [...heads].flatMap((head) => {
    return head === undefined ? [] : [[head.origin, head.seq, markOf(head.chain)]];
  });
}

type LogEnd = Pick<SignedHead, "origin" | "seq" | "chain">;

/** How far each origin is that a request names. */
export function seqsOfKnown(known: readonly KnownHead[]): Vector {
  return new Map(known.map(([from, at]) => [from, at]));
}

/** How far logs go, as it travels. */
export function showKnown(known: readonly KnownHead[]): unknown[] {
  return known.map(([from, at, bytes]) => [from, at, base64url(bytes)]);
}

/** A request for operations, as it travels. */
export function writePullRequest(request: PullRequest): Buffer {
  const { received, applied, ...rest } = request;
  const message = {
    ...rest,
    holes: showHoles(request.holes),
    received: showKnown(received),
    applied: changesOf(seqsOfKnown(received), applied),
  };
  return json(withoutDefaults(message, REQUEST_DEFAULTS));
}

/** The head of a page for a request that said that so much had been received. */
export function writePageHead(head: PageHead, asked: Vector): Buffer {
  const message = {
    ...head,
    heads: head.heads.map((signed) => [
      ...[signed.origin, signed.site, signed.seq],
      ...[base64url(signed.chain), base64url(signed.signature)],
    ]),
    received: changesOf(asked, head.received),
    applied: changesOf(head.received, head.applied),
    holes: showHoles(head.holes),
  };
  return json(withoutDefaults(message, HEAD_DEFAULTS));
}

/** Word of news and of what has been applied, as it travels. */
export function writeHint(hint: Hint): Buffer {
  const { received, applied, ...rest } = hint;
  const message = {
    ...rest,
    received: [...received],
    applied: changesOf(received, applied),
    holes: showHoles(hint.holes),
  };
  return json(withoutDefaults(message, HINT_DEFAULTS));
}

/** Entries of a vector that differ from what the reader knows; 0 where it has none. */
function changesOf(base: Vector, vector: Vector): Array<readonly [string, number]> {
  const changed = [...vector].filter(([from, at]) => base.get(from) !== at);
  const gone = [...base.keys()].filter((from) => !vector.has(from));
  return [...changed, ...gone.map((from) => [from, 0] as const)];
}

function withChanges(base: Vector, changes: Vector): Vector {
  const vector = new Map([...base, ...changes]);
  for (const [from, at] of changes) if (at === 0) vector.delete(from);
  return vector;
}

function withoutDefaults(
  message: Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const said = Object.entries(message).filter(([name, value]) => {
    return JSON.stringify(value) !== JSON.stringify(defaults[name]);
  });
  return Object.fromEntries(said);
}

function base64url(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("base64url");
}

/** Undefined unless it is exactly so many bytes, in the one way to write them. */
function parseBase64url(text: string, bytes: number): Uint8Array | undefined {
  if (text.length !== Math.ceil((bytes * 4) / 3)) return undefined;
  const decoded = Buffer.from(text, "base64url");
  return decoded.toString("base64url") === text && decoded.length === bytes ? decoded : undefined;
}
