import { z } from "zod";
import type { Hole, Holes, SeqRange } from "../core/applied-set.ts";
import { asBuffer } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { type OriginId, parseOriginId, parseSeq } from "../core/names.ts";
import type { Vector } from "../core/records.ts";

/*
 * What the JSON of all peers' messages is made of. Names are parsed by core, and every list is
 * bounded, before anything is done with it.
 */

/** A text that core parses. */
export function parsed<Value>(parse: (text: string) => Value | undefined) {
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: "not valid" });
    return z.NEVER;
  });
}

export const origin = parsed(parseOriginId);

/** A position in an origin's log. */
export const seq = z.number().transform((value, context) => {
  const position = parseSeq(value);
  if (position !== undefined) return position;
  context.addIssue({ code: "custom", message: "not a position" });
  return z.NEVER;
});

/** Pairs of origin and position, of a bounded number of origins. */
export const vector = z
  .array(z.tuple([origin, seq]))
  .max(LIMITS.replicationOriginsMax)
  .transform((entries): Vector => new Map(entries));

const ranges = z
  .array(z.tuple([seq, seq]))
  .min(1)
  .max(LIMITS.replicationHolesMax)
  .readonly()
  .refine(doAscend, "ranges that ascend");
const hole = z
  .tuple([origin, seq, ranges])
  .refine(([, upTo, missing]) => (missing.at(-1)?.[1] ?? 0) <= upTo, "ranges that end in time")
  .transform(([from, upTo, missing]): [OriginId, Hole] => [from, { upTo, ranges: missing }]);

/** What is parked at a site, of a bounded number of origins. */
export const holes = z
  .array(hole)
  .max(LIMITS.replicationOriginsMax)
  .transform((entries): Holes => new Map(entries));

function doAscend(given: readonly SeqRange[]): boolean {
  let before = 0;
  return given.every(([first, last]) => {
    const isBehind = first > before && last >= first;
    before = last;
    return isBehind;
  });
}

/** What is parked, as it travels. */
export function showHoles(given: Holes): unknown[] {
  return [...given].map(([from, { upTo, ranges: missing }]) => [from, upTo, missing]);
}

/** A body of a peer that is not what it should be: `problem` is for the log, not for the peer. */
export type Parsed<Value> =
  | { readonly outcome: "ok"; readonly value: Value }
  | { readonly outcome: "bad"; readonly problem: string };

/** A message as it travels. */
export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Reads a message; whatever the bytes are, the answer is an outcome. */
export function parseWith<Schema extends z.ZodType>(
  schema: Schema,
  body: Uint8Array,
): Parsed<z.output<Schema>> {
  let value: unknown;
  try {
    value = JSON.parse(asBuffer(body).toString("utf8"));
  } catch (failure) {
    return { outcome: "bad", problem: `not JSON: ${(failure as Error).message}` };
  }
  const result = schema.safeParse(value);
  if (result.success) return { outcome: "ok", value: result.data };
  const [issue] = result.error.issues;
  return { outcome: "bad", problem: `${issue?.path.join(".")}: ${issue?.message}` };
}
