import type {
  BroughtUpload,
  ForwardedAnswer,
  ForwardedFlow,
  ForwardedHead,
  ForwardedRequest,
} from "../../core/forwarded-request.ts";
import { sha256Hex } from "../../core/hmac.ts";
import { parseUploadId } from "../../core/names.ts";
import { parseWriteToken } from "../../core/write-token.ts";
import { withoutObjectClaims } from "../handlers/complete-multipart-upload.ts";
import type { HandlerDeps, HomeVisit } from "../operation.ts";
import { TOKEN_HEADER } from "../tokens/write-tokens.ts";
import { takeRequest } from "./forward.ts";

export type CompleteThereDeps = {
  readonly open: (head: ForwardedHead) => Promise<ForwardedFlow>;
  readonly forward: (request: ForwardedRequest) => Promise<ForwardedAnswer>;
  /** Waits a moment for a write of another site to be applied here; resolves in any case. */
  readonly arrived: (token: ReturnType<typeof parseWriteToken>) => Promise<void>;
};

/** What of a request decides how an upload is completed: a retry has the same of it. */
const DECIDING = /^(if-|x-amz-checksum-|x-amz-mp-|x-amz-server-side-encryption)/;

/**
 * Completes uploads whose parts are here at the home of their bucket, which fetches the bytes, and
 * ends them here when that has been done. Invariant: of requests that say the same, one is under
 * way; it goes on when its client has given up waiting, so that the next try finds it.
 */
export class CompletionsThere {
  readonly #underWay = new Map<string, Promise<ForwardedAnswer>>();

  async answer(
    call: HomeVisit["call"],
    deps: HandlerDeps,
    there: CompleteThereDeps,
  ): Promise<ForwardedAnswer> {
    const request = await takeRequest(call, deps, withoutObjectClaims(call.headers));
    const brought = uploadHere(call, deps);
    // It was begun there, or has been completed: the home knows.
    if (brought === undefined) return there.forward(request);
    const name = nameOf(request);
    const before = this.#underWay.get(name);
    if (before !== undefined) return before;
    const answer = complete(request, brought, deps, there);
    this.#underWay.set(name, answer);
    try {
      return await answer;
    } finally {
      this.#underWay.delete(name);
    }
  }
}

async function complete(
  { body, ...head }: ForwardedRequest,
  brought: BroughtUpload,
  { store }: HandlerDeps,
  there: CompleteThereDeps,
): Promise<ForwardedAnswer> {
  const flow = await there.open({ ...head, upload: brought });
  let answer: ForwardedAnswer;
  try {
    answer = (await flow.data(body)) ?? (await flow.end());
  } catch (failure) {
    flow.cut();
    throw failure;
  }
  if (answer.status !== 200) return answer;
  const token = answer.headers.find(([name]) => name.toLowerCase() === TOKEN_HEADER)?.[1];
  // Bytes that the upload still names when the object comes need not come with it.
  await there.arrived(token === undefined ? undefined : parseWriteToken(token));
  const { bucket, key, uploadId } = brought.upload;
  await store.abortUpload(bucket, key, uploadId);
  return answer;
}

function uploadHere(
  { query, bucket, key }: HomeVisit["call"],
  { store }: HandlerDeps,
): BroughtUpload | undefined {
  const uploadId = parseUploadId(query.get("uploadId") ?? "");
  if (uploadId === undefined || key === undefined) return undefined;
  const upload = store.upload(bucket, key, uploadId);
  return upload && { upload, parts: [...store.parts(uploadId, 0)] };
}

function nameOf({ target, headers, principal, body }: ForwardedRequest): string {
  const lines = headers.filter(([name]) => DECIDING.test(name));
  return JSON.stringify([target, lines, principal, sha256Hex(body)]);
}
