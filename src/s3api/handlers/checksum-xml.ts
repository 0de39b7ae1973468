import type { ObjectRecord, PartSummary, StoredChecksum } from "../../core/records.ts";
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

/**
 * Of the checksums of a part those that its object is made of; what else its upload brought was for
 * the way.
 */
export function checksumsOfPart(
  part: Pick<PartSummary, "checksums">,
  object: Pick<ObjectRecord, "checksums">,
): readonly StoredChecksum[] {
  const whole = object.checksums[0];
  if (whole === undefined) return part.checksums;
  return part.checksums.filter(({ algorithm }) => algorithm === whole.algorithm);
}
