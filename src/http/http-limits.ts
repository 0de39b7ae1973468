/** Bounds of the front end itself, unit in the name. Those of S3 are in core/limits.ts. */
export const HTTP_LIMITS = {
  /** Body bytes that may wait for receive(); beyond this the socket is paused. */
  waitingBytesMax: 64 * 1024,
  /** An unread rest of a body up to this is read and dropped, and the connection lives on. */
  drainBytesMax: 64 * 1024,
  /** No byte either way for this long, while the client owes us one, cuts the connection. */
  idleMsMax: 60 * 1000,
  /** How often idle connections are looked for; below the 10 seconds of the uWS engine. */
  sweepMs: 4 * 1000,
  /** An idle keep-alive connection is closed after this; a constant in the uWS engine. */
  keepAliveMsMax: 10 * 1000,
  /** The whole header block must have come by then. */
  headerMsMax: 10 * 1000,
} as const;
