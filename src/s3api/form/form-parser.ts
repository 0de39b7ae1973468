import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import { decodeUtf8, malformedForm, readPartHead } from "./part-head.ts";

/** A form field before the file, as it was sent. */
export type FormField = readonly [name: string, value: string];

/** What precedes the file of a form. */
export type FormHead = {
  readonly fields: readonly FormField[];
  /** As the client has it, path and all; undefined when the part has none. */
  readonly filename: string | undefined;
};

export type FormEvents = {
  /** Called once, when the content of the file begins. */
  readonly fileBegins: (head: FormHead) => void;
  /** The content of the file, in order; the memory is valid during the call only. */
  readonly fileData: (bytes: Uint8Array) => void;
};

type State =
  /** Before the first delimiter. */
  | "preamble"
  /** Behind a delimiter: "--" ends the form, an end of line begins a part. */
  | "delimiter"
  | "part-head"
  | "field"
  | "file"
  /** Behind the delimiter that ends the file. */
  | "file-end"
  /** What still comes means nothing. */
  | "ignored"
  /** The form has ended without a file. */
  | "ended";

const NOTHING = Buffer.alloc(0);
const CR = 0x0d;
const LF = 0x0a;
const DASH = 0x2d;
const SPACE = 0x20;
const TAB = 0x09;
/** White space that gateways of old put behind a delimiter (RFC 2046, section 5.1.1). */
const PADDING_BYTES_MAX = 256;
const FILE_FIELD = "file";

/**
 * Reads a form upload as its bytes come, however they are cut. Memory is bounded by what may come
 * before the file; the file itself is handed on, and what follows it is ignored, as S3 has it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
 */
export class FormParser {
  readonly #delimiter: Buffer;
  readonly #events: FormEvents;
  readonly #fields: FormField[] = [];
  #state: State = "preamble";
  /** The first delimiter needs no end of line before it; this one makes it like the others. */
  #pending: Buffer = Buffer.from("\r\n");
  #fieldName = "";
  /** Bytes taken before the content of the file, and those of them that are names and values. */
  #headBytes = 0;
  #fieldBytes = 0;

  constructor(boundary: string, events: FormEvents) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
    this.#events = events;
  }

  push(bytes: Uint8Array): void {
    if (this.#state === "ignored" || this.#state === "ended") return;
    const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#pending = this.#pending.length === 0 ? input : Buffer.concat([this.#pending, input]);
    while (this.#step()) {
      // Every step takes something away or goes on to another state.
    }
    if (this.#isHead()) this.#requireHeadWithin(this.#headBytes + this.#pending.length);
    // The caller's memory is not ours to keep.
    this.#pending = this.#pending.length === 0 ? NOTHING : Buffer.from(this.#pending);
  }

  /** Ends the form; refuses one that was cut short or that has no file. */
  finish(): void {
    if (this.#state === "ignored") return;
    if (this.#state !== "ended") throw malformedForm("it ends too early");
    throw new S3Error("IncorrectNumberOfFilesInPostRequest");
  }

  #isHead(): boolean {
    const state = this.#state;
    return state !== "file" && state !== "file-end" && state !== "ignored" && state !== "ended";
  }

  /** Reads one more element; false when its end has not come yet. */
  #step(): boolean {
    switch (this.#state) {
      case "preamble":
        return this.#readPreamble();
      case "delimiter":
        return this.#readDelimiterEnd("part-head", "ended");
      case "part-head":
        return this.#readPartHead();
      case "field":
        return this.#readField();
      case "file":
        return this.#readFile();
      case "file-end":
        return this.#readDelimiterEnd("ignored", "ignored");
      case "ignored":
      case "ended":
        this.#pending = NOTHING;
        return false;
    }
  }

  #readPreamble(): boolean {
    const at = this.#pending.indexOf(this.#delimiter);
    if (at < 0) {
      this.#take(this.#pending.length - tailLength(this.#pending, this.#delimiter));
      return false;
    }
    this.#take(at + this.#delimiter.length);
    this.#state = "delimiter";
    return true;
  }

  #readDelimiterEnd(onLine: State, onDashes: State): boolean {
    const bytes = this.#pending;
    if (bytes[0] === DASH && bytes.length > 1) {
      if (bytes[1] !== DASH) throw malformedForm("a delimiter does not end");
      this.#take(2);
      this.#state = onDashes;
      return true;
    }
    let at = 0;
    while (bytes[at] === SPACE || bytes[at] === TAB) at += 1;
    if (at > PADDING_BYTES_MAX) throw malformedForm("a delimiter does not end");
    if (bytes[at] === CR && bytes[at + 1] === LF) {
      // The end of line stays: it is also the one before the first header.
      this.#take(at);
      this.#state = onLine;
      return true;
    }
    const [first, ...others] = bytes.subarray(at, at + 2);
    const mayGoOn = first === undefined || first === CR || (first === DASH && at === 0);
    if (!mayGoOn || others.length > 0) throw malformedForm("a delimiter does not end");
    return false;
  }

  #readPartHead(): boolean {
    const end = this.#pending.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const head = this.#pending.subarray(Math.min(2, end), end);
    const { name, filename } = readPartHead(head);
    this.#take(end + 4);
    if (name.toLowerCase() === FILE_FIELD) {
      this.#state = "file";
      this.#events.fileBegins({ fields: this.#fields, filename });
    } else {
      this.#fieldName = name;
      this.#state = "field";
    }
    return true;
  }

  #readField(): boolean {
    const end = this.#pending.indexOf(this.#delimiter);
    if (end < 0) return false;
    this.#fieldBytes += Buffer.byteLength(this.#fieldName) + end;
    if (this.#fieldBytes > LIMITS.formFieldsBytesMax) throw fieldsTooLarge();
    this.#fields.push([this.#fieldName, decodeUtf8(this.#pending.subarray(0, end))]);
    this.#take(end + this.#delimiter.length);
    this.#state = "delimiter";
    return true;
  }

  #readFile(): boolean {
    const end = this.#pending.indexOf(this.#delimiter);
    const contentBytes =
      end < 0 ? this.#pending.length - tailLength(this.#pending, this.#delimiter) : end;
    if (contentBytes > 0) this.#events.fileData(this.#pending.subarray(0, contentBytes));
    if (end < 0) {
      this.#pending = this.#pending.subarray(contentBytes);
      return false;
    }
    this.#pending = this.#pending.subarray(end + this.#delimiter.length);
    this.#state = "file-end";
    return true;
  }

  #take(bytes: number): void {
    this.#pending = this.#pending.subarray(bytes);
    if (!this.#isHead()) return;
    this.#headBytes += bytes;
    this.#requireHeadWithin(this.#headBytes);
  }

  #requireHeadWithin(bytes: number): void {
    if (bytes > LIMITS.formHeadBytesMax) throw fieldsTooLarge();
  }
}

function fieldsTooLarge(): S3Error {
  return new S3Error("MaxPostPreDataLengthExceededError", {
    fields: { MaxPostPreDataLengthBytes: String(LIMITS.formFieldsBytesMax) },
  });
}

/** How many of the last bytes could be the beginning of the delimiter. */
function tailLength(bytes: Buffer, delimiter: Buffer): number {
  const longest = Math.min(bytes.length, delimiter.length - 1);
  for (let length = longest; length > 0; length--) {
    const from = bytes.length - length;
    if (bytes.compare(delimiter, 0, length, from) === 0) return length;
  }
  return 0;
}
