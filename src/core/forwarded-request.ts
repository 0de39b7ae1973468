import type { AccessKeyId } from "./names.ts";
import type { PartRecord, UploadRecord } from "./records.ts";

/** Who sent a request, as the site that checked the signature vouches for it. */
export type Principal =
  | { readonly kind: "root" }
  | { readonly kind: "user"; readonly accessKey: AccessKeyId }
  | { readonly kind: "anonymous" };

type Lines = ReadonlyArray<readonly [name: string, value: string]>;

/** A request of a client that another site is to answer; its body has been verified. */
export type ForwardedRequest = {
  readonly method: string;
  /** Path and query as they came. */
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

/** An upload with the parts of it that another site has taken: their bytes are asked for there. */
export type BroughtUpload = {
  readonly upload: UploadRecord;
  /** In order of part number. */
  readonly parts: readonly PartRecord[];
};

/** A request of a client whose body follows in pieces. */
export type ForwardedHead = Omit<ForwardedRequest, "body"> & {
  /** What a request that completes an upload is about. */
  readonly upload?: BroughtUpload | undefined;
};

/**
 * A request that is on its way to the home of its bucket, or being answered there. Its body is
 * handed over in order, each piece after the one before has been taken; nothing rests on a body
 * that has not been ended. Whatever rejects has changed nothing, or what has become of the request
 * is not known.
 */
export interface ForwardedFlow {
  /** Hands over what follows of the body; gives the answer when there is one already. */
  data(bytes: Uint8Array): Promise<ForwardedAnswer | undefined>;
  /** Ends the body, all of which was found true, and waits for the answer. */
  end(): Promise<ForwardedAnswer>;
  /** Gives the request up: a body that was not ended is thrown away. */
  cut(): void;
}
