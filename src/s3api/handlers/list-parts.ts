import { LIMITS } from "../../core/limits.ts";
import type { PartRecord } from "../../core/records.ts";
import { S3Error } from "../errors.ts";
import { formatIsoDate } from "../headers/dates.ts";
import { pushAbortDate } from "../headers/lifecycle-headers.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { readEncoding, readMax } from "../list/wish.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { writeChecksums } from "./checksum-xml.ts";
import { writeOwner } from "./listing-xml.ts";
import { existingUpload } from "./upload-access.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html */
export function listParts(call: ObjectCall, deps: HandlerDeps): Reply {
  const upload = existingUpload(call, deps);
  const { query } = call;
  const encoding = readEncoding(query);
  const max = readMax(query, "max-parts");
  const after = readMarker(query.get("part-number-marker"));
  const { shown, truncated } = pageOfParts(deps.store.parts(upload.uploadId, after), max);
  const xml = new XmlWriter("ListPartsResult");
  xml.text("Bucket", call.bucket);
  xml.text("Key", encoding.encode(call.key));
  xml.text("UploadId", upload.uploadId);
  writeOwner(xml, "Initiator", upload.initiator);
  writeOwner(xml, "Owner", deps.settings.ownerId);
  xml.text("StorageClass", upload.attributes.storageClass ?? "STANDARD");
  if (upload.checksum !== undefined) {
    xml.text("ChecksumAlgorithm", upload.checksum.algorithm);
    xml.text("ChecksumType", upload.checksum.type);
  }
  xml.text("PartNumberMarker", String(after));
  const last = shown.at(-1);
  // Paginators go on for as long as they are given a marker.
  if (truncated && last !== undefined) {
    xml.text("NextPartNumberMarker", String(last.partNumber));
  }
  xml.text("MaxParts", String(max));
  if (encoding.type !== undefined) xml.text("EncodingType", encoding.type);
  xml.text("IsTruncated", String(truncated));
  for (const part of shown) {
    xml.open("Part");
    xml.text("PartNumber", String(part.partNumber));
    xml.text("LastModified", formatIsoDate(part.lastModifiedMs));
    xml.text("ETag", `"${part.etag}"`);
    xml.text("Size", String(part.size));
    writeChecksums(xml, part.checksums);
    xml.close();
  }
  const headers: HeaderLines = [];
  pushAbortDate(headers, call.bucketSettings, upload);
  return xmlReply(xml.finish(), headers);
}

function pageOfParts(
  parts: Iterable<PartRecord>,
  max: number,
): { readonly shown: readonly PartRecord[]; readonly truncated: boolean } {
  const shown: PartRecord[] = [];
  if (max === 0) return { shown, truncated: false };
  for (const part of parts) {
    if (shown.length === max) return { shown, truncated: true };
    shown.push(part);
  }
  return { shown, truncated: false };
}

function readMarker(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0x7fff_ffff) {
    throw new S3Error("InvalidArgument", {
      message: "Argument part-number-marker must be an integer between 0 and 2147483647",
      fields: { ArgumentName: "part-number-marker", ArgumentValue: text },
    });
  }
  return Math.min(Number(text), LIMITS.partNumberMax);
}
