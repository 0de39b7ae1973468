import type { StoredChecksum } from "../../core/records.ts";
import type { XmlWriter } from "../xml/writer.ts";

/** `ChecksumCRC32` and its like, as results of uploads and copies show them. */
export function writeChecksums(xml: XmlWriter, checksums: readonly StoredChecksum[]): void {
  for (const { algorithm, value } of checksums) xml.text(`Checksum${algorithm}`, value);
}

/** The same with `ChecksumType`, for whole objects. */
export function writeObjectChecksums(xml: XmlWriter, checksums: readonly StoredChecksum[]): void {
  writeChecksums(xml, checksums);
  const type = checksums[0]?.type;
  if (type !== undefined) xml.text("ChecksumType", type);
}
