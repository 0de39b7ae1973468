/** What a bound looks at: the result, its p99, or how it stands beside a yardstick. */
type Bound =
  | { readonly of: "value" | "p99"; readonly atLeast?: number; readonly atMost?: number }
  | { readonly of: "ratio"; readonly to: YardstickName; readonly atLeast: number }
  /** At most so much above the yardstick, in the row's unit. */
  | { readonly of: "excess"; readonly over: YardstickName; readonly atMost: number };

export type YardstickName = "nginx" | "disk" | "sync" | "10k" | "flat";

type Target = {
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
  readonly must: readonly Bound[];
  readonly aim: readonly Bound[];
};

const atLeast = (value: number): Bound => ({ of: "value", atLeast: value });
const atMost = (value: number): Bound => ({ of: "value", atMost: value });
const ratio = (to: YardstickName, least: number): Bound => ({ of: "ratio", to, atLeast: least });
/** "The same ±20 %": being faster is no fault. */
const AS_WITH_10K = ratio("10k", 0.8);

/** Every workload with what it must and should reach on the machine the figures were set on. */
export const TARGETS = {
  "memory-start": row("Memory after start", "MB", [atMost(150)]),
  "put-4k-empty": row("PUT 4 KiB, 64 clients, empty store", "/s", [atLeast(20_000)], {
    aim: [atLeast(35_000)],
  }),
  "put-4k-one": row(
    "PUT 4 KiB, 1 client, p50",
    "ms",
    [{ of: "excess", over: "sync", atMost: 0.35 }],
    { aim: [{ of: "excess", over: "sync", atMost: 0.2 }], digits: 3 },
  ),
  "list-10k": row("LIST 1,000 of 10 thousand keys, 4 clients", "pages/s", [atLeast(700)], {
    aim: [atLeast(1200)],
  }),
  list: row("LIST 1,000 of all keys, 4 clients", "pages/s", [atLeast(700), AS_WITH_10K], {
    aim: [atLeast(1200)],
  }),
  "folders-10k": row("LIST 1,000 folders of 10 thousand keys, 4 clients", "pages/s", []),
  folders: row("LIST 1,000 folders of all keys, 4 clients", "pages/s", [AS_WITH_10K]),
  versions: row("LIST 1,000 versions, one of each key, 4 clients", "pages/s", []),
  "versions-deep": row("LIST 1,000 versions, all of ten keys, 4 clients", "pages/s", [
    ratio("flat", 0.8),
  ]),
  "get-4k": row("GET 4 KiB, 64 clients", "/s", [atLeast(45_000), ratio("nginx", 0.33)], {
    aim: [atLeast(65_000), ratio("nginx", 0.5)],
  }),
  "get-4k-many": row("GET 4 KiB of 20,000 objects, 64 clients", "/s", []),
  "head-4k": row("HEAD, 64 clients", "/s", [atLeast(50_000)], { aim: [atLeast(75_000)] }),
  "put-4k": row(
    "PUT 4 KiB, 64 clients, all keys in the index",
    "/s",
    [atLeast(18_000), { of: "p99", atMost: 8 }, ratio("nginx", 1.5)],
    { aim: [atLeast(30_000)] },
  ),
  "delete-4k": row("DELETE, 64 clients", "/s", [atLeast(18_000)], { aim: [atLeast(30_000)] }),
  "put-8m": row(
    "PUT 8 MiB, 4 clients",
    "MB/s",
    [atLeast(350), ratio("nginx", 1), ratio("disk", 0.35)],
    { aim: [atLeast(1000)] },
  ),
  "get-8m": row("GET 8 MiB, 4 clients", "MB/s", [atLeast(3200), ratio("nginx", 1.3)], {
    aim: [atLeast(4000)],
  }),
  "upload-memory": row("Memory added by one large upload", "MB", [atMost(64)]),
  "memory-end": row("Memory after all of the above", "MB", [atMost(400)]),
  "idle-disk": row("Idle: read and written in a minute", "KiB", [atMost(0)]),
  "idle-cpu": row("Idle: CPU", "%", [atMost(0.5)], { digits: 2 }),
  restart: row("SIGKILL under load, start to first answer", "s", [atMost(2)], {
    aim: [atMost(1)],
    digits: 2,
  }),
  "replicated-put": row(
    "PUT 4 KiB at one of two sites, until both have it",
    "/s",
    [atLeast(8000)],
    {
      aim: [atLeast(15_000)],
    },
  ),
  "replicated-lag": row("Lag of the other site at 8,000 PUTs a second, p99", "ms", [atMost(500)], {
    digits: 1,
  }),
  "known-chunks": row("On the wire for an object whose bytes are there", "bytes", [atMost(2047)]),
  rebuild: row("rebuild-index", "objects/s", [atLeast(200_000)], { aim: [atLeast(300_000)] }),
} as const satisfies Record<string, Target>;

export type RowName = keyof typeof TARGETS;

export const ROW_NAMES = Object.keys(TARGETS).filter(isRowName);

export function isRowName(name: string): name is RowName {
  return name in TARGETS;
}

function row(
  title: string,
  unit: string,
  must: readonly Bound[],
  rest: Partial<Pick<Target, "aim" | "digits">> = {},
): Target {
  return { title, unit, must, aim: rest.aim ?? [], digits: rest.digits ?? 0 };
}

/** One measured workload. */
export type Row = {
  readonly name: RowName;
  /** The median of `runs`. */
  readonly value: number;
  readonly runs: readonly number[];
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly yardsticks: { readonly [Name in YardstickName]?: number };
  /** What a reader must know to believe the figure. */
  readonly notes: readonly string[];
};

/** True when a row keeps every bound; undefined when there is none, or a yardstick is missing. */
export function keeps(row: Row, bounds: readonly Bound[]): boolean | undefined {
  const verdicts = bounds.map((bound) => keepsOne(row, bound));
  if (verdicts.includes(false)) return false;
  return verdicts.length === 0 || verdicts.includes(undefined) ? undefined : true;
}

function keepsOne(row: Row, bound: Bound): boolean | undefined {
  switch (bound.of) {
    case "value":
    case "p99": {
      const seen = bound.of === "value" ? row.value : row.p99Ms;
      if (seen === undefined) return undefined;
      return seen >= (bound.atLeast ?? -Infinity) && seen <= (bound.atMost ?? Infinity);
    }
    case "ratio": {
      const yardstick = row.yardsticks[bound.to];
      return yardstick === undefined ? undefined : row.value / yardstick >= bound.atLeast;
    }
    case "excess": {
      const yardstick = row.yardsticks[bound.over];
      return yardstick === undefined ? undefined : row.value - yardstick <= bound.atMost;
    }
  }
}

export function describeBounds(bounds: readonly Bound[], unit: string): string {
  return bounds.map((bound) => describe(bound, unit)).join(", ");
}

function describe(bound: Bound, unit: string): string {
  switch (bound.of) {
    case "value":
    case "p99": {
      const name = bound.of === "value" ? "" : "p99 ";
      const measure = bound.of === "value" ? unit : "ms";
      if (bound.atLeast !== undefined) return `${name}≥ ${grouped(bound.atLeast, 2)} ${measure}`;
      return `${name}≤ ${grouped(bound.atMost ?? 0, 2)} ${measure}`;
    }
    case "ratio":
      return `≥ ${bound.atLeast} x ${bound.to}`;
    case "excess":
      return `≤ ${bound.over} + ${bound.atMost} ${unit}`;
  }
}

export function grouped(value: number, digits = 0): string {
  const fraction = { minimumFractionDigits: 0, maximumFractionDigits: digits };
  return value.toLocaleString("en-US", fraction);
}
