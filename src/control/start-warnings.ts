/** Before this the program did not exist: a clock that says so has not been set. */
const EARLIEST_MS = Date.parse("2026-01-01T00:00:00Z");
const BEHIND_MS_MAX = 5 * 60 * 1000;

/**
 * What is wrong with the machine's clock, in one sentence that says what to do; undefined when
 * nothing is. `lastWriteMs` is the wall clock's part of the newest write, 0 when there is none.
 */
function clockProblem(nowMs: number, lastWriteMs: number): string | undefined {
  const now = new Date(nowMs).toISOString();
  const remedy = "Set it (for example with `timedatectl set-ntp true`), or clients are refused.";
  if (nowMs < EARLIEST_MS) return `The machine's clock says ${now}, which cannot be. ${remedy}`;
  if (lastWriteMs - nowMs <= BEHIND_MS_MAX) return undefined;
  const last = new Date(lastWriteMs).toISOString();
  return `The machine's clock says ${now}, but the newest write here is of ${last}. ${remedy}`;
}

/** What the operator should know at the start, each in one sentence that says what to do. */
export function startWarnings(facts: {
  readonly host: string;
  readonly hasTls: boolean;
  readonly nowMs: number;
  readonly lastWriteMs: number;
}): string[] {
  const { host, hasTls, nowMs, lastWriteMs } = facts;
  const isLocal = host === "localhost" || host === "::1" || host.startsWith("127.");
  const exposed =
    isLocal || hasTls
      ? undefined
      : `Listening on ${host} without TLS: set tlsCert and tlsKey, or put a TLS proxy in front.`;
  return [exposed, clockProblem(nowMs, lastWriteMs)].filter((text) => text !== undefined);
}
