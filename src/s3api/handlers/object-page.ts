import type { ObjectCursor } from "../../storage/store.ts";
import { keyText, objectNames } from "../list/object-names.ts";
import { type PageWish, walkPage } from "../list/page.ts";
import type { NameEncoding } from "../list/wish.ts";
import type { XmlWriter } from "../xml/writer.ts";
import { ownerElement, writeCommonPrefix } from "./listing-xml.ts";
import { ObjectRows } from "./object-rows.ts";

/** A page of objects that has been walked, its rows written already. */
export type ObjectPage = {
  /** Objects and folders. */
  readonly count: number;
  readonly truncated: boolean;
  /** What was shown last; undefined unless more follows. */
  readonly lastName: string | undefined;
  /** The document: what `xml` holds so far, the rows, the folders, and what is still open. */
  finish(xml: XmlWriter): Uint8Array;
};

/** How a page is written; without `ownerId` no owner is told. */
export type ObjectPageForm = {
  readonly encoding: NameEncoding;
  readonly ownerId: string | undefined;
};

/**
 * Walks a page of objects, and writes each while the walk stands at it: what a document says in
 * front of them is only known behind the last one. Hot path.
 */
export function objectPage(
  cursor: ObjectCursor,
  wish: PageWish,
  { encoding, ownerId }: ObjectPageForm,
): ObjectPage {
  const rows = new ObjectRows(encoding, ownerId === undefined ? "" : ownerElement(ownerId));
  const folders: string[] = [];
  let count = 0;
  let lastName: string | undefined;
  const truncated = walkPage(objectNames(cursor, wish), wish, {
    entry() {
      rows.write(cursor.row);
      if (++count === wish.max) lastName = keyText(cursor.row);
    },
    prefix(name) {
      folders.push(name);
      if (++count === wish.max) lastName = name;
    },
  });
  const finish = (xml: XmlWriter): Uint8Array => {
    const before = xml.take();
    for (const folder of folders) writeCommonPrefix(xml, folder, encoding);
    return rows.finish(before, xml.finish());
  };
  return { count, truncated, lastName: truncated ? lastName : undefined, finish };
}
