import type { ClockGuard, ClockState } from "../storage/clock-guard.ts";
import { type AdminAnswer, type AdminCall, adminProblem } from "./admin-call.ts";

export const CLOCK_PATH = "/v1/admin/clock";

/** Tells whether this site's clock is believed, and takes an operator's word that it is right. */
export function routeClock(
  guard: Pick<ClockGuard, "state" | "accept">,
  { method, path }: Omit<AdminCall, "body">,
): AdminAnswer {
  switch (`${method} ${path.slice(CLOCK_PATH.length)}`) {
    case "GET ":
      return { status: 200, body: clockFacts(guard.state) };
    case "POST /accept": {
      const accepted = guard.accept();
      return { status: 200, body: { accepted, ...clockFacts(guard.state) } };
    }
  }
  return adminProblem(405, "The clock is looked at with GET and accepted with POST.");
}

/** Whether the clock is believed, and what is wrong with it when it is not. */
export function clockFacts(state: ClockState): Record<string, unknown> {
  if (state.kind === "trusted") return { state: "trusted" };
  const { witness, aheadMs, sinceMs } = state;
  return {
    ...{ state: "jumped", witness, ahead_seconds: Number((aheadMs / 1000).toFixed(3)) },
    since: new Date(sinceMs).toISOString(),
  };
}
