import type { ObjectListing } from "../../core/object-listing.ts";
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

/** What a listing tells of an object beside its name; `owner` is an element already, or nothing. */
export function listingElements(listing: ObjectListing, owner: string): string {
  const { size, etag, lastModifiedMs, storageClass } = listing;
  return (
    `<LastModified>${formatIsoDate(lastModifiedMs)}</LastModified>` +
    `<ETag>&quot;${etag}&quot;</ETag>${checksumElements(listing)}<Size>${size}</Size>${owner}` +
    classElements(storageClass)
  );
}

/** Which checksums an object has. */
export function checksumElements(
  listing: Pick<ObjectListing, "checksumAlgorithms" | "checksumType">,
): string {
  let elements = "";
  for (const algorithm of listing.checksumAlgorithms) {
    elements += `<ChecksumAlgorithm>${algorithm}</ChecksumAlgorithm>`;
  }
  const { checksumType } = listing;
  if (checksumType === undefined) return elements;
  return `${elements}<ChecksumType>${checksumType}</ChecksumType>`;
}

/** The storage class of an object; undefined is the usual one. */
export function classElements(storageClass: string | undefined): string {
  return `<StorageClass>${storageClass ?? "STANDARD"}</StorageClass>`;
}

/** The owner as `listingElements` takes it. */
export function ownerElement(ownerId: string): string {
  const id = escapeXml(ownerId);
  return `<Owner><ID>${id}</ID><DisplayName>${id}</DisplayName></Owner>`;
}

/** The folders of a page. */
export function writeCommonPrefixes<Entry>(
  xml: XmlWriter,
  page: Page<Entry>,
  encoding: NameEncoding,
): void {
  for (const item of page.items) {
    if (item.kind === "prefix") writeCommonPrefix(xml, item.name, encoding);
  }
}

/** One folder of a page: a common prefix in the encoding that the request asked for. */
export function writeCommonPrefix(xml: XmlWriter, name: string, encoding: NameEncoding): void {
  xml.open("CommonPrefixes");
  xml.text("Prefix", encoding.encode(name));
  xml.close();
}
