import { z } from "zod";
import { parseHex, toHex } from "../core/bytes.ts";
import { formatHlc, parseHlc } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import { parseOriginId, parseSeq, parseSiteId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { SignedHead } from "../storage/replica.ts";

/*
 * The JSON of peers that pull from each other: what is asked, and the head of a page. Every list
 * is bounded, and every name is parsed by core, before anything is done with it.
 */

/** Greater by one when a kind of operation is added that older programs do not know. */
export const FEATURE_LEVEL = 1;

const CHAIN_BYTES = 32;
const SIGNATURE_BYTES = 64;

function parsed<Value>(parse: (text: string) => Value | undefined) {
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: "not valid" });
    return z.NEVER;
  });
}

const origin = parsed(parseOriginId);
const site = parsed(parseSiteId);
const seq = z.number().transform((value, context) => {
  const position = parseSeq(value);
  if (position !== undefined) return position;
  context.addIssue({ code: "custom", message: "not a position" });
  return z.NEVER;
});
const chain = parsed((text) => parseHex(text, CHAIN_BYTES));
const signature = parsed((text) => parseHex(text, SIGNATURE_BYTES));
const hlc = parsed((text) =>
  /^[0-9a-f]{16}$/.test(text) ? parseHlc(BigInt(`0x${text}`)) : undefined,
);
const wallMs = z
  .number()
  .int()
  .min(0)
  .max(2 ** 48);
const featureLevel = z.number().int().min(1).max(1_000_000);

const originsMax = LIMITS.replicationOriginsMax;
const vector = z
  .array(z.tuple([origin, seq]))
  .max(originsMax)
  .transform((entries): Vector => new Map(entries));
const knownHeads = z
  .array(z.tuple([origin, seq, chain]))
  .max(originsMax)
  .readonly();
const origins = z.array(origin).max(originsMax).readonly();
const signedHead = z
  .tuple([origin, site, seq, chain, signature])
  .transform(([from, by, at, hash, signed]): SignedHead => {
    return { origin: from, site: by, seq: at, chain: hash, signature: signed };
  });

const pullRequest = z.object({
  /** How far the asking site's log goes, with the chains there: a clone shows by them. */
  received: knownHeads,
  applied: vector,
  /** Nothing but operations of these; of all when empty. */
  only: origins,
  /** Origins whose operations it gets elsewhere. */
  skip: origins,
  waitMs: z.number().int().min(0).max(LIMITS.replicationWaitMsMax),
  bytesMax: z.number().int().min(1).max(LIMITS.replicationPageBytes),
  compress: z.boolean(),
  wallMs,
  featureLevel,
});

const pageHead = z.object({
  outcome: z.enum(["page", "below-floor"]),
  /** Where the log begins too late for the one that asked; empty for a page. */
  floors: origins,
  /** Origins of which the one that asked has another history. */
  diverged: origins,
  heads: z.array(signedHead).max(originsMax).readonly(),
  received: vector,
  applied: vector,
  more: z.boolean(),
  wallMs,
  hlc,
  featureLevel,
});

const hint = z.object({ received: vector, applied: vector, wallMs, featureLevel });

export type KnownHead = z.output<typeof knownHeads>[number];
export type PullRequest = Readonly<z.output<typeof pullRequest>>;
export type PageHead = Readonly<z.output<typeof pageHead>>;
export type Hint = Readonly<z.output<typeof hint>>;

/** A body of a peer that is not what it should be: `problem` is for the log, not for the peer. */
export type Parsed<Value> =
  | { readonly outcome: "ok"; readonly value: Value }
  | { readonly outcome: "bad"; readonly problem: string };

/** Reads what a peer asks of our log. */
export function parsePullRequest(body: Uint8Array): Parsed<PullRequest> {
  return parseWith(pullRequest, body);
}

/** Reads what stands in front of a page. */
export function parsePageHead(body: Uint8Array): Parsed<PageHead> {
  return parseWith(pageHead, body);
}

/** Reads word of news, and of what a peer has applied. */
export function parseHint(body: Uint8Array): Parsed<Hint> {
  return parseWith(hint, body);
}

/** A request for operations, as it travels. */
export function writePullRequest(request: PullRequest): Buffer {
  const { received, applied, ...rest } = request;
  return json({
    ...rest,
    received: received.map(([from, at, hash]) => [from, at, toHex(hash)]),
    applied: [...applied],
  });
}

/** The head of a page, as it travels. */
export function writePageHead(head: PageHead): Buffer {
  return json({
    ...head,
    heads: head.heads.map((signed) => [
      ...[signed.origin, signed.site, signed.seq],
      ...[toHex(signed.chain), toHex(signed.signature)],
    ]),
    received: [...head.received],
    applied: [...head.applied],
    hlc: formatHlc(head.hlc),
  });
}

/** Word of news and of what has been applied, as it travels. */
export function writeHint(hint: Hint): Buffer {
  return json({ ...hint, received: [...hint.received], applied: [...hint.applied] });
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function parseWith<Schema extends z.ZodType>(
  schema: Schema,
  body: Uint8Array,
): Parsed<z.output<Schema>> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString("utf8"));
  } catch (failure) {
    return { outcome: "bad", problem: `not JSON: ${(failure as Error).message}` };
  }
  const result = schema.safeParse(value);
  if (result.success) return { outcome: "ok", value: result.data };
  const [issue] = result.error.issues;
  return { outcome: "bad", problem: `${issue?.path.join(".")}: ${issue?.message}` };
}
