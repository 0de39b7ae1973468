import { z } from "zod";
import { parseAccessKeyId, parseSiteId } from "../core/names.ts";
import { parsePeerAddress } from "../core/peer-address.ts";
import type { KeyRing } from "../core/seal.ts";
import type { SiteRecord } from "../core/site-record.ts";
import { origin, parsed } from "./wire-values.ts";

/*
 * The JSON of a site that joins, of the one that invited it, and of sites that share keys. Every
 * list is bounded, and every name is parsed by core, before anything is done with it.
 */

const key = z.string().regex(/^[0-9a-f]{64}$/);
const signature = z.string().regex(/^[0-9a-f]{128}$/);
const base64 = z.base64().max(4 * 1024 * 1024);
const address = z.string().refine((text) => {
  const read = parsePeerAddress(text);
  return read.outcome === "address" && read.origin === text;
});

const siteRecord = z
  .strictObject({
    id: parsed(parseSiteId),
    name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
    publicKey: key,
    addresses: z.array(address).max(8),
    certificates: z.array(z.string().max(16_384)).max(4),
    origins: z.array(origin).min(1).max(1024),
    state: z.enum(["active", "removed"]),
    featureLevel: z.number().int().min(1).max(1_000_000),
    insecure: z.boolean(),
  })
  .refine(({ addresses, insecure }) => {
    return insecure || addresses.every((one) => one.startsWith("https://"));
  });

const joinRequest = z.strictObject({
  /** `offer`: what would this site get? `commit`: it has taken that over, and is a member now. */
  phase: z.enum(["offer", "commit"]),
  site: siteRecord.refine(({ origins, state }) => origins.length === 1 && state === "active"),
  /** X25519 key of the joiner that the key ring is sealed to. */
  sealTo: key,
  /** By the joiner's own key, over the token and what it says of itself. */
  proof: signature,
});

const offer = z.strictObject({
  /** The inviting site first, then every other member. */
  sites: z.array(siteRecord).min(1).max(1024),
  /** The joiner is a member already, as the incarnation that asks. */
  isMember: z.boolean(),
  ring: base64,
  accessKeys: z
    .array(z.strictObject({ id: parsed(parseAccessKeyId), revoked: z.boolean(), sealed: base64 }))
    .max(100_000),
});

const ringRequest = z.strictObject({ sealTo: key });
const ringAnswer = z.strictObject({ ring: base64 });
const ringContent = z.strictObject({
  current: z.string().min(1).max(64),
  keys: z.record(z.string().min(1).max(64), key),
});

export type JoinRequest = Readonly<z.output<typeof joinRequest>>;
export type JoinOffer = Readonly<z.output<typeof offer>>;

/** Reads what a joiner says; undefined when it is not that. */
export function parseJoinRequest(body: Uint8Array): JoinRequest | undefined {
  return parseWith(joinRequest, body);
}

/** Reads what the inviting site offers; undefined when it is not that. */
export function parseOffer(body: Uint8Array): JoinOffer | undefined {
  return parseWith(offer, body);
}

/** Reads what a peer asks for; undefined when it is not that. */
export function parseRingRequest(body: Uint8Array): { readonly sealTo: string } | undefined {
  return parseWith(ringRequest, body);
}

/** Reads what a peer answered; undefined when it is not that. */
export function parseRingAnswer(body: Uint8Array): { readonly ring: string } | undefined {
  return parseWith(ringAnswer, body);
}

/** What goes into the box: the keys themselves. */
export function encodeRing({ current, keys }: KeyRing): Buffer {
  const named = [...keys].map(([id, bytes]) => [id, Buffer.from(bytes).toString("hex")]);
  return Buffer.from(JSON.stringify({ current, keys: Object.fromEntries(named) }));
}

/** What was in a box; undefined when it is no ring. */
export function decodeRing(bytes: Uint8Array): KeyRing | undefined {
  const content = parseWith(ringContent, bytes);
  if (content === undefined) return undefined;
  const keys = new Map(
    Object.entries(content.keys).map(([id, hex]) => [id, Buffer.from(hex, "hex")] as const),
  );
  return keys.has(content.current) ? { current: content.current, keys } : undefined;
}

/** Any of these messages as bytes. */
export function toJson(value: JoinRequest | JoinOffer | { ring: string } | { sealTo: string }) {
  return Buffer.from(JSON.stringify(value));
}

/** A record as it travels: nothing in it that the other side does not know. */
export function bareRecord(site: SiteRecord): JoinOffer["sites"][number] {
  const { id, name, publicKey, addresses, certificates, origins } = site;
  const { state, featureLevel, insecure } = site;
  return {
    ...{ id, name, publicKey, state, featureLevel, insecure },
    ...{ addresses: [...addresses], certificates: [...certificates], origins: [...origins] },
  };
}

function parseWith<Value>(schema: z.ZodType<Value>, body: Uint8Array): Value | undefined {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body).toString("utf8"));
  } catch (failure) {
    if (failure instanceof SyntaxError) return undefined;
    throw failure;
  }
  const result = schema.safeParse(json);
  return result.success ? result.data : undefined;
}
