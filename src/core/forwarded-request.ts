import type { AccessKeyId } from "./names.ts";

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
