/**
 * One request, one response, bodies streamed. A response body is whole or its iteration throws;
 * aborting the signal ends both directions. Redirects are never followed.
 */
export interface Network {
  request(request: NetworkRequest): Promise<NetworkResponse>;
}

export type NetworkRequest = {
  /** "http:" or "https:" with host and port, or a Unix socket. */
  readonly target:
    | { readonly kind: "url"; readonly origin: string; readonly trustedCertificates?: string }
    | { readonly kind: "socket"; readonly path: string };
  readonly method: string;
  /** Path and query, as they go on the wire. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
};

export type NetworkResponse = {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
};
