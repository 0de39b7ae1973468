/** What a rule applies to; everything that is given must fit. */
export type LifecycleFilter = {
  /** Undefined: not given, which is another document but means the same as "". */
  readonly prefix: string | undefined;
  readonly tags: ReadonlyArray<readonly [key: string, value: string]>;
  /** In bytes, exclusive. */
  readonly sizeGreaterThan: number | undefined;
  /** In bytes, exclusive. */
  readonly sizeLessThan: number | undefined;
};

export const FILTER_FORMS = ["prefix", "filter", "and"] as const;
/** How the client wrote its filter: the old way, as one condition or none, or as several. */
export type FilterForm = (typeof FILTER_FORMS)[number];

export type LifecycleExpiration =
  | { readonly kind: "days"; readonly days: number }
  /** Unix milliseconds of a midnight UTC. */
  | { readonly kind: "date"; readonly dateMs: number }
  /** Delete markers with nothing behind them; `remove` can be false, which asks for nothing. */
  | { readonly kind: "markers"; readonly remove: boolean };

export type LifecycleRule = {
  readonly id: string;
  readonly enabled: boolean;
  readonly form: FilterForm;
  readonly filter: LifecycleFilter;
  readonly expiration: LifecycleExpiration | undefined;
  /** `keep` newest noncurrent versions stay, however old; undefined: none. */
  readonly noncurrent: { readonly days: number; readonly keep: number | undefined } | undefined;
  /** Days after which an upload in progress is aborted. */
  readonly abortUploadDays: number | undefined;
};

export const TRANSITION_SIZES = ["all_storage_classes_128K", "varies_by_storage_class"] as const;
/** Kept for the client that set it: nothing moves between storage classes here. */
export type TransitionSize = (typeof TRANSITION_SIZES)[number];

export type Lifecycle = {
  readonly rules: readonly LifecycleRule[];
  readonly transitionSize: TransitionSize;
};

/** A version as the rules see it. */
export type LifecycleSubject = {
  readonly key: string;
  readonly version:
    | {
        readonly kind: "object";
        readonly size: number;
        readonly tags: LifecycleFilter["tags"];
      }
    | { readonly kind: "delete-marker" };
  readonly standing: /** `alone`: the key has no other version. */
    | { readonly kind: "current"; readonly madeMs: number; readonly alone: boolean }
    /** Since when it has been noncurrent, and how many noncurrent versions are newer. */
    | { readonly kind: "noncurrent"; readonly sinceMs: number; readonly newer: number };
};

/**
 * What is due to happen to a version. `expire` does what a delete without a version would do: it
 * removes the object, or puts a delete marker on it. `remove` removes this version for good.
 */
export type DueAction = {
  readonly action: "expire" | "remove";
  /** Unix milliseconds from which on it is to be done. */
  readonly dueMs: number;
  readonly ruleId: string;
};

const DAY_MS = 86_400_000;

/** AWS: the days are added to the moment and the sum is rounded up to the next midnight UTC. */
export function dueAfterDays(momentMs: number, days: number): number {
  return (Math.ceil(momentMs / DAY_MS) + days) * DAY_MS;
}

/**
 * The earliest action that the rules want for a version, and when; of several at one moment, the
 * first. Undefined when no rule ever applies to it.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
 */
export function dueAction(
  rules: readonly LifecycleRule[],
  subject: LifecycleSubject,
): DueAction | undefined {
  let first: DueAction | undefined;
  for (const rule of rules) {
    if (!rule.enabled || !fits(rule.filter, subject)) continue;
    const dueMs = dueMsOf(rule, subject);
    if (dueMs === undefined || (first !== undefined && first.dueMs <= dueMs)) continue;
    const { version, standing } = subject;
    const expires = standing.kind === "current" && version.kind === "object";
    first = { action: expires ? "expire" : "remove", dueMs, ruleId: rule.id };
  }
  return first;
}

/**
 * When the rules abort an upload in progress, and which rule does; undefined when none ever does.
 */
export function dueAbort(
  rules: readonly LifecycleRule[],
  upload: { readonly key: string; readonly createdMs: number },
): { readonly dueMs: number; readonly ruleId: string } | undefined {
  let first: { dueMs: number; ruleId: string } | undefined;
  for (const { enabled, filter, abortUploadDays, id } of rules) {
    if (!enabled || abortUploadDays === undefined) continue;
    if (!upload.key.startsWith(filter.prefix ?? "")) continue;
    const dueMs = dueAfterDays(upload.createdMs, abortUploadDays);
    if (first === undefined || dueMs < first.dueMs) first = { dueMs, ruleId: id };
  }
  return first;
}

/**
 * The prefixes under which enabled rules can apply to anything: none contains another, in UTF-8
 * order. A walk has to visit exactly these.
 */
export function prefixesOf(rules: readonly LifecycleRule[]): readonly string[] {
  const prefixes = rules.filter(({ enabled }) => enabled).map(({ filter }) => filter.prefix ?? "");
  const sorted = prefixes.toSorted((left, right) =>
    Buffer.compare(Buffer.from(left), Buffer.from(right)),
  );
  const apart: string[] = [];
  for (const prefix of sorted) {
    const last = apart.at(-1);
    if (last === undefined || !prefix.startsWith(last)) apart.push(prefix);
  }
  return apart;
}

/** A delete marker has neither tags nor a size that a filter could fit. */
function fits(filter: LifecycleFilter, { key, version }: LifecycleSubject): boolean {
  const { prefix = "", tags, sizeGreaterThan, sizeLessThan } = filter;
  if (!key.startsWith(prefix)) return false;
  if (version.kind === "delete-marker") {
    return tags.length === 0 && sizeGreaterThan === undefined && sizeLessThan === undefined;
  }
  if (sizeGreaterThan !== undefined && version.size <= sizeGreaterThan) return false;
  if (sizeLessThan !== undefined && version.size >= sizeLessThan) return false;
  return tags.every(([name, value]) =>
    version.tags.some((tag) => tag[0] === name && tag[1] === value),
  );
}

function dueMsOf(rule: LifecycleRule, subject: LifecycleSubject): number | undefined {
  const { standing, version } = subject;
  if (standing.kind === "noncurrent") {
    const { noncurrent } = rule;
    if (noncurrent === undefined || standing.newer < (noncurrent.keep ?? 0)) return undefined;
    return dueAfterDays(standing.sinceMs, noncurrent.days);
  }
  const { expiration } = rule;
  if (expiration === undefined) return undefined;
  if (version.kind === "delete-marker" && !standing.alone) return undefined;
  switch (expiration.kind) {
    case "days":
      return dueAfterDays(standing.madeMs, expiration.days);
    case "date":
      return expiration.dateMs;
    case "markers":
      return version.kind === "delete-marker" && expiration.remove ? standing.madeMs : undefined;
  }
}
