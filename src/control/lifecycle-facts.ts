import type { LifecycleCounts, LifecycleStats } from "../storage/lifecycle/lifecycle-schedule.ts";

/** What lifecycles have done since the start, for `atoll lifecycle status` and the statistics. */
export function lifecycleFacts(stats: LifecycleStats): Record<string, unknown> {
  const { running, passes, lastPassMs, ...counts } = stats;
  const lastPass = lastPassMs === undefined ? undefined : new Date(lastPassMs).toISOString();
  return { running, passes, last_pass: lastPass, ...lifecycleCounts(counts) };
}

/** What one run has done. */
export function lifecycleCounts(counts: LifecycleCounts): Record<string, unknown> {
  return {
    examined: counts.examined,
    expired: counts.expired,
    removed: counts.removed,
    uploads_aborted: counts.uploadsAborted,
    kept: counts.kept,
  };
}
