import { z } from "zod";
import { LIFECYCLE_SETTING } from "../core/lifecycle-codec.ts";
import { LIMITS } from "../core/limits.ts";
import { type BucketName, parseBucketName } from "../core/names.ts";
import type { Clock } from "../ports/clock.ts";
import type { LifecycleSchedule } from "../storage/lifecycle/lifecycle-schedule.ts";
import {
  type LifecycleAction,
  type LifecyclePosition,
  lifecycleStep,
} from "../storage/lifecycle/lifecycle-step.ts";
import type { Store } from "../storage/store.ts";
import { type AdminAnswer, adminProblem } from "./admin-call.ts";
import { lifecycleCounts, lifecycleFacts } from "./lifecycle-facts.ts";
import { readWish } from "./read-wish.ts";

export type LifecycleDesk = {
  readonly store: Store;
  readonly lifecycle: Pick<LifecycleSchedule, "runNow" | "stats">;
  readonly clock: Clock;
};

const RUN = z.strictObject({ bucket: z.string().optional() });
const PLAN = z.strictObject({
  bucket: z.string(),
  limit: z.int().min(0).max(LIMITS.lifecyclePlanMax).default(100),
});

/** What was done since the start. */
export function showLifecycle({ lifecycle }: LifecycleDesk): AdminAnswer {
  return { status: 200, body: lifecycleFacts(lifecycle.stats()) };
}

/** Carries out what is due now, in one bucket or in all of them, and tells what was done. */
export async function runLifecycle(desk: LifecycleDesk, body: unknown): Promise<AdminAnswer> {
  const wish = readWish(RUN, body);
  if (!wish.success) return wish.refusal;
  const { bucket: name } = wish.data;
  if (name === undefined) {
    return { status: 200, body: lifecycleCounts(await desk.lifecycle.runNow(undefined)) };
  }
  const bucket = bucketWithRules(desk.store, name);
  if (typeof bucket !== "string") return bucket.problem;
  return { status: 200, body: lifecycleCounts(await desk.lifecycle.runNow(bucket)) };
}

/** Walks a bucket without touching it, and tells what will be done and when. */
export async function planLifecycle(desk: LifecycleDesk, body: unknown): Promise<AdminAnswer> {
  const wish = readWish(PLAN, body);
  if (!wish.success) return wish.refusal;
  const { bucket: name, limit } = wish.data;
  const bucket = bucketWithRules(desk.store, name);
  if (typeof bucket !== "string") return bucket.problem;
  const nowMs = desk.clock.nowMs();
  const soonest: LifecycleAction[] = [];
  let examined = 0;
  let dueNow = 0;
  let later = 0;
  let from: LifecyclePosition | undefined;
  do {
    const step = await lifecycleStep(desk.store, { bucket, from, nowMs, dryRun: true });
    for (const action of step.actions) {
      if (action.dueMs <= nowMs) dueNow += 1;
      else later += 1;
      soonest.push(action);
    }
    // Only the soonest are told, so that the memory for them is bounded.
    if (soonest.length > limit) {
      soonest.sort((left, right) => left.dueMs - right.dueMs);
      soonest.length = limit;
    }
    examined += step.examined;
    from = step.next;
    // A plan must not keep requests waiting any more than a run does.
    await desk.clock.sleep(0);
  } while (from !== undefined);
  soonest.sort((left, right) => left.dueMs - right.dueMs);
  const actions = soonest.map(showAction);
  return { status: 200, body: { bucket, examined, due_now: dueNow, later, actions } };
}

function showAction({ action, key, id, dueMs, ruleId }: LifecycleAction): Record<string, unknown> {
  const subject = action === "abort-upload" ? { upload: id } : { version: id };
  return { due: new Date(dueMs).toISOString(), action, key, ...subject, rule: ruleId };
}

function bucketWithRules(
  store: Store,
  name: string,
): BucketName | { readonly problem: AdminAnswer } {
  const bucket = parseBucketName(name);
  const found = bucket === undefined ? undefined : store.bucket(bucket);
  if (found === undefined) return { problem: adminProblem(404, `There is no bucket ${name}.`) };
  if (found.settings.has(LIFECYCLE_SETTING)) return found.name;
  return { problem: adminProblem(409, `The bucket ${name} has no lifecycle.`) };
}
