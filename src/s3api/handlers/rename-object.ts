import { type ObjectKey, objectKeyProblem, parseObjectKey } from "../../core/names.ts";
import type { KnownValues } from "../authorize.ts";
import { S3Error } from "../errors.ts";
import { readSourceConditions } from "../headers/conditionals.ts";
import { headersOf } from "../headers/header-list.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { decodePercent } from "../target.ts";
import { lockOfWrite } from "./lock-of-write.ts";
import { allowedConditions } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";

const SOURCE_HEADER = "x-amz-rename-source";
const TOKEN_HEADER = "x-amz-client-token";
const NO_HEADERS = headersOf([]);
const TOKEN = /^[!-~]{1,64}$/;

/**
 * Gives an object another key of its bucket, whatever its size, in one step.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html
 */
export async function renameObject(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const { bucket, key } = call;
  const source = readSource(call);
  const known = knownOfSource(call);
  for (const action of ["s3:GetObject", "s3:DeleteObject"]) {
    if (!call.allows(action, bucket, source, known)) throw new S3Error("AccessDenied");
  }
  const conditions = allowedConditions(call);
  const sourceConditions = readSourceConditions(call.headers, deps.nowMs, SOURCE_HEADER);
  const outcome = await deps.store.renameObject({
    ...{ bucket, source, key, token: readToken(call), lock: defaultLock(call, deps) },
    ...(conditions === undefined ? {} : { conditions }),
    ...(sourceConditions === undefined ? {} : { sourceConditions }),
  });
  if (outcome.outcome === "renamed") return emptyReply(200);
  if (outcome.outcome === "token-mismatch") throw new S3Error("IdempotencyParameterMismatch");
  if (outcome.outcome === "conflict") throw new S3Error("ConditionalRequestConflict");
  throw writeRefusal(outcome, bucket, source);
}

/**
 * The source, percent-encoded once: `/bucket/key` as AWS's pattern has it, or `/key` as its
 * examples do. What begins with the name of the bucket is taken for the former.
 */
function readSource({ headers, bucket }: ObjectCall): ObjectKey {
  const header = headers.get(SOURCE_HEADER) ?? "";
  const decoded = decodePercent(header.startsWith("/") ? header.slice(1) : header);
  const inside = decoded?.startsWith(`${bucket}/`) === true;
  const text = inside ? decoded.slice(bucket.length + 1) : (decoded ?? "");
  if (objectKeyProblem(text) === "too-long") throw new S3Error("KeyTooLongError");
  const key = parseObjectKey(text);
  if (key !== undefined) return key;
  throw new S3Error("InvalidArgument", {
    message: "Rename source must mention the source key of the same bucket, percent-encoded",
    fields: { ArgumentName: SOURCE_HEADER, ArgumentValue: header },
  });
}

/** The conditions on the source are under names of their own; the usual ones are the new key's. */
function knownOfSource({ headers }: ObjectCall): KnownValues {
  const of = (condition: string): readonly string[] => {
    const value = headers.get(`${SOURCE_HEADER}-${condition}`);
    return value === undefined ? [] : [value];
  };
  return new Map(["if-match", "if-none-match"].map((name) => [`s3:${name}`, of(name)]));
}

/** Whatever the request says of locks: AWS has no such headers here. */
function defaultLock(
  { bucketSettings }: ObjectCall,
  deps: HandlerDeps,
): ReturnType<typeof lockOfWrite> {
  return lockOfWrite({ headers: NO_HEADERS, bucketSettings }, deps);
}

function readToken({ headers }: ObjectCall): string | undefined {
  const token = headers.get(TOKEN_HEADER);
  if (token === undefined || TOKEN.test(token)) return token;
  throw new S3Error("InvalidArgument", {
    message: "A client token has up to 64 printable ASCII characters.",
    fields: { ArgumentName: TOKEN_HEADER, ArgumentValue: token },
  });
}
