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
 * right one. Undefined for an upload in the clear, or one that is no longer there.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
 */
export function sealingOf(
  call: Pick<Call, "headers">,
  deps: HandlerDeps,
  upload: UploadRecord | undefined,
): SealedCompletion | undefined {
  refuseEncryptionHeader(call.headers);
  if (upload === undefined) return undefined;
  const { encryption } = upload;
  const isGiven = asksForEncryption(call.headers);
  if (encryption === undefined && !isGiven) return undefined;
  const unlocked = isGiven ? encryptionOfUpload(deps, upload, call.headers) : undefined;
  if (encryption === undefined) return undefined;
  const secret = openSealed(deps, encryption, upload.bucket);
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
