import { printable } from "../core/printable.ts";

/**
 * One JSON log line as a short one for people: `12:03:04 warn  disk is filling up free=7`. Names in
 * it came from strangers, and the terminal must not obey them.
 */
export function formatPretty(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = typeof time === "string" ? time.slice(11, 19) : "";
  const details = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${formatValue(value)}`);
  const shown = [clock, String(level).padEnd(5), String(msg ?? ""), ...details].join(" ");
  return `${printable(shown)}\n`;
}

function formatValue(value: unknown): string {
  if (typeof value === "string") return /[\s"]/.test(value) ? JSON.stringify(value) : value;
  if (isFailure(value)) {
    const code = typeof value["code"] === "string" ? ` (${value["code"]})` : "";
    return JSON.stringify(`${value["name"]}: ${value["message"]}${code}`);
  }
  return JSON.stringify(value);
}

/** The stack of a failure belongs into the JSON log; on a terminal it hides the message. */
function isFailure(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && "stack" in value && "message" in value;
}
