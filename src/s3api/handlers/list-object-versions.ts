import type { ListedVersion } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { formatIsoDate } from "../headers/dates.ts";
import { parseVersionRef, type VersionRef } from "../headers/version-ref.ts";
import { listPage, type Page } from "../list/page.ts";
import { versionSource } from "../list/sources.ts";
import { type NameEncoding, readEncoding, readMax } from "../list/wish.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import type { Query } from "../target.ts";
import { escapeXml, XmlWriter } from "../xml/writer.ts";
import { listingElements, ownerElement, writeCommonPrefixes } from "./listing-xml.ts";

/**
 * Versions and delete markers as they lie: by key, and of one key the newest first.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
 */
export function listObjectVersions(call: BucketCall, deps: HandlerDeps): Reply {
  const { query } = call;
  // AWS judges the parameters in this order.
  const max = readMax(query, "max-keys");
  const keyMarker = readKeyMarker(query);
  const versionMarker = readVersionMarker(query, keyMarker);
  const encoding = readEncoding(query);
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const source = versionSource(deps.store.listedVersions(call.bucket), versionMarker);
  const page = listPage(source, { prefix, delimiter, marker: keyMarker, max });
  const xml = new XmlWriter("ListVersionsResult");
  xml.text("Name", call.bucket);
  xml.text("Prefix", encoding.encode(prefix));
  xml.text("KeyMarker", encoding.encode(keyMarker));
  xml.text("VersionIdMarker", versionMarker ?? "");
  if (page.truncated) writeNextMarkers(xml, page, encoding);
  xml.text("MaxKeys", String(max));
  if (delimiter !== "") xml.text("Delimiter", encoding.encode(delimiter));
  if (encoding.type !== undefined) xml.text("EncodingType", encoding.type);
  xml.text("IsTruncated", String(page.truncated));
  const owner = ownerElement(deps.settings.ownerId);
  for (const item of page.items) {
    if (item.kind === "entry") writeVersion(xml, item, { encoding, owner });
  }
  writeCommonPrefixes(xml, page, encoding);
  return xmlReply(xml.finishBytes(), [["x-amz-bucket-region", deps.settings.region]]);
}

/** No key holds a NUL, which parts a key from its versions in the index. */
function readKeyMarker(query: Query): string {
  const text = query.get("key-marker") ?? "";
  if (!text.includes("\0")) return text;
  throw new S3Error("InvalidArgument", {
    message: "A key marker cannot include Null.",
    fields: { ArgumentName: "key-marker", ArgumentValue: text },
  });
}

/** Undefined without one; it means nothing without the key whose version it is. */
function readVersionMarker(query: Query, keyMarker: string): VersionRef | undefined {
  const argument = "version-id-marker";
  const text = query.get(argument);
  if (text === undefined) return undefined;
  if (keyMarker !== "" && text !== "") return parseVersionRef(text, argument);
  throw new S3Error("InvalidArgument", {
    message:
      keyMarker === ""
        ? "A version-id marker cannot be specified without a key marker."
        : "A version-id marker cannot be empty.",
    fields: { ArgumentName: argument, ArgumentValue: text },
  });
}

/** Behind a common prefix there is no version to go on from. */
function writeNextMarkers(xml: XmlWriter, page: Page<ListedVersion>, encoding: NameEncoding): void {
  const last = page.items.at(-1);
  if (last === undefined) return;
  xml.text("NextKeyMarker", encoding.encode(last.name));
  if (last.kind === "entry") xml.text("NextVersionIdMarker", last.entry.shown.version);
}

/** A page has a thousand of them: only the key can hold something to escape. Hot path. */
function writeVersion(
  xml: XmlWriter,
  { entry, name }: { readonly entry: ListedVersion; readonly name: string },
  { encoding, owner }: { readonly encoding: NameEncoding; readonly owner: string },
): void {
  const { shown, isLatest } = entry;
  const key = escapeXml(encoding.encode(name));
  const names =
    `<Key>${key}</Key><VersionId>${shown.version}</VersionId>` + `<IsLatest>${isLatest}</IsLatest>`;
  if (shown.kind === "object") {
    xml.raw(`<Version>${names}${listingElements(shown.listing, owner)}</Version>`);
    return;
  }
  const date = formatIsoDate(shown.deletedMs);
  xml.raw(`<DeleteMarker>${names}<LastModified>${date}</LastModified>${owner}</DeleteMarker>`);
}
