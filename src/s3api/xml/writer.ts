const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
const S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";

/** Characters below this are control characters; beyond it only two are not allowed in XML. */
const CONTROL_END = 0x20;
const NONCHARACTERS_START = 0xfffe;

const ESCAPES = makeEscapes();

function makeEscapes(): ReadonlyArray<string | undefined> {
  const table: Array<string | undefined> = new Array(128).fill(undefined);
  // XML 1.0 has no way to write most control characters; S3 refers to them by number all the same.
  for (let unit = 0; unit < CONTROL_END; unit++) table[unit] = `&#x${unit.toString(16)};`;
  table[0x09] = undefined;
  table[0x0a] = undefined;
  // A bare carriage return would be read as a line feed.
  table[0x0d] = "&#13;";
  table[0x22] = "&quot;";
  table[0x26] = "&amp;";
  table[0x3c] = "&lt;";
  table[0x3e] = "&gt;";
  return table;
}

/** One for every ASCII character that cannot stand as it is: a byte is faster to test than text. */
const SPECIAL = Uint8Array.from(ESCAPES, (reference) => (reference === undefined ? 0 : 1));

/**
 * One for every byte of UTF-8 that stands in a document as it is, whatever is beside it; 0xef
 * begins the two characters beyond ASCII that cannot.
 */
export const PLAIN_XML_BYTES = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 128 ? 1 - (SPECIAL[byte] ?? 1) : Number(byte !== 0xef),
);

/** Text as it stands between tags or in an attribute. Keys may hold any character. Hot path. */
export function escapeXml(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 128 ? SPECIAL[unit] === 1 : unit >= NONCHARACTERS_START) return escapeFrom(text, at);
  }
  return text;
}

function escapeFrom(text: string, first: number): string {
  let escaped = "";
  let from = 0;
  for (let at = first; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 128 ? SPECIAL[unit] === 0 : unit < NONCHARACTERS_START) continue;
    const reference = unit < 128 ? ESCAPES[unit] : `&#x${unit.toString(16)};`;
    escaped += text.slice(from, at) + reference;
    from = at + 1;
  }
  return escaped + text.slice(from);
}

const NO_BYTES = Buffer.alloc(0);
/** A page of a thousand objects takes about 350 KB. */
const BYTES_AT_FIRST = 128 * 1024;
const BYTES_EXPECTED_MAX = 1024 * 1024;
/** About what the last page took: growing copies, and touches fresh memory. */
let expectedBytes = BYTES_AT_FIRST;
/** Joining a few strings is cheaper than writing each; joining a whole page costs more. */
const JOINED_CHARS = 2048;

/** Builds one document, element by element. Names are ours and are not checked. */
export class XmlWriter {
  #text: string;
  readonly #open: string[];
  /** What was written before `#text`, once that has grown long. */
  #bytes = NO_BYTES;
  #used = 0;

  /** Begins a document whose root is in S3's namespace, or in none when so asked. */
  constructor(root: string, options?: { readonly bare: boolean }) {
    const namespace = options?.bare === true ? "" : ` xmlns="${S3_NAMESPACE}"`;
    this.#text = `${DECLARATION}<${root}${namespace}>`;
    this.#open = [root];
  }

  /** A whole document that is a root with text in it. */
  static leaf(root: string, text: string): string {
    return `${DECLARATION}<${root} xmlns="${S3_NAMESPACE}">${escapeXml(text)}</${root}>`;
  }

  open(name: string, attributes?: Readonly<Record<string, string>>): void {
    this.#text += `<${name}`;
    if (attributes !== undefined) {
      for (const [attribute, value] of Object.entries(attributes)) {
        this.#text += ` ${attribute}="${escapeXml(value)}"`;
      }
    }
    this.#text += ">";
    this.#open.push(name);
  }

  /** An element that holds only text. */
  text(name: string, value: string): void {
    this.#text += `<${name}>${escapeXml(value)}</${name}>`;
  }

  /** Text that is XML already: whole elements, written by who has escaped what needs it. */
  raw(elements: string): void {
    this.#text += elements;
    if (this.#text.length >= JOINED_CHARS) this.#flush();
  }

  /** Closes the element opened last. */
  close(): void {
    this.#text += `</${this.#open.pop() ?? ""}>`;
  }

  /** What has been written so far: the rest is another piece of the document. */
  take(): string {
    const text = this.#bytes.toString("utf8", 0, this.#used) + this.#text;
    this.#used = 0;
    this.#text = "";
    return text;
  }

  /** Closes what is still open and returns the document. */
  finish(): string {
    while (this.#open.length > 0) this.close();
    return this.take();
  }

  /** The same as UTF-8, without a detour for what `raw` has written. */
  finishBytes(): Uint8Array {
    while (this.#open.length > 0) this.close();
    this.#flush();
    expectedBytes = Math.min(Math.max(this.#used + 16_384, BYTES_AT_FIRST), BYTES_EXPECTED_MAX);
    return this.#bytes.subarray(0, this.#used);
  }

  /** Turns the text so far into bytes. */
  #flush(): void {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    const needed = this.#used + this.#text.length * 3;
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#used += this.#bytes.write(this.#text, this.#used, "utf8");
    this.#text = "";
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2, expectedBytes));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes = larger;
  }
}
