import { XMLParser, XMLValidator } from "fast-xml-parser";
import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";

/** An element of a request document. Prefixes of names and all attributes are gone. */
export type XmlElement = {
  readonly name: string;
  /** Its own text with references resolved, exactly as it stands: white space can be a key. */
  readonly text: string;
  readonly children: readonly XmlElement[];
};

/** Completing 10,000 parts with every checksum takes about 180,000 tags. */
const TAGS_MAX = 250_000;

const TEXT = "#text";
const CDATA = "#cdata";
const ENTITIES = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
]);
/** &#1114111; and &#x10FFFF; with room for zeros in front. */
const REFERENCE_CHARS_MAX = 12;

/**
 * The parser is told to resolve nothing: references are resolved here, one by one, so that no text
 * can ever grow. What it must not even see (DTDs, instructions) is refused before.
 */
const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  htmlEntities: false,
  textNodeName: TEXT,
  cdataPropName: CDATA,
  jPath: false,
  maxNestedTags: LIMITS.xmlDepthMax,
  onDangerousProperty: (name) => {
    throw new S3Error("MalformedXML", { cause: `an element named ${name}` });
  },
});

/**
 * Reads a request document whose root has this name. Whatever is wrong with it, from its bytes to
 * its root, is answered with MalformedXML.
 */
export function parseXml(bytes: Uint8Array, rootName: string): XmlElement {
  if (bytes.length > LIMITS.xmlBodyBytesMax) throw new S3Error("MaxMessageLengthExceeded");
  const text = decodeUtf8(bytes);
  refuseDangerousMarkup(text);
  const { children, text: around } = elementsOf(parseNodes(text), 0);
  const [root, ...others] = children;
  // The parser drops what follows the last tag.
  if (around.trim() !== "" || !text.trimEnd().endsWith(">"))
    throw malformed("there is text around");
  if (root === undefined || others.length > 0 || root.name !== rootName) {
    throw malformed(`the root must be ${rootName}`);
  }
  return root;
}

/** The child elements of that name, in order. */
export function childrenNamed(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

/** The one child of that name; undefined when there is none, MalformedXML when there are more. */
export function childNamed(element: XmlElement, name: string): XmlElement | undefined {
  let found: XmlElement | undefined;
  for (const child of element.children) {
    if (child.name !== name) continue;
    if (found !== undefined) throw malformed(`${name} is given more than once`);
    found = child;
  }
  return found;
}

/** Text of the one child of that name, which must not hold elements itself. */
export function childText(element: XmlElement, name: string): string | undefined {
  const child = childNamed(element, name);
  if (child !== undefined && child.children.length > 0) throw malformed(`${name} must be text`);
  return child?.text;
}

/** Refuses children that the schema does not know: they could mean what we would not do. */
export function requireKnownChildren(element: XmlElement, known: readonly string[]): void {
  for (const { name } of element.children) {
    if (!known.includes(name)) throw malformed(`${element.name} must not hold ${name}`);
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (failure) {
    throw new S3Error("MalformedXML", { cause: failure });
  }
}

/** Linear, and before any parser sees the text. */
function refuseDangerousMarkup(text: string): void {
  if (text.includes("\0")) throw malformed("there is a NUL");
  let tags = 0;
  for (let at = text.indexOf("<"); at >= 0; at = text.indexOf("<", at + 1)) {
    tags += 1;
    if (tags > TAGS_MAX) throw malformed("there are too many tags");
    const next = text[at + 1];
    if (next === "!" && !text.startsWith("<!--", at) && !text.startsWith("<![CDATA[", at)) {
      throw malformed("document types are not accepted");
    }
    if (next === "?" && at > 0) throw malformed("processing instructions are not accepted");
  }
  const declaration = text.startsWith("<?") ? text.slice(0, text.indexOf("?>") + 2) : "";
  if (text.startsWith("<?") && !/^<\?xml\s/.test(declaration)) {
    throw malformed("processing instructions are not accepted");
  }
  const encoding = /\sencoding\s*=\s*["']([^"']*)["']/.exec(declaration)?.[1] ?? "utf-8";
  if (!/^(?:utf-?8|us-ascii)$/i.test(encoding)) throw malformed("the encoding must be UTF-8");
}

function parseNodes(text: string): unknown {
  try {
    const validity = XMLValidator.validate(text);
    if (validity !== true) throw malformed(validity.err.msg);
    return parser.parse(text);
  } catch (failure) {
    if (failure instanceof S3Error) throw failure;
    throw new S3Error("MalformedXML", { cause: failure });
  }
}

type Content = { readonly text: string; readonly children: readonly XmlElement[] };

/** Turns the parser's nodes into elements. Recursion is bounded by the parser's depth limit. */
function elementsOf(nodes: unknown, depth: number): Content {
  if (!Array.isArray(nodes) || depth > LIMITS.xmlDepthMax) throw malformed("it is too deep");
  let text = "";
  const children: XmlElement[] = [];
  for (const node of nodes) {
    for (const [key, value] of Object.entries(node)) {
      if (key === TEXT) text += resolveReferences(String(value));
      else if (key === CDATA) text += literalText(value);
      else if (key !== ":@") {
        const name = key.slice(key.indexOf(":") + 1);
        children.push({ name, ...elementsOf(value, depth + 1) });
      }
    }
  }
  return { text, children };
}

function literalText(nodes: unknown): string {
  let text = "";
  for (const node of Array.isArray(nodes) ? nodes : []) text += String(node[TEXT] ?? "");
  return text;
}

/** The five entities of XML and numeric references; one becomes one character, and no more. */
function resolveReferences(text: string): string {
  let at = text.indexOf("&");
  if (at < 0) return text;
  let resolved = "";
  let from = 0;
  for (; at >= 0; at = text.indexOf("&", from)) {
    const end = text.indexOf(";", at);
    if (end < 0 || end - at > REFERENCE_CHARS_MAX) throw malformed("a reference does not end");
    resolved += text.slice(from, at) + resolveReference(text.slice(at + 1, end));
    from = end + 1;
  }
  return resolved + text.slice(from);
}

function resolveReference(name: string): string {
  const entity = ENTITIES.get(name);
  if (entity !== undefined) return entity;
  const code = /^#\d+$/.test(name)
    ? Number.parseInt(name.slice(1), 10)
    : /^#x[0-9a-fA-F]+$/.test(name)
      ? Number.parseInt(name.slice(2), 16)
      : 0;
  // Control characters are let in, against XML 1.0: keys have them, and listings show them so.
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    throw malformed("a reference is to nothing");
  }
  return String.fromCodePoint(code);
}

function malformed(detail: string): S3Error {
  return new S3Error("MalformedXML", { cause: detail });
}
