import type { Cancel, Clock } from "./clock.ts";

/** A delay beyond 2^31-1 ms would fire at once in Node's timers; longer waits take several. */
const DELAY_MS_MAX = 0x7fff_ffff;

/** The machine's own clocks. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep,
  after,
};

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = schedule(ms, finish, true);
    signal?.addEventListener("abort", finish);
  });
}

function after(ms: number, callback: () => void): Cancel {
  return schedule(ms, callback, false);
}

/** A sleeper is awaited by somebody, so it keeps the process alive; a callback does not. */
function schedule(ms: number, callback: () => void, keepAlive: boolean): Cancel {
  // Node may fire a timer up to a millisecond early by the monotonic clock: the deadline decides.
  const deadline = performance.now() + Math.max(0, ms);
  let timer: NodeJS.Timeout | undefined;
  const arm = (): void => {
    const restMs = Math.ceil(deadline - performance.now());
    timer = setTimeout(fire, Math.min(Math.max(restMs, 1), DELAY_MS_MAX));
    if (!keepAlive) timer.unref();
  };
  const fire = (): void => {
    if (performance.now() < deadline) arm();
    else callback();
  };
  arm();
  return () => clearTimeout(timer);
}
