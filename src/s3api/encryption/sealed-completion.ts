import type { UploadRecord } from "../../core/records.ts";
import type { CompleteUploadRequest } from "../../storage/store.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { Call, HandlerDeps } from "../operation.ts";
import {
  encryptionOfUpload,
  envelopeOfObject,
  openSealed,
  pushEncryption,
} from "./body-encryption.ts";
import { asksForEncryption, refuseEncryptionHeader } from "./encryption-headers.ts";

/** How the envelope of an encrypted upload becomes that of its object, and what is said of it. */
export type SealedCompletion = {
  readonly seal: NonNullable<CompleteUploadRequest["seal"]>;
  readonly headers: HeaderLines;
};

/**
 * AWS lets clients complete an upload without the key of its parts; one that is given must be the
 * right one. AWS also refuses to hear AES256 again, but minio-go says it to every server that is
 * not AWS's: it is heard where it is true, and of an upload that is no longer there. Undefined for
 * that one, and for an upload in the clear.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
 */
export function sealingOf(
  call: Pick<Call, "headers">,
  deps: HandlerDeps,
  upload: UploadRecord | undefined,
): SealedCompletion | undefined {
  if (upload === undefined) return undefined;
  const { encryption } = upload;
  const secret = encryption && openSealed(deps, encryption, upload.bucket);
  if (secret?.kind !== "managed") refuseEncryptionHeader(call.headers);
  const isGiven = asksForEncryption(call.headers);
  const unlocked = isGiven ? encryptionOfUpload(deps, upload, call.headers) : undefined;
  if (secret === undefined) return undefined;
  const headers: HeaderLines = [];
  if (unlocked !== undefined) pushEncryption(headers, unlocked);
  else if (secret.kind === "managed") pushEncryption(headers, { customerMd5: undefined });
  return {
    headers,
    seal: (parts, { bucket }) => {
      const size = parts.reduce((sum, part) => sum + part.size, 0);
      return envelopeOfObject(deps, { secret }, bucket, { size, parts });
    },
  };
}
