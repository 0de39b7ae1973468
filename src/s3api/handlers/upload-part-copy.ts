import type { UploadRecord } from "../../core/records.ts";
import type { ByteRange, StoredObject } from "../../storage/store.ts";
import { DEFAULT_CHECKSUM } from "../body/checksums.ts";
import {
  type BodyEncryption,
  encryptionOfUpload,
  etagOf,
  pushEncryption,
  sealerOf,
} from "../encryption/body-encryption.ts";
import { refuseEncryptionHeader } from "../encryption/encryption-headers.ts";
import { type Decryption, decryptionOf, openPlain } from "../encryption/object-bytes.ts";
import { S3Error } from "../errors.ts";
import { parseCopySource } from "../headers/copy-source.ts";
import { formatIsoDate } from "../headers/dates.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { parsePartNumber, readCopyRange } from "../headers/range.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { writeChecksums } from "./checksum-xml.ts";
import { pushSourceVersionId, readableSource, requireCopyable } from "./copy-access.ts";
import { hasGone } from "./remote-body.ts";
import { stageSealed } from "./request-body.ts";
import { digestBody } from "./stored-body.ts";
import { existingUpload } from "./upload-access.ts";
import { type ReceivedPart, storePart } from "./upload-part.ts";
import { refuseOverQuota } from "./write-refusal.ts";

/** A source replaced while it is read is read again; it cannot go on for ever. */
const ATTEMPTS_MAX = 4;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html */
export async function uploadPartCopy(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const reply = await copyOnce(call, deps);
    if (reply !== undefined) return reply;
  }
  throw new S3Error("ConditionalRequestConflict");
}

/** One attempt; undefined when the source has been replaced in the meantime. */
async function copyOnce(call: ObjectCall, deps: HandlerDeps): Promise<Reply | undefined> {
  const partNumber = parsePartNumber(call.query.get("partNumber") ?? "");
  const source = readableSource(
    call,
    deps,
    parseCopySource(call.headers.get("x-amz-copy-source") ?? ""),
  );
  refuseEncryptionHeader(call.headers);
  const upload = existingUpload(call, deps);
  const decryption = decryptionOf(source, call.headers, deps, "source");
  const encryption = encryptionOfUpload(deps, upload, call.headers);
  const range = readCopyRange(call.headers.get("x-amz-copy-source-range"), source.record.size);
  const size = range.end - range.start;
  requireCopyable(size);
  refuseOverQuota(call, deps, size);
  const copy = { source, range, partNumber, decryption, encryption };
  const part = await receiveCopy(deps, upload, copy).catch((failure: unknown) => {
    if (hasGone(deps, source, failure)) return undefined;
    throw failure;
  });
  // What stands there now is the source.
  if (part === undefined) return undefined;
  const lastModifiedMs = await storePart(deps, upload, part);
  const xml = new XmlWriter("CopyPartResult");
  xml.text("LastModified", formatIsoDate(lastModifiedMs));
  xml.text("ETag", `"${part.etag}"`);
  writeChecksums(xml, part.checksums);
  const headers: HeaderLines = [];
  pushEncryption(headers, encryption);
  pushSourceVersionId(headers, deps, source);
  return xmlReply(xml.finish(), headers);
}

type PartCopy = {
  readonly source: StoredObject;
  readonly range: ByteRange;
  readonly partNumber: number;
  readonly decryption: Decryption | undefined;
  readonly encryption: BodyEncryption | undefined;
};

/** Part boundaries seldom are chunk boundaries of the source, so the bytes are written again. */
async function receiveCopy(
  deps: HandlerDeps,
  upload: UploadRecord,
  { source, range, partNumber, decryption, encryption }: PartCopy,
): Promise<ReceivedPart> {
  const algorithm = upload.checksum?.algorithm ?? DEFAULT_CHECKSUM;
  const sealer = encryption === undefined ? undefined : sealerOf(deps, encryption, partNumber);
  const writer = await stageSealed(deps, sealer);
  try {
    const reader = openPlain(deps.store, source, range, decryption);
    const digests = await digestBody(deps.hash, reader, ["MD5", algorithm], writer);
    const value = digests.get(algorithm)?.toString("base64") ?? "";
    const md5 = digests.get("MD5")?.toString("hex") ?? "";
    return {
      partNumber,
      size: range.end - range.start,
      etag: encryption === undefined ? md5 : etagOf(encryption, md5),
      checksums: [{ algorithm, type: "FULL_OBJECT", value }],
      staged: await writer.finish(),
    };
  } catch (failure) {
    writer.abort();
    throw failure;
  }
}
