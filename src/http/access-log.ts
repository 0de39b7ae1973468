import type { RequestObserver, RequestSummary } from "../core/request-summary.ts";
import type { Log } from "../ports/log.ts";

const USER_AGENT_CHARS_MAX = 256;

/**
 * Writes one line for each finished request. A summary holds no query string and no header but the
 * user agent, because signatures travel in both.
 */
export function createAccessLog(log: Log): RequestObserver {
  return {
    finished: (summary: RequestSummary) => {
      log.info(
        {
          requestId: summary.requestId,
          operation: summary.operation,
          method: summary.method,
          bucket: summary.bucket,
          key: summary.key,
          accessKey: summary.accessKey,
          remoteAddress: summary.remoteAddress,
          userAgent: summary.userAgent?.slice(0, USER_AGENT_CHARS_MAX),
          status: summary.status,
          errorCode: summary.errorCode,
          inBytes: summary.inBytes,
          outBytes: summary.outBytes,
          durationMs: Math.round(summary.durationMs * 1000) / 1000,
        },
        "request",
      );
    },
  };
}
