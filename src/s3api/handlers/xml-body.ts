import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import type { Call, HandlerDeps } from "../operation.ts";
import { parseXml, type XmlElement } from "../xml/reader.ts";
import { payloadOf } from "./request-body.ts";

/** Reads a document with this root; undefined when the client sent none. */
export async function readXmlBody(
  call: Call,
  deps: HandlerDeps,
  root: string,
): Promise<XmlElement | undefined> {
  const bytes = await readDocumentBody(call, deps);
  return bytes.length === 0 ? undefined : parseXml(bytes, root);
}

/** The bytes of a document, whatever it says; empty when the client sent none. */
export async function readDocumentBody(
  call: Call,
  deps: HandlerDeps,
  documentBytesMax: number = LIMITS.xmlBodyBytesMax,
): Promise<Uint8Array> {
  const isSigned = call.auth.credential.kind !== "anonymous";
  const bytesMax = isSigned
    ? documentBytesMax
    : Math.min(documentBytesMax, LIMITS.unsignedXmlBytesMax);
  const payload = payloadOf(call, deps, {
    bytesMax: LIMITS.putBytesMax,
    lengthOptional: true,
  });
  if (payload.bytes !== undefined && payload.bytes > bytesMax) {
    throw new S3Error("MaxMessageLengthExceeded", {
      fields: { MaxMessageLengthBytes: String(bytesMax) },
    });
  }
  const { bytes } = await payload.readAll(bytesMax);
  return bytes;
}

/** ETags come with quotes, as entities of them, or bare. */
export function unquoteEtag(text: string): string {
  const trimmed = text.trim();
  return trimmed.startsWith('"') && trimmed.endsWith('"') && trimmed.length >= 2
    ? trimmed.slice(1, -1)
    : trimmed;
}
