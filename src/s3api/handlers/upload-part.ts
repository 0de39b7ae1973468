import { unreachable } from "../../core/assert.ts";
import type { StoredChecksum, UploadRecord } from "../../core/records.ts";
import type { StagedBody } from "../../storage/store.ts";
import { DEFAULT_CHECKSUM } from "../body/checksums.ts";
import { PUT_PAYLOAD } from "../body/payload.ts";
import {
  encryptionOfUpload,
  etagOf,
  pushEncryption,
  sealerOf,
} from "../encryption/body-encryption.ts";
import { refuseEncryptionHeader } from "../encryption/encryption-headers.ts";
import { S3Error } from "../errors.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { parsePartNumber } from "../headers/range.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { payloadOf, stagePayload } from "./request-body.ts";
import { existingUpload, noSuchUpload } from "./upload-access.ts";
import { refuseOverQuota } from "./write-refusal.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html */
export async function uploadPart(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const partNumber = parsePartNumber(call.query.get("partNumber") ?? "");
  refuseEncryptionHeader(call.headers);
  const upload = existingUpload(call, deps);
  const encryption = encryptionOfUpload(deps, upload, call.headers);
  // Parts carry the checksum that the upload's object will be made of, whatever else they bring.
  const algorithm = upload.checksum?.algorithm ?? DEFAULT_CHECKSUM;
  const payload = payloadOf(call, deps, { ...PUT_PAYLOAD, algorithm, also: algorithm });
  if (upload.checksum !== undefined && payload.algorithm !== algorithm) {
    throw new S3Error("InvalidRequest", {
      message:
        `Checksum Type mismatch occurred, expected checksum Type: ${algorithm.toLowerCase()}, ` +
        `actual checksum Type: ${payload.algorithm.toLowerCase()}`,
    });
  }
  refuseOverQuota(call, deps, payload.bytes ?? 0);
  const sealer = encryption === undefined ? undefined : sealerOf(deps, encryption, partNumber);
  const { staged, digests } = await stagePayload(payload, deps, sealer);
  const { bytes: size, checksum, also } = digests;
  const etag = encryption === undefined ? digests.etag : etagOf(encryption, digests.etag);
  const checksums = also === undefined ? [checksum] : [checksum, also];
  await storePart(deps, upload, { partNumber, size, etag, checksums, staged });
  const headers: HeaderLines = [["ETag", `"${etag}"`]];
  headers.push([`x-amz-checksum-${checksum.algorithm.toLowerCase()}`, checksum.value]);
  pushEncryption(headers, encryption);
  return emptyReply(200, headers);
}

/** A part whose bytes have been received. */
export type ReceivedPart = {
  readonly partNumber: number;
  /** Bytes of plaintext. */
  readonly size: number;
  readonly etag: string;
  readonly checksums: readonly StoredChecksum[];
  readonly staged: StagedBody;
};

/** Makes it a part of its upload; when that fails its space is given back. */
export async function storePart(
  deps: HandlerDeps,
  upload: UploadRecord,
  { staged, ...part }: ReceivedPart,
): Promise<number> {
  const { bucket, key, uploadId } = upload;
  try {
    const outcome = await deps.store.putPart({
      bucket,
      key,
      uploadId,
      ...part,
      body: { kind: "staged", staged },
    });
    switch (outcome.outcome) {
      case "stored":
        return outcome.part.lastModifiedMs;
      case "no-such-upload":
        throw noSuchUpload(uploadId);
      case "no-such-bucket":
        throw new S3Error("NoSuchBucket", { fields: { BucketName: bucket } });
    }
    return unreachable(outcome);
  } catch (failure) {
    staged.discard();
    throw failure;
  }
}
