import { StorageFault } from "../../core/faults.ts";
import type {
  ForwardedAnswer,
  ForwardedFlow,
  ForwardedHead,
  ForwardedRequest,
} from "../../core/forwarded-request.ts";
import { HOME_SETTING, type HomeSite, parseHomeSite } from "../../core/home-site.ts";
import { LIMITS } from "../../core/limits.ts";
import type { BucketName, SiteId } from "../../core/names.ts";
import type { BucketSettings, ManifestRef, Vector } from "../../core/records.ts";
import type { WriteToken } from "../../core/write-token.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import type { IncomingManifest } from "../../storage/replica.ts";
import { S3Error } from "../errors.ts";
import type { BucketCall, HandlerDeps, HomeGate, HomeVisit, Reply } from "../operation.ts";
import { CompletionsThere } from "./complete-there.ts";
import { announcedBytes, forwardedReply, headOf, keptLines, takeRequest } from "./forward.ts";
import { homeUnavailable } from "./home-unavailable.ts";
import { streamThere } from "./stream-there.ts";

export type HomeDeps = {
  readonly self: SiteId;
  /** How far the writes of every site have been applied here. */
  readonly applied: () => Vector;
  /**
   * Has a peer answer a request; rejects when the peer cannot be reached or does not know the
   * request.
   */
  readonly forward: (home: SiteId, request: ForwardedRequest) => Promise<ForwardedAnswer>;
  /** The same for a request whose body follows in pieces. */
  readonly open: (home: SiteId, head: ForwardedHead) => Promise<ForwardedFlow>;
  /** Waits a moment until a write of another site has been applied here; resolves in any case. */
  readonly arrived: (token: WriteToken | undefined) => Promise<void>;
  /**
   * Fetches and stages bytes that another site has and this one lacks; rejects when they cannot be
   * had.
   */
  readonly bring: (
    from: SiteId,
    manifests: readonly ManifestRef[],
    signal: AbortSignal,
  ) => Promise<readonly IncomingManifest[]>;
};

/** Headers that make a write depend on what is there. */
const CONDITIONS = [
  "if-match",
  "if-none-match",
  "x-amz-write-offset-bytes",
  "x-amz-rename-source-if-match",
  "x-amz-rename-source-if-none-match",
  "x-amz-rename-source-if-modified-since",
  "x-amz-rename-source-if-unmodified-since",
] as const;

/** Headers by which a client vouches for the body that it sent itself. */
const OF_BODY = /^(content-md5|x-amz-checksum-.*|x-amz-sdk-checksum-algorithm)$/;

/**
 * Brings conditional writes and appends to the home of their bucket, so that no two sites judge
 * them at once. Invariant: while the role is handed over no conditional write to the bucket is
 * begun here, and none that was begun before is still under way when the setting is written.
 */
export class HomeSites implements HomeGate {
  readonly #deps: HomeDeps;
  readonly #underWay = new Map<BucketName, number>();
  readonly #handingOver = new Set<BucketName>();
  readonly #completions = new CompletionsThere();
  #idle: Array<() => void> = [];

  constructor(deps: HomeDeps) {
    this.#deps = deps;
  }

  /** Whether conditional writes to a bucket are another site's to judge. */
  isElsewhere(settings: BucketSettings): boolean {
    const home = homeOf(settings);
    return home !== undefined && home.site !== this.#deps.self;
  }

  /** Answers a request to a bucket with a home: here, or there. */
  visit(visit: HomeVisit, deps: HandlerDeps): Reply | Promise<Reply> {
    const { call, operation, answer } = visit;
    const { bucket, headers, exchange } = call;
    const home = homeOf(call.bucketSettings);
    const isWrite = exchange.method !== "GET" && exchange.method !== "HEAD";
    // The conditions of DeleteObjects are in its body: its handler sends those keys to the home.
    const isOfMany = operation === "DeleteObjects";
    if (home === undefined || !isWrite || !(isOfMany || isConditional(headers))) return answer();
    if (home.site === this.#deps.self) return this.#answerHere(bucket, home, answer);
    // The role moved while the request was on its way here.
    if (visit.isForwarded) throw homeUnavailable();
    if (isOfMany) return answer();
    return this.#answerThere(home.site, visit, deps);
  }

  /**
   * Runs a change that gives the role away, once nothing that rests on the role is under way.
   *
   * @throws StorageFault "busy" while another such change runs.
   */
  async handOver<Result>(bucket: BucketName, change: () => Promise<Result>): Promise<Result> {
    if (this.#handingOver.has(bucket)) {
      const hint = "Wait until that is done, and look at `atoll repl-home show`.";
      throw new StorageFault("busy", "somebody else hands this bucket over now", { hint });
    }
    this.#handingOver.add(bucket);
    try {
      while (this.#underWay.has(bucket)) {
        await new Promise<void>((resolve) => this.#idle.push(resolve));
      }
      return await change();
    } finally {
      this.#handingOver.delete(bucket);
    }
  }

  async #answerHere(
    bucket: BucketName,
    { after }: HomeSite,
    answer: HomeVisit["answer"],
  ): Promise<Reply> {
    // What was judged before this site got the role must have been applied here.
    if (this.#handingOver.has(bucket) || !this.#hasApplied(after)) throw homeUnavailable();
    this.#underWay.set(bucket, (this.#underWay.get(bucket) ?? 0) + 1);
    try {
      return await answer();
    } finally {
      const left = (this.#underWay.get(bucket) ?? 1) - 1;
      if (left > 0) this.#underWay.set(bucket, left);
      else this.#underWay.delete(bucket);
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  #hasApplied(after: Vector): boolean {
    const applied = this.#deps.applied();
    for (const [origin, seq] of after) if ((applied.get(origin) ?? 0) < seq) return false;
    return true;
  }

  async bring(call: BucketCall, body: Uint8Array): Promise<ForwardedAnswer> {
    const home = homeOf(call.bucketSettings);
    if (home === undefined) throw homeUnavailable();
    const lines = keptLines(call).filter(([name]) => !OF_BODY.test(name));
    const ofBucket = { ...call, key: undefined };
    const head = headOf(ofBucket, [...lines, ["content-length", String(body.length)]]);
    return this.#deps.forward(home.site, { ...head, body }).catch(refuseClient);
  }

  async #answerThere(home: SiteId, visit: HomeVisit, deps: HandlerDeps): Promise<Reply> {
    return forwardedReply(await this.#askThere(home, visit, deps).catch(refuseClient));
  }

  async #askThere(
    home: SiteId,
    { call, operation }: HomeVisit,
    deps: HandlerDeps,
  ): Promise<ForwardedAnswer> {
    const { arrived } = this.#deps;
    const open = (head: ForwardedHead) => this.#deps.open(home, head);
    const forward = (request: ForwardedRequest) => this.#deps.forward(home, request);
    if (operation === "CompleteMultipartUpload") {
      return this.#completions.answer(call, deps, { open, forward, arrived });
    }
    if (announcedBytes(call) > LIMITS.forwardedBodyBytesMax) return streamThere(call, deps, open);
    return forward(await takeRequest(call, deps));
  }
}

/** What a client is told when its request could not be answered there. */
function refuseClient(failure: unknown): never {
  if (failure instanceof S3Error) throw failure;
  // That a home cannot be reached is shown by the status of replication; any other failure is
  // logged.
  throw homeUnavailable(failure instanceof StorageFault ? undefined : failure);
}

function homeOf(settings: BucketSettings): HomeSite | undefined {
  const value = settings.get(HOME_SETTING);
  if (value === undefined) return undefined;
  const home = parseHomeSite(value);
  if (home !== undefined) return home;
  throw new S3Error("InternalError", { cause: new Error("the home of a bucket cannot be read") });
}

function isConditional(headers: RequestHeaders): boolean {
  return CONDITIONS.some((name) => headers.get(name) !== undefined);
}
