import { z } from "zod";
import { asBuffer, ByteWriter } from "../core/bytes.ts";
import type { ForwardedAnswer, ForwardedRequest } from "../core/forwarded-request.ts";
import { LIMITS } from "../core/limits.ts";
import { parseAccessKeyId } from "../core/names.ts";
import { json, type Parsed, parsed, parseWith } from "./wire-values.ts";

/*
 * A client's request on its way to the home of its bucket, and the answer on its way back:
 *
 * | part | bytes | meaning                                          |
 * | ---- | ----- | ------------------------------------------------ |
 * | size | u32   | bytes of the head, h                             |
 * | head | h     | JSON: everything but the body                    |
 * | body | rest  | as the client sent it, or gets it                |
 */
const SIZE_BYTES = 4;

const name = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/);
// Nothing that could begin another header; characters beyond ASCII are the client's own.
const value = z
  .string()
  .max(LIMITS.headerBlockBytesMax)
  .regex(/^[^\r\n\0]*$/);
const lines = z.array(z.tuple([name, value])).max(LIMITS.headerCountMax * 2);

const principal = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("root") }),
  z.strictObject({ kind: z.literal("user"), accessKey: parsed(parseAccessKeyId) }),
  z.strictObject({ kind: z.literal("anonymous") }),
]);
const requestHead = z.strictObject({
  method: z.enum(["PUT", "POST", "DELETE"]),
  target: z
    .string()
    .min(1)
    .max(LIMITS.headerBlockBytesMax)
    .regex(/^\/[^\s]*$/),
  headers: lines,
  remoteAddress: z.string().max(64),
  secure: z.boolean(),
  principal,
});
const answerHead = z.strictObject({ status: z.int().min(200).max(599), headers: lines });

/** The request as it travels. */
export function writeForwardedRequest({ body, ...head }: ForwardedRequest): Buffer {
  return write(head, body);
}

/** Reads what a peer asks in the name of a client. */
export function parseForwardedRequest(bytes: Uint8Array): Parsed<ForwardedRequest> {
  return parseParts(requestHead, bytes);
}

/** The answer as it travels. */
export function writeForwardedAnswer({ body, ...head }: ForwardedAnswer): Buffer {
  return write(head, body);
}

/** Reads what the home of a bucket answered. */
export function parseForwardedAnswer(bytes: Uint8Array): Parsed<ForwardedAnswer> {
  return parseParts(answerHead, bytes);
}

function write(head: unknown, body: Uint8Array): Buffer {
  const text = json(head);
  const writer = new ByteWriter(text.length + body.length + SIZE_BYTES);
  return writer.u32(text.length).bytes(text).bytes(body).view();
}

function parseParts<Schema extends z.ZodType<object>>(
  schema: Schema,
  bytes: Uint8Array,
): Parsed<z.output<Schema> & { readonly body: Uint8Array }> {
  const size = bytes.length < SIZE_BYTES ? undefined : asBuffer(bytes).readUInt32LE(0);
  if (size === undefined || size > bytes.length - SIZE_BYTES) {
    return { outcome: "bad", problem: "it ends within its head" };
  }
  const head = parseWith(schema, bytes.subarray(SIZE_BYTES, SIZE_BYTES + size));
  if (head.outcome === "bad") return head;
  return { outcome: "ok", value: { ...head.value, body: bytes.subarray(SIZE_BYTES + size) } };
}
