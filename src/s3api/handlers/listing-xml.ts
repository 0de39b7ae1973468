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
 * One object of a page. A page has a thousand of them, so this writes text of our own as it is and
 * looks only at the key for something to escape. Hot path.
 */
function writeContents(
  xml: XmlWriter,
  { entry, name }: { readonly entry: ListedObject; readonly name: string },
  { encoding, ownerId }: { encoding: NameEncoding; ownerId: string | undefined },
): void {
  const { size, etag, lastModifiedMs, storageClass, checksumAlgorithms, checksumType } =
    entry.listing;
  let checksum = "";
  for (const algorithm of checksumAlgorithms) {
    checksum += `<ChecksumAlgorithm>${algorithm}</ChecksumAlgorithm>`;
  }
  if (checksumType !== undefined) checksum += `<ChecksumType>${checksumType}</ChecksumType>`;
  const key = escapeXml(encoding.encode(name));
  const date = formatIsoDate(lastModifiedMs);
  xml.raw(
    `<Contents><Key>${key}</Key><LastModified>${date}</LastModified>` +
      `<ETag>&quot;${etag}&quot;</ETag>${checksum}<Size>${size}</Size>${ownerOf(ownerId)}` +
      `<StorageClass>${storageClass ?? "STANDARD"}</StorageClass></Contents>`,
  );
}

function ownerOf(ownerId: string | undefined): string {
  if (ownerId === undefined) return "";
  const id = escapeXml(ownerId);
  return `<Owner><ID>${id}</ID><DisplayName>${id}</DisplayName></Owner>`;
}

/** `Contents` and then `CommonPrefixes` of a page of objects. */
export function writeObjects(
  xml: XmlWriter,
  page: Page<ListedObject>,
  options: { readonly encoding: NameEncoding; readonly ownerId: string | undefined },
): void {
  for (const item of page.items) {
    if (item.kind === "prefix") continue;
    writeContents(xml, item, options);
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
