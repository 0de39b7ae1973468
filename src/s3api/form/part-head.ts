import { S3Error } from "../errors.ts";

/** What the head of one part of a form says. */
export type PartHead = { readonly name: string; readonly filename: string | undefined };

/** Encodings that leave the content as it is. */
const PLAIN_ENCODINGS = ["7bit", "8bit", "binary"];
const PARAMETER = /^;[ \t]*([A-Za-z0-9*_-]+)=(?:"((?:[^"\\]|\\[\s\S])*)"|([^\s";]*))[ \t]*/;

/** A form that two readers could read in two ways, or in none. The reason is for the log. */
export function malformedForm(detail: string): S3Error {
  return new S3Error("MalformedPOSTRequest", { cause: detail });
}

/** Text of a form is UTF-8: other bytes would be stored as something that was not sent. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (failure) {
    throw new S3Error("MalformedPOSTRequest", { cause: failure });
  }
}

/**
 * Reads the header lines of a part, without their last end of line.
 * https://www.rfc-editor.org/rfc/rfc7578#section-4.2
 */
export function readPartHead(bytes: Uint8Array): PartHead {
  let disposition: string | undefined;
  for (const line of decodeUtf8(bytes).split("\r\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    if (!/^[a-z0-9-]+$/.test(name) || /[\r\n\0]/.test(line)) {
      throw malformedForm("a header of a part is none");
    }
    const value = line.slice(colon + 1).trim();
    if (name === "content-transfer-encoding" && !PLAIN_ENCODINGS.includes(value.toLowerCase())) {
      throw malformedForm("a part is encoded");
    }
    if (name !== "content-disposition") continue;
    if (disposition !== undefined) throw malformedForm("a part has two dispositions");
    disposition = value;
  }
  if (disposition === undefined) throw malformedForm("a part has no disposition");
  return readDisposition(disposition);
}

function readDisposition(value: string): PartHead {
  const kind = /^form-data[ \t]*/i.exec(value)?.[0];
  if (kind === undefined) throw malformedForm("a part is no form data");
  const parameters = new Map<string, string>();
  let rest = value.slice(kind.length);
  while (rest !== "") {
    const found = PARAMETER.exec(rest);
    const [all = "", name = "", quoted, bare = ""] = found ?? [];
    if (found === null || parameters.has(name.toLowerCase())) {
      throw malformedForm("a disposition cannot be read");
    }
    parameters.set(name.toLowerCase(), quoted === undefined ? bare : unescapeQuotes(quoted));
    rest = rest.slice(all.length);
  }
  const name = parameters.get("name");
  if (name === undefined) throw malformedForm("a part has no name");
  return { name, filename: parameters.get("filename") };
}

/** Only quotes are escaped; a backslash before anything else is part of a path of Windows. */
function unescapeQuotes(text: string): string {
  return text.replaceAll('\\"', '"');
}

/** The boundary in a Content-Type; undefined when that is no form. */
export function formBoundary(contentType: string | undefined): string | undefined {
  const kind = /^multipart\/form-data[ \t]*(?=;|$)/i.exec(contentType ?? "")?.[0];
  if (contentType === undefined || kind === undefined) return undefined;
  const found = [
    ...contentType.slice(kind.length).matchAll(/;[ \t]*boundary=(?:"([^"\\]*)"|([^\s";]*))/gi),
  ];
  const [first] = found;
  const boundary = first?.[1] ?? first?.[2] ?? "";
  // RFC 2046, section 5.1.1: at most 70 of these characters, the last no space.
  if (found.length !== 1 || !/^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[^ ]$/.test(boundary)) {
    throw malformedForm("it has no boundary");
  }
  return boundary;
}
