import { S3Error } from "../errors.ts";
import { childNamed, childText, type XmlElement } from "../xml/reader.ts";

/** What settings' documents have in common. Whatever breaks a schema is MalformedXML. */
function malformed(cause: string): S3Error {
  return new S3Error("MalformedXML", { cause });
}

/** Text of the one child of that name, which must be there. */
export function requiredText(element: XmlElement, name: string): string {
  const text = childText(element, name);
  if (text === undefined) throw malformed(`${element.name} needs ${name}`);
  return text;
}

/** The one child of that name, which must be there. */
export function requiredChild(element: XmlElement, name: string): XmlElement {
  const child = childNamed(element, name);
  if (child === undefined) throw malformed(`${element.name} needs ${name}`);
  return child;
}

/** The one child of that name as one of these words; undefined when it is not there. */
export function childWord<Word extends string>(
  element: XmlElement,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = childText(element, name)?.trim();
  if (text === undefined) return undefined;
  const word = words.find((known) => known === text);
  if (word === undefined) throw malformed(`${name} cannot be that`);
  return word;
}

/** As `childWord`, for a child that must be there. */
export function requiredWord<Word extends string>(
  element: XmlElement,
  name: string,
  words: readonly Word[],
): Word {
  const word = childWord(element, name, words);
  if (word === undefined) throw malformed(`${element.name} needs ${name}`);
  return word;
}

/** The one child of that name as a truth, in XML Schema's words and any letters. */
export function childBoolean(element: XmlElement, name: string): boolean | undefined {
  const text = childText(element, name)?.trim().toLowerCase();
  if (text === undefined) return undefined;
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw malformed(`${name} must be true or false`);
}

/** The one child of that name as a whole number without sign; undefined when it is not there. */
export function childInteger(element: XmlElement, name: string): number | undefined {
  const text = childText(element, name)?.trim();
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) {
    throw malformed(`${name} must be a whole number`);
  }
  return value;
}
