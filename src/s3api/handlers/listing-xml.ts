import type { StoredObject } from "../../storage/store.ts";
import { formatIsoDate } from "../headers/dates.ts";
import type { Page } from "../list/page.ts";
import type { NameEncoding } from "../list/wish.ts";
import type { XmlWriter } from "../xml/writer.ts";

/** The account that owns buckets and objects; one a site. */
export function writeOwner(xml: XmlWriter, element: string, ownerId: string): void {
  xml.open(element);
  xml.text("ID", ownerId);
  xml.text("DisplayName", ownerId);
  xml.close();
}

/** `Contents` and then `CommonPrefixes` of a page of objects. */
export function writeObjects(
  xml: XmlWriter,
  page: Page<StoredObject>,
  options: { readonly encoding: NameEncoding; readonly ownerId: string | undefined },
): void {
  const { encode } = options.encoding;
  for (const item of page.items) {
    if (item.kind === "prefix") continue;
    const { record } = item.entry;
    xml.open("Contents");
    xml.text("Key", encode(item.name));
    xml.text("LastModified", formatIsoDate(record.lastModifiedMs));
    xml.text("ETag", `"${record.etag}"`);
    for (const { algorithm } of record.checksums) xml.text("ChecksumAlgorithm", algorithm);
    const type = record.checksums[0]?.type;
    if (type !== undefined) xml.text("ChecksumType", type);
    xml.text("Size", String(record.size));
    if (options.ownerId !== undefined) writeOwner(xml, "Owner", options.ownerId);
    xml.text("StorageClass", record.attributes.storageClass ?? "STANDARD");
    xml.close();
  }
  writeCommonPrefixes(xml, page, options.encoding);
}

export function writeCommonPrefixes<Entry>(
  xml: XmlWriter,
  page: Page<Entry>,
  encoding: NameEncoding,
): void {
  for (const item of page.items) {
    if (item.kind !== "prefix") continue;
    xml.open("CommonPrefixes");
    xml.text("Prefix", encoding.encode(item.name));
    xml.close();
  }
}
