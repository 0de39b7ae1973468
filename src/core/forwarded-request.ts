import type { AccessKeyId } from "./names.ts";
import type { PartRecord, UploadRecord } from "./records.ts";

/** Who sent a request, as the site that checked the signature vouches for it. */
export type Principal =
  | { readonly kind: "root" }
  | { readonly kind: "user"; readonly accessKey: AccessKeyId }
  | { readonly kind: "anonymous" };

type Lines = ReadonlyArray<readonly [name: string, value: string]>;

/** A request of a client for another site to answer. Its body has been verified. */
export type ForwardedRequest = {
  readonly method: string;
  /** Path and query as they came, but in path style always. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Lines;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly principal: Principal;
  readonly body: Uint8Array;
};

/** What the other site answered. */
export type ForwardedAnswer = {
  readonly status: number;
  readonly headers: Lines;
  readonly body: Uint8Array;
};

/**
 * An upload and the parts of it that another site has received: their bytes are fetched from there.
 */
export type BroughtUpload = {
  readonly upload: UploadRecord;
  /** In order of part number. */
  readonly parts: readonly PartRecord[];
};

/** A request of a client whose body follows in pieces. */
export type ForwardedHead = Omit<ForwardedRequest, "body"> & {
  /** For a request that completes an upload: that upload. */
  readonly upload?: BroughtUpload | undefined;
};

/**
 * A request on its way to the home of its bucket, or being answered there. Its body is handed over
 * in order, each piece after the one before has been taken, and nothing is done with a body that
 * has not been ended. After a rejection either nothing has changed, or the outcome of the request
 * is unknown.
 */
export interface ForwardedFlow {
  /** Hands over the next piece of the body; returns the answer if there is one already. */
  data(bytes: Uint8Array): Promise<ForwardedAnswer | undefined>;
  /** Ends the body, which has been verified as a whole, and waits for the answer. */
  end(): Promise<ForwardedAnswer>;
  /** Gives the request up: a body that was not ended is thrown away. */
  cut(): void;
}
