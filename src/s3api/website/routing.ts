import type { Redirect, Website } from "../settings/website.ts";

type Pages = Extract<Website, { kind: "pages" }>;

/** A request to a website, before anything has been read. */
export type WebRequest = {
  /** The key as it was asked for, decoded, without the index document. */
  readonly key: string;
  readonly protocol: "http" | "https";
  /** As in the Host header, port and all. */
  readonly host: string;
};

export type WebRedirect = { readonly status: number; readonly location: string };

/**
 * The redirect for a key, by the first rule that fits; undefined when the request goes on. Rules
 * about errors fit only when there is one, and the others only when there is none yet.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html
 */
export function redirectByRules(
  { rules }: Pages,
  request: WebRequest,
  errorStatus?: number,
): WebRedirect | undefined {
  const rule = rules.find(
    (candidate) =>
      candidate.errorStatus === errorStatus && request.key.startsWith(candidate.keyPrefix ?? ""),
  );
  if (rule === undefined) return undefined;
  const { redirect, keyPrefix = "" } = rule;
  const path = replacedKey(redirect, request.key, keyPrefix);
  return { status: redirect.status ?? 301, location: locationOf(redirect, request, path) };
}

/** Where a website sends everything. */
export function redirectAll(
  website: Extract<Website, { kind: "redirect-all" }>,
  request: WebRequest,
): WebRedirect {
  return { status: 301, location: locationOf(website, request, encodedKey(request.key)) };
}

/** The key that answers for this one: that of its index document, or itself. */
export function pageKey({ indexSuffix }: Pages, key: string): string {
  return key === "" || key.endsWith("/") ? key + indexSuffix : key;
}

/** A key as a path, in which nothing can be taken for a query or for the end of a header. */
export function encodedKey(key: string): string {
  return encodeURI(key).replace(/[?#]/g, encodeURIComponent);
}

/** What the owner of a bucket wrote may be a query or a fragment, and stays as it is. */
export function encodedText(text: string): string {
  return text.replace(/[^\x21-\x7e]/gu, encodeURIComponent);
}

function replacedKey({ replace }: Redirect, key: string, keyPrefix: string): string {
  if (replace === undefined) return encodedKey(key);
  const text = encodedText(replace.text);
  return replace.kind === "key" ? text : text + encodedKey(key.slice(keyPrefix.length));
}

function locationOf(
  target: Pick<Redirect, "protocol" | "hostName">,
  request: WebRequest,
  path: string,
): string {
  const { protocol = request.protocol, hostName = request.host } = target;
  return `${protocol}://${hostName}/${path}`;
}
