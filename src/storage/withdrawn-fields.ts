import { parseHex, toHex } from "../core/bytes.ts";
import { formatHlc, parseHlc } from "../core/hlc.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "../core/names.ts";
import type { OriginState } from "../core/origin-records.ts";
import type { Vector } from "../core/records.ts";
import { asFields } from "./json-file.ts";
import type { Withdrawn, WithdrawnFrom } from "./withdrawn.ts";

/** A wish to withdraw operations and to issue them again, until that is done. */
export type Withdrawing = {
  readonly from: readonly WithdrawnFrom[];
  /**
   * `kept`: they are issued again with the times that they had. `new`: with times of now, because
   * the clock that they had cannot be believed.
   */
  readonly times: "kept" | "new";
  /** The incarnation that issues them again, and the last segment before it began. */
  readonly attempt?: { readonly into: OriginId; readonly through: number } | undefined;
};

const CHAIN_BYTES = 32;

/** What `site.json` says of it. */
export function encodeWithdrawn({ before, first, ...rest }: Withdrawn): unknown {
  const fields = { ...rest, ...(first !== undefined && { first: toHex(first) }) };
  if (before === undefined) return fields;
  const { seq, hlc, chain, vector } = before;
  const state = { seq, hlc: formatHlc(hlc), chain: toHex(chain) };
  return { ...fields, before: { ...state, vector: Object.fromEntries(vector) } };
}

/** Undefined when it is not what `encodeWithdrawn` gives. */
export function parseWithdrawn(value: unknown): Withdrawn | undefined {
  const fields = asFields(value);
  const from = parseFrom(fields);
  const through = Number(fields?.["through"]);
  if (from === undefined || !Number.isSafeInteger(through)) return undefined;
  const chain = fields?.["first"];
  const first = parseHex(String(chain), CHAIN_BYTES);
  if (chain !== undefined && first === undefined) return undefined;
  const one = { ...from, through, first };
  if (fields?.["before"] === undefined) return { ...one, before: undefined };
  const before = parseState(one.origin, fields["before"]);
  return before === undefined ? undefined : { ...one, before };
}

/** Undefined when it is no wish to withdraw operations. */
export function parseWithdrawing(value: unknown): Withdrawing | undefined {
  const fields = asFields(value);
  const from = parseAll(fields?.["from"], (one) => parseFrom(asFields(one)));
  const times = fields?.["times"];
  if (fields === undefined || from === undefined) return undefined;
  if (times !== "kept" && times !== "new") return undefined;
  if (fields["attempt"] === undefined) return { from, times };
  const attempt = asFields(fields["attempt"]);
  const into = parseOriginId(String(attempt?.["into"]));
  const through = Number(attempt?.["through"]);
  if (into === undefined || !Number.isSafeInteger(through)) return undefined;
  return { from, times, attempt: { into, through } };
}

/** All of a list, or undefined when it is no list or holds anything else. */
export function parseAll<Value>(
  value: unknown,
  parse: (one: unknown) => Value | undefined,
): Value[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const known = value.map(parse).filter((one) => one !== undefined);
  return known.length === value.length ? known : undefined;
}

type Fields = ReturnType<typeof asFields>;

function parseFrom(fields: Fields): WithdrawnFrom | undefined {
  const origin = parseOriginId(String(fields?.["origin"]));
  const from = parseSeq(Number(fields?.["from"]));
  return origin === undefined || from === undefined || from === 0 ? undefined : { origin, from };
}

function parseState(origin: OriginId, value: unknown): OriginState | undefined {
  const fields = asFields(value);
  const seq = parseSeq(Number(fields?.["seq"]));
  const chain = parseHex(String(fields?.["chain"]), CHAIN_BYTES);
  const hex = String(fields?.["hlc"]);
  const hlc = /^[0-9a-f]{16}$/.test(hex) ? parseHlc(BigInt(`0x${hex}`)) : undefined;
  const vector = parseVector(fields?.["vector"]);
  if (seq === undefined || chain === undefined || hlc === undefined) return undefined;
  return vector === undefined ? undefined : { origin, seq, hlc, chain, vector };
}

function parseVector(value: unknown): Vector | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  const vector = new Map<OriginId, Seq>();
  for (const [key, count] of Object.entries(fields)) {
    const origin = parseOriginId(key);
    const seq = parseSeq(Number(count));
    if (origin === undefined || seq === undefined) return undefined;
    vector.set(origin, seq);
  }
  return vector;
}
