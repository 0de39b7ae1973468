import { printable } from "../core/printable.ts";
import type { RequestObserver, RequestSummary } from "../core/request-summary.ts";
import type { Log } from "../ports/log.ts";

const USER_AGENT_CHARS_MAX = 256;

/**
 * Writes one line for each finished request. A summary holds no query string and no header but the
 * user agent, because signatures travel in both.
 */
export function createAccessLog(log: Log): RequestObserver {
  return { finished: (summary) => log.infoLine(lineOf(summary), "request") };
}

/** Fields in the order in which people read them; what is undefined is left out. Hot path. */
function lineOf(summary: RequestSummary): string {
  const { bucket, key, accessKey, userAgent, errorCode } = summary;
  let line = `"requestId":"${summary.requestId}","operation":"${summary.operation}"`;
  line += `,"method":${quoted(summary.method)}`;
  if (bucket !== undefined) line += `,"bucket":${quoted(bucket)}`;
  if (key !== undefined) line += `,"key":${quoted(key)}`;
  if (accessKey !== undefined) line += `,"accessKey":${quoted(accessKey)}`;
  line += `,"remoteAddress":"${summary.remoteAddress}"`;
  if (userAgent !== undefined) {
    line += `,"userAgent":${quoted(userAgent.slice(0, USER_AGENT_CHARS_MAX))}`;
  }
  line += `,"status":${summary.status}`;
  if (errorCode !== undefined) line += `,"errorCode":"${errorCode}"`;
  const durationMs = Math.round(summary.durationMs * 1000) / 1000;
  line += `,"inBytes":${summary.inBytes},"outBytes":${summary.outBytes}`;
  return `${line},"durationMs":${durationMs}`;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A text in JSON. What is printable ASCII, as nearly all names are, costs no call for it. */
function quoted(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit > 0x7e || unit === QUOTE || unit === BACKSLASH) {
      return printable(JSON.stringify(text));
    }
  }
  return `"${text}"`;
}
