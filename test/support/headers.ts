import type { RequestHeaders } from "../../src/http/exchange.ts";

/** Request headers as an engine would hand them over: lower-case names, trimmed values. */
export function headersOf(lines: ReadonlyArray<readonly [string, string]>): RequestHeaders {
  const entries = lines.map(([name, value]) => [name.toLowerCase(), value.trim()] as const);
  const values = (name: string) => entries.filter((line) => line[0] === name).map(([, v]) => v);
  return {
    get: (name) => (values(name).length === 0 ? undefined : values(name).join(",")),
    count: (name) => values(name).length,
    names: entries.map(([name]) => name),
    entries,
  };
}
