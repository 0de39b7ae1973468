/** What is known of one finished request: for the access log, the stats and the metrics. */
export type RequestSummary = {
  readonly requestId: string;
  /** AWS's name ("PutObject"), or "Unknown" when the request was refused before it had one. */
  readonly operation: string;
  readonly method: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** Id of the access key that signed it, once the signature has been found right. */
  readonly accessKey: string | undefined;
  readonly remoteAddress: string;
  readonly userAgent: string | undefined;
  readonly status: number;
  /** AWS's error code, undefined on success. */
  readonly errorCode: string | undefined;
  readonly inBytes: number;
  readonly outBytes: number;
  /** From the arrival of the header to the last byte handed to the socket. */
  readonly durationMs: number;
};

export interface RequestObserver {
  finished(summary: RequestSummary): void;
}
