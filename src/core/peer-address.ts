/** An address of a peer, or why it is none. */
export type PeerAddress =
  | {
      readonly outcome: "address";
      /** Scheme and authority, in their one canonical form: "https://host:port". */
      readonly origin: string;
      readonly insecure: boolean;
    }
  | { readonly outcome: "bad"; readonly problem: string };

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//;
const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const IPV6 = /^\[[0-9a-f:.]{2,45}\]$/;

/** Rules in the order in which they are checked: the first one that is broken is told. */
const RULES: ReadonlyArray<readonly [broken: (text: string) => boolean, problem: string]> = [
  [(text) => text !== text.trim() || /\s/.test(text), "it has white space in it"],
  [(text) => !SCHEME.test(text), 'it does not begin with "https://" (or "http://"), in lower case'],
  [(text) => !/^https?:\/\//.test(text), "only https and http are spoken between sites"],
  [(text) => text.includes("@"), "it has a user name or a password in it"],
  [(text) => text.includes("#"), "it has a fragment"],
  [(text) => text.includes("?"), "it has a query"],
  [
    (text) => /[\\/]/.test(text.replace(SCHEME, "")),
    "it has a path: leave out all behind the port",
  ],
];

/**
 * Reads the address of a peer that a person typed: scheme, host and port, and nothing else. What
 * could mean something else to another program is refused, not mended.
 */
export function parsePeerAddress(text: string): PeerAddress {
  const broken = RULES.find(([isBroken]) => isBroken(text));
  if (broken !== undefined) return { outcome: "bad", problem: broken[1] };
  const insecure = text.startsWith("http://");
  const authority = text.replace(SCHEME, "");
  const parts = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d{1,5}))?$/.exec(authority);
  const host = parts?.[1] ?? "";
  const port = parts?.[2];
  if (parts === null) return bad("its host and port cannot be told apart");
  if (host === "") return bad("it names no host");
  if (port !== undefined && !isPort(port)) return bad(`${port} is no port`);
  if (!isHost(host)) return bad(`"${host}" is no host name and no IP address`);
  const scheme = insecure ? "http" : "https";
  return {
    outcome: "address",
    origin: `${scheme}://${host}:${port ?? defaultPort(insecure)}`,
    insecure,
  };
}

function bad(problem: string): PeerAddress {
  return { outcome: "bad", problem };
}

function isPort(text: string): boolean {
  const port = Number(text);
  return port >= 1 && port <= 65_535 && String(port) === text;
}

/**
 * Whether a host is written in the one form that every program reads alike ("0x7f" is an IP address
 * to some).
 */
function isHost(host: string): boolean {
  if (!IPV6.test(host) && !HOST_NAME.test(host)) return false;
  const url = `http://${host}`;
  return URL.canParse(url) && new URL(url).hostname === host;
}

function defaultPort(insecure: boolean): number {
  return insecure ? 80 : 443;
}

/** Host and port of an address, as they stand in the Host header. */
export function authorityOf(origin: string): string {
  return origin.replace(SCHEME, "");
}
