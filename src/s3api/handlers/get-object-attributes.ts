import { LIMITS } from "../../core/limits.ts";
import type { ObjectRecord } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { withoutPartCount } from "../body/checksums.ts";
import { decryptionOfRead } from "../encryption/object-bytes.ts";
import { S3Error } from "../errors.ts";
import { formatHttpDate } from "../headers/dates.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { checksumsOfPart, writeChecksums, writeObjectChecksums } from "./checksum-xml.ts";
import { existingObject, pushVersionId } from "./object-version.ts";

type PartsWish = { readonly after: number; readonly max: number };

/** What can be asked for, in the order of the answer. */
const ATTRIBUTES = {
  ETag: (xml, record) => xml.text("ETag", record.etag),
  Checksum: writeChecksum,
  ObjectParts: writeParts,
  StorageClass: (xml, record) => {
    xml.text("StorageClass", record.attributes.storageClass ?? "STANDARD");
  },
  ObjectSize: (xml, record) => xml.text("ObjectSize", String(record.size)),
} as const satisfies Record<
  string,
  (xml: XmlWriter, record: ObjectRecord, wish: PartsWish) => void
>;

const HEADER = "x-amz-object-attributes";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html */
export function getObjectAttributes(call: ObjectCall, deps: HandlerDeps): Reply {
  const { headers, bucket, key } = call;
  // AWS wants the right to read the object beside the one to ask about it.
  const read = call.query.has("versionId") ? "s3:GetObjectVersion" : "s3:GetObject";
  if (!call.allows(read, bucket, key)) throw new S3Error("AccessDenied");
  const asked = readNames(headers);
  const wish: PartsWish = {
    // AWS takes what is no count here as if it had not been said.
    max: Math.min(
      countOf(headers.get("x-amz-max-parts")) ?? LIMITS.listKeysMax,
      LIMITS.listKeysMax,
    ),
    after: readMarker(headers.get("x-amz-part-number-marker")),
  };
  const object = existingObject(call, deps);
  decryptionOfRead(call, deps, object);
  const { record } = object;
  const xml = new XmlWriter("GetObjectAttributesResponse");
  for (const [name, write] of Object.entries(ATTRIBUTES)) {
    if (asked.has(name)) write(xml, record, wish);
  }
  const lines: HeaderLines = [["Last-Modified", formatHttpDate(record.lastModifiedMs)]];
  pushVersionId(lines, call, object);
  return xmlReply(xml.finish(), lines);
}

/** Lists of header values come joined by commas or as several lines; at least one is needed. */
function readNames(headers: RequestHeaders): ReadonlySet<string> {
  const list = headers.get(HEADER) ?? "";
  if (list === "") {
    throw new S3Error("InvalidRequest", {
      message:
        "The x-amz-object-attributes header specifying the attributes to be retrieved is either " +
        "missing or empty",
    });
  }
  const names = new Set<string>();
  for (const part of list.split(",")) {
    const name = part.trim();
    if (!Object.hasOwn(ATTRIBUTES, name)) {
      throw new S3Error("InvalidArgument", {
        message: "Invalid attribute name specified.",
        fields: { ArgumentName: HEADER, ArgumentValue: name },
      });
    }
    names.add(name);
  }
  return names;
}

/** A count or a marker, which S3 holds in 32 bits; undefined when the text is neither. */
function countOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  return Number(text) <= 0x7fff_ffff ? Number(text) : undefined;
}

function readMarker(text: string | undefined): number {
  if (text === undefined) return 0;
  const marker = countOf(text);
  if (marker !== undefined) return marker;
  throw new S3Error("InvalidArgument", {
    message: "Argument x-amz-part-number-marker must be an integer between 0 and 2147483647",
    fields: { ArgumentName: "x-amz-part-number-marker", ArgumentValue: text },
  });
}

/** Of how many parts a composite checksum is, headers say in its value; here ObjectParts does. */
function writeChecksum(xml: XmlWriter, { checksums }: ObjectRecord): void {
  if (checksums.length === 0) return;
  xml.open("Checksum");
  writeObjectChecksums(
    xml,
    checksums.map((checksum) => ({ ...checksum, value: withoutPartCount(checksum.value) })),
  );
  xml.close();
}

/** Only objects that were uploaded in parts have any. */
function writeParts(xml: XmlWriter, record: ObjectRecord, { after, max }: PartsWish): void {
  const { parts } = record;
  if (parts.length === 0) return;
  const behind = parts.filter(({ partNumber }) => partNumber > after);
  const shown = behind.slice(0, max);
  xml.open("ObjectParts");
  xml.text("PartsCount", String(parts.length));
  xml.text("PartNumberMarker", String(after));
  xml.text("NextPartNumberMarker", String(shown.at(-1)?.partNumber ?? 0));
  xml.text("MaxParts", String(max));
  // As in listings: who asks for nothing is not told to go on for ever.
  xml.text("IsTruncated", String(max > 0 && shown.length < behind.length));
  for (const part of shown) {
    xml.open("Part");
    xml.text("PartNumber", String(part.partNumber));
    xml.text("Size", String(part.size));
    writeChecksums(xml, checksumsOfPart(part, record));
    xml.close();
  }
  xml.close();
}
