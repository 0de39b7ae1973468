import { ByteReader } from "../core/bytes.ts";
import { type OriginId, parseOriginId, parseSeq } from "../core/names.ts";
import { operationChain } from "../core/operation-codec.ts";
import type { Dot, Vector } from "../core/records.ts";
import { required } from "../core/tagged-fields.ts";
import type { Hash } from "../ports/hash.ts";
import type { OriginHead } from "../storage/replica.ts";

/** Where core/operation-codec.ts has origin and chain in an operation's envelope. */
const ORIGIN_BYTES = 8;
const CHAIN_START = 25;
const CHAIN_END = 57;

/**
 * Whose operation it is, also of a kind that this program does not know.
 *
 * @throws LayoutError when the bytes cannot be an operation.
 */
export function dotOf(encoded: Uint8Array): Dot {
  const reader = new ByteReader(encoded);
  const origin = required(parseOriginId(reader.hex(8)), "origin");
  return { origin, seq: required(parseSeq(reader.u64()), "sequence") };
}

/** Whether two encoded operations are of one origin. */
export function isOfSameOrigin(left: Uint8Array, right: Uint8Array): boolean {
  for (let at = 0; at < ORIGIN_BYTES; at++) if (left[at] !== right[at]) return false;
  return true;
}

/** The hash chain that an encoded operation says it continues; shares its memory. */
export function chainBeforeOf(encoded: Uint8Array): Uint8Array {
  return encoded.subarray(CHAIN_START, CHAIN_END);
}

/** The hash chain of its origin's log after an encoded operation. */
export function chainBehind(hash: Hash, encoded: Uint8Array): Buffer {
  return operationChain((bytes) => hash.digest("SHA256", bytes), encoded);
}

/** Whether two chains are the same. */
export function sameChain(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** How far each origin is, without chains and readings. */
export function seqsOf(heads: ReadonlyMap<OriginId, OriginHead>): Vector {
  return new Map(Array.from(heads, ([origin, { seq }]) => [origin, seq]));
}
