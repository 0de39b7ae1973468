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
  /** Waits a moment until a write of another site has been applied here; resolves in any case. */
  readonly arrived: (token: ReturnType<typeof parseWriteToken>) => Promise<void>;
};

/** The headers that decide how an upload is completed: a retry sends the same ones. */
const DECIDING = /^(if-|x-amz-checksum-|x-amz-mp-|x-amz-server-side-encryption)/;

/**
 * Completes uploads, whose parts are here, at the home of their bucket. The home fetches the bytes;
 * afterwards the upload is ended here. Invariant: of requests that say the same, one is under way.
 * It goes on when its client has given up waiting, so that a retry finds it.
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
    // The upload was begun at the home, or has been completed: the home knows.
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
  // When the object arrives while the upload still names its bytes, they need not be sent.
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
