import { z } from "zod";
import { asBuffer, ByteReader, ByteWriter, LayoutError } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import type {
  BroughtUpload,
  ForwardedAnswer,
  ForwardedHead,
  ForwardedRequest,
} from "../core/forwarded-request.ts";
import { LIMITS } from "../core/limits.ts";
import { decodeLocal, encodeLocal } from "../core/local-codec.ts";
import { parseAccessKeyId } from "../core/names.ts";
import type { LocalRecord, PartRecord } from "../core/records.ts";
import { json, type Parsed, parsed, parseWith } from "./wire-values.ts";

/*
 * A client's request on its way to the home of its bucket, and the answer on its way back:
 *
 * | part | bytes | meaning                                          |
 * | ---- | ----- | ------------------------------------------------ |
 * | size | u32   | bytes of the head, h                             |
 * | head | h     | JSON: everything but the body                    |
 * | body | rest  | as the client sent it, or gets it                |
 *
 * A larger one travels in several messages of that layout, which name the flow that they belong to.
 * The first has the request in its head, and in its body the upload that it completes, if any: how
 * many records (u32), and each with its length (u32) as core/local-codec.ts writes them, the upload
 * first and its parts behind it. The others say at which byte of the client's body they are, so
 * that one that comes twice is taken once.
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

const flow = z.string().regex(/^[0-9a-f]{32}$/);
const offset = z.int().min(0);
const flowHead = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("open"), flow, request: requestHead }),
  z.strictObject({ kind: z.literal("data"), flow, offset }),
  z.strictObject({ kind: z.literal("end"), flow, offset }),
  z.strictObject({ kind: z.literal("cut"), flow }),
]);

/** One message of a request that travels in several. */
export type FlowMessage =
  | { readonly kind: "open"; readonly flow: string; readonly request: ForwardedHead }
  /** What follows of the body, from an offset in bytes on. */
  | {
      readonly kind: "data";
      readonly flow: string;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  /** The body was so long, and is all there; also asks for the answer once more. */
  | { readonly kind: "end"; readonly flow: string; readonly offset: number }
  | { readonly kind: "cut"; readonly flow: string };

/** The message as it travels. */
export function writeFlowMessage(message: FlowMessage): Buffer {
  if (message.kind === "data") {
    const { bytes, ...head } = message;
    return write(head, bytes);
  }
  if (message.kind !== "open") return write(message, Buffer.of());
  const { upload, ...request } = message.request;
  return write({ ...message, request }, upload === undefined ? Buffer.of() : writeUpload(upload));
}

/** Reads one message of a peer that brings a request in several. */
export function parseFlowMessage(bytes: Uint8Array): Parsed<FlowMessage> {
  const parts = parseParts(flowHead, bytes);
  if (parts.outcome === "bad") return parts;
  const { body, ...head } = parts.value;
  if (head.kind === "data") return { outcome: "ok", value: { ...head, bytes: body } };
  if (head.kind !== "open" || body.length === 0) return { outcome: "ok", value: head };
  const upload = parseUpload(body);
  if (upload === undefined) return { outcome: "bad", problem: "it brings what is no upload" };
  return { outcome: "ok", value: { ...head, request: { ...head.request, upload } } };
}

function writeUpload({ upload, parts }: BroughtUpload): Buffer {
  const writer = new ByteWriter(4096);
  const record = new ByteWriter();
  const put = (one: LocalRecord): void => {
    record.reset();
    encodeLocal(record, one);
    const bytes = record.view();
    writer.u32(bytes.length).bytes(bytes);
  };
  writer.u32(parts.length + 1);
  put({ kind: "upload-create", upload });
  for (const part of parts) put({ kind: "part-put", part });
  return writer.view();
}

/** Undefined for anything but one upload and parts of it, in their order. */
function parseUpload(bytes: Uint8Array): BroughtUpload | undefined {
  const reader = new ByteReader(bytes);
  const records: LocalRecord[] = [];
  try {
    const count = reader.u32();
    if (count > LIMITS.partNumberMax + 1) return undefined;
    for (let at = 0; at < count; at++) records.push(decodeLocal(reader.bytes(reader.u32())));
    reader.end();
  } catch (failure) {
    if (failure instanceof LayoutError || failure instanceof StorageFault) return undefined;
    throw failure;
  }
  const [first, ...rest] = records;
  if (first?.kind !== "upload-create") return undefined;
  const { upload } = first;
  const parts: PartRecord[] = [];
  for (const record of rest) {
    const part = record.kind === "part-put" ? record.part : undefined;
    const isNext = part !== undefined && part.partNumber > (parts.at(-1)?.partNumber ?? 0);
    if (!isNext || part.uploadId !== upload.uploadId) return undefined;
    parts.push(part);
  }
  return { upload, parts };
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
