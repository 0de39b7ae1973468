import { z } from "zod";
import { ByteReader, ByteWriter, LayoutError } from "../core/bytes.ts";
import type { ForwardedAnswer, ForwardedRequest, Principal } from "../core/forwarded-request.ts";
import { LIMITS } from "../core/limits.ts";
import { parseAccessKeyId } from "../core/names.ts";

/*
 * A client's request on its way to the home of its bucket, and the answer on its way back:
 *
 * | part | bytes | meaning                                          |
 * | ---- | ----- | ------------------------------------------------ |
 * | size | u32   | bytes of the head, h                             |
 * | head | h     | JSON: everything but the body                    |
 * | body | rest  | as the client sent it, or gets it                |
 */
const name = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/);
// Nothing that could begin another header; characters beyond ASCII are the client's own.
const value = z
  .string()
  .max(LIMITS.headerBlockBytesMax)
  .regex(/^[^\r\n\0]*$/);
const lines = z.array(z.tuple([name, value])).max(LIMITS.headerCountMax * 2);

const principal = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("root") }),
  z.strictObject({ kind: z.literal("user"), accessKey: z.string() }),
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

/**
 * Reads what a peer asks in the name of a client.
 *
 * @throws LayoutError when it is no such request.
 */
export function readForwardedRequest(bytes: Uint8Array): ForwardedRequest {
  const { head, body } = read(requestHead, bytes);
  return { ...head, principal: principalOf(head.principal), body };
}

/** The answer as it travels. */
export function writeForwardedAnswer({ body, ...head }: ForwardedAnswer): Buffer {
  return write(head, body);
}

/**
 * Reads what the home of a bucket answered.
 *
 * @throws LayoutError when it is no such answer.
 */
export function readForwardedAnswer(bytes: Uint8Array): ForwardedAnswer {
  const { head, body } = read(answerHead, bytes);
  return { ...head, body };
}

function write(head: unknown, body: Uint8Array): Buffer {
  const text = Buffer.from(JSON.stringify(head));
  const writer = new ByteWriter(text.length + body.length + 4);
  return writer.u32(text.length).bytes(text).bytes(body).view();
}

function read<Schema extends z.ZodType>(
  schema: Schema,
  bytes: Uint8Array,
): { readonly head: z.output<Schema>; readonly body: Uint8Array } {
  const reader = new ByteReader(bytes);
  const text = Buffer.from(reader.bytes(reader.u32())).toString("utf8");
  const body = reader.bytes(reader.remaining);
  let head: unknown;
  try {
    head = JSON.parse(text);
  } catch (failure) {
    throw new LayoutError("the head is not JSON", { cause: failure });
  }
  const parsed = schema.safeParse(head);
  if (!parsed.success) throw new LayoutError(z.prettifyError(parsed.error));
  return { head: parsed.data, body };
}

function principalOf(given: z.output<typeof principal>): Principal {
  if (given.kind !== "user") return given;
  const accessKey = parseAccessKeyId(given.accessKey);
  if (accessKey === undefined) throw new LayoutError("not an access key");
  return { kind: "user", accessKey };
}
