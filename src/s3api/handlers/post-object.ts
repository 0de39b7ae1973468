import { LIMITS } from "../../core/limits.ts";
import { type ObjectKey, objectKeyProblem, parseObjectKey } from "../../core/names.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { requireWishesAllowed } from "../acl-wish.ts";
import { missingField, readFormClaim } from "../auth/form-claim.ts";
import { PUT_PAYLOAD } from "../body/payload.ts";
import { S3Error } from "../errors.ts";
import { postReply } from "../form/form-answer.ts";
import { type FormValues, headersOfForm, readFormValues } from "../form/form-fields.ts";
import { FormUpload } from "../form/form-upload.ts";
import { formBoundary } from "../form/part-head.ts";
import { type LengthRange, parsePostPolicy, requireAllowedByPolicy } from "../form/post-policy.ts";
import { headersOf } from "../headers/header-list.ts";
import type { HandlerDeps, ObjectCall, OpenRequest, Reply } from "../operation.ts";
import { screenHeaders } from "../screen.ts";
import { EMPTY_QUERY } from "../target.ts";
import { putObject } from "./put-object.ts";

/** Forms up to this are taken whole before anything of them is stored. */
const SMALL_FORM_BYTES = LIMITS.inlineBodyBytesMax + LIMITS.formFieldsBytesMax;

/**
 * Stores the file of a browser's form. What the form says is judged before anything of the file is
 * kept, and the file is then stored as a PUT would store it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
 */
export async function postObject(request: OpenRequest, deps: HandlerDeps): Promise<Reply> {
  const { exchange, received } = request;
  const boundary = formBoundary(exchange.headers.get("content-type"));
  if (boundary === undefined) throw new S3Error("RequestIsNotMultiPartContent");
  const isSmall = announcedBytes(exchange.headers) <= SMALL_FORM_BYTES;
  const upload = new FormUpload({ exchange, boundary, isSmall, received });
  const values = readFormValues(await upload.head);
  const key = readKey(values);
  const { call, length } = admitForm(request, values, key, deps);
  const file: ObjectCall = {
    ...call,
    exchange: upload.fileExchange(),
    headers: withLength(call.headers, upload.fileBytes),
    // The form has been counted as it came.
    received: () => undefined,
  };
  try {
    const stored = await putObject(file, deps, {
      bytesMax: Math.min(PUT_PAYLOAD.bytesMax, length?.bytesMax ?? PUT_PAYLOAD.bytesMax),
      bytesMin: length?.bytesMin ?? 0,
      lengthOptional: true,
    });
    return postReply(stored, { exchange, bucket: call.bucket, key, values });
  } catch (failure) {
    // To who stores the file a form that goes wrong in the middle is a client that goes away.
    throw upload.failure ?? failure;
  }
}

/** Length of the whole form, which S3 wants to know. */
function announcedBytes(headers: RequestHeaders): number {
  const text = headers.get("content-length");
  if (text === undefined) throw new S3Error("MissingContentLength");
  const bytes = Number(text);
  const bytesMax = PUT_PAYLOAD.bytesMax + LIMITS.formHeadBytesMax;
  if (bytes <= bytesMax) return bytes;
  throw new S3Error("EntityTooLarge", {
    fields: { ProposedSize: text, MaxSizeAllowed: String(PUT_PAYLOAD.bytesMax) },
  });
}

function readKey(values: FormValues): ObjectKey {
  const text = values.get("key") ?? "";
  if (text === "") {
    throw new S3Error("UserKeyMustBeSpecified", {
      message: missingField("key").message,
      fields: { ArgumentName: "key", ArgumentValue: "" },
    });
  }
  const key = parseObjectKey(text);
  if (key !== undefined) return key;
  if (objectKeyProblem(text) !== "too-long") throw new S3Error("InvalidURI");
  throw new S3Error("KeyTooLongError", {
    fields: { Size: String(Buffer.byteLength(text)), MaxSizeAllowed: String(LIMITS.keyBytesMax) },
  });
}

type AdmittedForm = { readonly call: ObjectCall; readonly length: LengthRange | undefined };

/** Who sends the form, what was signed, and whether that may be done; in AWS's order. */
function admitForm(
  request: OpenRequest,
  values: FormValues,
  key: ObjectKey,
  deps: HandlerDeps,
): AdmittedForm {
  const { exchange, received, bucket, bucketText } = request;
  request.keyFound(key);
  const claim = readFormClaim(values);
  const headers = headersOfForm(values);
  const { auth, allows } = request.identify(claim, headers);
  const length = lengthByPolicy(values, bucketText, deps.nowMs());
  const stored = bucket === undefined ? undefined : deps.store.bucket(bucket);
  if (!allows("s3:PutObject", bucketText, key)) throw new S3Error("AccessDenied");
  request.screen();
  for (const lines of [exchange.headers, headers]) {
    screenHeaders(lines, deps.settings.ownerId, stored?.settings);
  }
  if (bucket === undefined || stored === undefined) {
    throw new S3Error("NoSuchBucket", { fields: { BucketName: bucketText } });
  }
  const bucketSettings = stored.settings;
  requireWishesAllowed({ headers, allows, bucket, key, settings: bucketSettings });
  const query = EMPTY_QUERY;
  const call = { exchange, headers, query, auth, allows, received, bucket, bucketSettings, key };
  return { call, length };
}

/** A policy binds whoever sends it, signed or not; without one there is nothing to keep. */
function lengthByPolicy(
  values: FormValues,
  bucket: string,
  nowMs: number,
): LengthRange | undefined {
  if ((values.get("bucket") ?? bucket) !== bucket) throw new S3Error("AccessDenied");
  const base64 = values.get("policy");
  if (base64 === undefined) return undefined;
  const policy = parsePostPolicy(base64);
  requireAllowedByPolicy(policy, new Map([...values, ["bucket", bucket]]), nowMs);
  return policy.length;
}

function withLength(headers: RequestHeaders, fileBytes: number | undefined): RequestHeaders {
  const framing: readonly [string, string] =
    fileBytes === undefined
      ? ["transfer-encoding", "chunked"]
      : ["content-length", String(fileBytes)];
  return headersOf([...headers.entries, framing]);
}
