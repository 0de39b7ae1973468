import { LIMITS } from "../../core/limits.ts";
import type { UploadRecord } from "../../core/records.ts";
import { S3Error } from "../errors.ts";
import { formatIsoDate } from "../headers/dates.ts";
import { listPage, type Page } from "../list/page.ts";
import { uploadSource } from "../list/sources.ts";
import { type NameEncoding, readEncoding, readMax } from "../list/wish.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { writeCommonPrefixes, writeOwner } from "./listing-xml.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html */
export function listMultipartUploads(call: BucketCall, deps: HandlerDeps): Reply {
  const { query } = call;
  const encoding = readEncoding(query);
  const max = readMax(query, "max-uploads");
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const keyMarker = query.get("key-marker") ?? "";
  // AWS: without a key marker the upload id marker is ignored.
  const idMarker = keyMarker === "" ? "" : (query.get("upload-id-marker") ?? "");
  if (idMarker.length > LIMITS.keyBytesMax) {
    throw new S3Error("InvalidArgument", {
      message: "Invalid uploadId marker",
      fields: { ArgumentName: "upload-id-marker", ArgumentValue: idMarker },
    });
  }
  const source = uploadSource(
    deps.store.uploads(call.bucket),
    idMarker === "" ? undefined : idMarker,
  );
  const page = listPage(source, { prefix, delimiter, marker: keyMarker, max });
  const xml = new XmlWriter("ListMultipartUploadsResult");
  xml.text("Bucket", call.bucket);
  xml.text("KeyMarker", encoding.encode(keyMarker));
  xml.text("UploadIdMarker", idMarker);
  if (page.truncated) writeNextMarkers(xml, page, encoding);
  xml.text("Prefix", encoding.encode(prefix));
  if (delimiter !== "") xml.text("Delimiter", encoding.encode(delimiter));
  xml.text("MaxUploads", String(max));
  if (encoding.type !== undefined) xml.text("EncodingType", encoding.type);
  xml.text("IsTruncated", String(page.truncated));
  for (const item of page.items) {
    if (item.kind === "entry") writeUpload(xml, item.entry, encoding, deps.settings.ownerId);
  }
  writeCommonPrefixes(xml, page, encoding);
  return xmlReply(xml.finish());
}

function writeNextMarkers(xml: XmlWriter, page: Page<UploadRecord>, encoding: NameEncoding): void {
  const last = page.items.at(-1);
  if (last === undefined) return;
  xml.text("NextKeyMarker", encoding.encode(last.name));
  xml.text("NextUploadIdMarker", last.kind === "entry" ? last.entry.uploadId : "");
}

function writeUpload(
  xml: XmlWriter,
  upload: UploadRecord,
  encoding: NameEncoding,
  ownerId: string,
): void {
  xml.open("Upload");
  xml.text("Key", encoding.encode(upload.key));
  xml.text("UploadId", upload.uploadId);
  writeOwner(xml, "Initiator", upload.initiator);
  writeOwner(xml, "Owner", ownerId);
  xml.text("StorageClass", upload.attributes.storageClass ?? "STANDARD");
  xml.text("Initiated", formatIsoDate(upload.createdMs));
  if (upload.checksum !== undefined) {
    xml.text("ChecksumAlgorithm", upload.checksum.algorithm);
    xml.text("ChecksumType", upload.checksum.type);
  }
  xml.close();
}
