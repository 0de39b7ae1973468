import type { ObjectListing } from "../../core/object-listing.ts";
import type { ListedObject } from "../../storage/store.ts";
import { formatIsoDate } from "../headers/dates.ts";
import type { Page } from "../list/page.ts";
import type { NameEncoding } from "../list/wish.ts";
import { escapeXml, type XmlWriter } from "../xml/writer.ts";

/** The account that owns buckets and objects; one a site. */
export function writeOwner(xml: XmlWriter, element: string, ownerId: string): void {
  xml.open(element);
  xml.text("ID", ownerId);
  xml.text("DisplayName", ownerId);
  xml.close();
}

/**
 * What a listing tells of an object beside its name; `owner` is an element already, or nothing. A
 * page has a thousand of them, so this writes text of our own as it is. Hot path.
 */
export function listingElements(listing: ObjectListing, owner: string): string {
  const { size, etag, lastModifiedMs, storageClass, checksumAlgorithms, checksumType } = listing;
  let checksum = "";
  for (const algorithm of checksumAlgorithms) {
    checksum += `<ChecksumAlgorithm>${algorithm}</ChecksumAlgorithm>`;
  }
  if (checksumType !== undefined) checksum += `<ChecksumType>${checksumType}</ChecksumType>`;
  return (
    `<LastModified>${formatIsoDate(lastModifiedMs)}</LastModified>` +
    `<ETag>&quot;${etag}&quot;</ETag>${checksum}<Size>${size}</Size>${owner}` +
    `<StorageClass>${storageClass ?? "STANDARD"}</StorageClass>`
  );
}

/** The owner as `listingElements` takes it. */
export function ownerElement(ownerId: string): string {
  const id = escapeXml(ownerId);
  return `<Owner><ID>${id}</ID><DisplayName>${id}</DisplayName></Owner>`;
}

/** `Contents` and then `CommonPrefixes` of a page of objects. */
export function writeObjects(
  xml: XmlWriter,
  page: Page<ListedObject>,
  options: { readonly encoding: NameEncoding; readonly ownerId: string | undefined },
): void {
  const owner = options.ownerId === undefined ? "" : ownerElement(options.ownerId);
  for (const item of page.items) {
    if (item.kind === "prefix") continue;
    const key = escapeXml(options.encoding.encode(item.name));
    const elements = listingElements(item.entry.listing, owner);
    xml.raw(`<Contents><Key>${key}</Key>${elements}</Contents>`);
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
