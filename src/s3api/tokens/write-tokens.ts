import { formatWriteToken, type WriteToken, type WriteTokenText } from "../../core/write-token.ts";
import type { Exchange } from "../../http/exchange.ts";

export const TOKEN_HEADER = "x-atoll-token";

/** The position of this site's log as it has been acknowledged; undefined while it is empty. */
export type LogHeadSource = () => WriteToken | undefined;

/**
 * Gives the token that covers everything acknowledged so far. Writes of one batch share it, so that
 * it is written once for all of them.
 */
export function createWriteTokens(head: LogHeadSource): () => WriteTokenText | undefined {
  let last: WriteToken | undefined;
  let text: WriteTokenText | undefined;
  return () => {
    const now = head();
    if (now !== last) {
      last = now;
      text = now === undefined ? undefined : formatWriteToken(now);
    }
    return text;
  };
}

/** Whether an answer with this status tells of a write. Hot path. */
export function isWrite({ method }: Exchange, status: number): boolean {
  return status < 400 && method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
}
