import type { ForwardedAnswer } from "../core/forwarded-request.ts";
import type { BucketName, ObjectKey } from "../core/names.ts";
import type { BucketSettings } from "../core/records.ts";
import type { KeyRing } from "../core/seal.ts";
import type { Exchange, RequestHeaders } from "../http/exchange.ts";
import type { Hash } from "../ports/hash.ts";
import type { Random } from "../ports/random.ts";
import type { BodyReader, Store } from "../storage/store.ts";
import type { FormClaim } from "./auth/form-claim.ts";
import type { AuthResult } from "./auth/verify.ts";
import type { Allows } from "./authorize.ts";
import type { GuardSettings } from "./guard/request-guard.ts";
import type { HeaderLines } from "./headers/object-headers.ts";
import type { Query } from "./target.ts";

/** What every handler may use. */
export type HandlerDeps = {
  readonly store: Store;
  readonly hash: Hash;
  readonly random: Random;
  /** The keys that seal how objects are encrypted. */
  readonly keyRing: KeyRing;
  readonly nowMs: () => number;
  /** Lets everything else that waits go first; for handlers that walk long ways. */
  readonly turn: () => Promise<void>;
  readonly settings: S3Settings;
  /** Undefined where no other site can be asked. */
  readonly home: HomeGate | undefined;
};

/** A request to a bucket that has a home, and how it is answered here. */
export type HomeVisit = {
  readonly call: BucketCall & { readonly key: ObjectKey | undefined };
  readonly operation: string;
  /** Another site has sent it here. */
  readonly isForwarded: boolean;
  readonly answer: () => Reply | Promise<Reply>;
};

/** Makes sure that one site alone judges the conditional writes of a bucket. */
export interface HomeGate {
  /** Whether conditional writes to a bucket are another site's to judge. */
  isElsewhere(settings: BucketSettings): boolean;
  /** Answers a request to a bucket with a home: here, or there. */
  visit(visit: HomeVisit, deps: HandlerDeps): Reply | Promise<Reply>;
  /**
   * Has the home of a bucket answer this request with another body.
   *
   * @throws S3Error ServiceUnavailable when it cannot be asked.
   */
  bring(call: BucketCall, body: Uint8Array): Promise<ForwardedAnswer>;
}

export type S3Settings = {
  readonly region: string;
  /** Host names under which `bucket.domain` addresses a bucket; lower case, without port. */
  readonly domains: readonly string[];
  /** Domain below which a bucket's name addresses its website; lower case, without port. */
  readonly websiteDomain?: string | undefined;
  /** Canonical id of the one account that owns everything here. */
  readonly ownerId: string;
  /** Requests under way at once; more are told to slow down. */
  readonly requestsMax: number;
  /** What one address and one key may do; without it, anything. */
  readonly guard?: GuardSettings;
};

/** A routed, authenticated and authorised request. */
export type Call = {
  readonly exchange: Exchange;
  /** Headers, and what a presigned URL moved from them into its query. */
  readonly headers: RequestHeaders;
  readonly query: Query;
  readonly auth: AuthResult;
  /** Whether the caller may also do this; what a handler asks beyond its row's action. */
  readonly allows: Allows;
  /** Told of body bytes as they come, for the access log. */
  readonly received: (bytes: number) => void;
};

/** The bucket exists when the handler begins; CreateBucket's may. */
export type BucketCall = Call & {
  readonly bucket: BucketName;
  /** The settings when the handler begins; what a commit depends on it reads again. */
  readonly bucketSettings: BucketSettings;
};

export type ObjectCall = BucketCall & { readonly key: ObjectKey };

/** Who sends a request, and what they may do. */
export type Identity = Pick<Call, "auth" | "allows">;

/**
 * A request that is let in before anybody knows who sent it: a browser's question about another
 * origin, a form whose fields say who signed it, a visit to a website.
 */
export type OpenRequest = Pick<Call, "exchange" | "received"> & {
  /** For pages that people read. */
  readonly requestId: string;
  /** The bucket as the client wrote it. */
  readonly bucketText: string;
  /** Undefined when no bucket can have that name. Whether it exists is for the handler to ask. */
  readonly bucket: BucketName | undefined;
  readonly key: ObjectKey | undefined;
  /**
   * Who signed this form, or nobody when it claims nothing; throws what to answer when its claim is
   * wrong. Policies see these headers.
   */
  readonly identify: (claim: FormClaim | undefined, headers: RequestHeaders) => Identity;
  /** What everybody may do, whoever sends this and whatever else it says. */
  readonly anybody: () => Identity;
  /** Refuses query parameters that mean nothing here; for when it is known who asks. */
  readonly screen: () => void;
  /** Told which key the request turned out to be about, for the access log. */
  readonly keyFound: (key: ObjectKey) => void;
};

/** What a handler answers; the service adds ids and sends it. */
export type Reply =
  | {
      readonly kind: "whole";
      readonly status: number;
      readonly headers: HeaderLines;
      readonly body: Uint8Array | string | undefined;
      /** Nobody will change the bytes of the body. */
      readonly lasting?: true;
      /** Another site has answered, with a token of its own. */
      readonly forwarded?: true;
    }
  | {
      readonly kind: "head";
      readonly status: number;
      readonly headers: HeaderLines;
      readonly contentLength: number;
    }
  | {
      readonly kind: "stream";
      readonly status: number;
      readonly headers: HeaderLines;
      readonly contentLength: number;
      readonly reader: BodyReader;
    };

export type OpenHandler = (request: OpenRequest, deps: HandlerDeps) => Reply | Promise<Reply>;

export type Handler<C> = (call: C, deps: HandlerDeps) => Reply | Promise<Reply>;

type Selectors = {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE" | "OPTIONS";
  /** Query parameters that must be there; a value other than "" must be equal. */
  readonly query?: Readonly<Record<string, string>>;
  /** A header that must be there. */
  readonly header?: string;
  /** Query parameters that may be there; any other is refused, never ignored. */
  readonly params?: readonly string[];
};

export type Level = "service" | "bucket" | "object";

/** One operation of S3: how to recognise it, what it needs, and who answers it. */
export type OperationRow = Selectors & {
  /** The IAM action the caller must be allowed. */
  readonly action: string;
  /** The action instead of it when the request names a version. */
  readonly versionAction?: string;
  /** The handler asks by itself: for each key, or when it has read what policies look at. */
  readonly perKey?: true;
  /** It may bring tags, locks or an ACL for the object, each allowed by an action of its own. */
  readonly wishes?: true;
  readonly body: "none" | "xml" | "stream";
  /** Where this differs from AWS, for docs/S3.md. */
  readonly note?: string;
} & (
    | { readonly level: "service"; readonly handler: Handler<Call> }
    | { readonly level: "bucket"; readonly handler: Handler<BucketCall> }
    | { readonly level: "object"; readonly handler: Handler<ObjectCall> }
    | { readonly level: Level; readonly open: OpenHandler }
    | { readonly level: Level; readonly notImplemented: string }
  );
