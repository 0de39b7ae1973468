import { bucketInFront, hostNameOf } from "../core/bucket-host.ts";
import { equalsInConstantTime } from "../core/hmac.ts";
import type { Exchange, ResponseHeaders } from "../http/exchange.ts";
import { CONFLICTS_WISH, listConflicts } from "./conflict-facts.ts";
import type { RenderedMetrics } from "./metrics.ts";
import { collectStats, type StatsDeps } from "./stats.ts";

export type ControlDeps = StatsDeps & {
  /** Domains below which the first label of a host is a bucket's name. */
  readonly domains: readonly string[];
  /** Domain below which it is that of a bucket's website. */
  readonly websiteDomain: string | undefined;
  readonly metricsToken: string | undefined;
  /** True when the request is signed by a key that may see the stats. Never throws. */
  readonly authorizeStats: (exchange: Exchange) => boolean | Promise<boolean>;
  /** Told of a failure that the client must not see. */
  readonly onFailure: (failure: unknown) => void;
};

export interface ControlService {
  /** True for what this service answers on the S3 port: `/v1/…` in path style. */
  serves(exchange: Exchange): boolean;
  handle(exchange: Exchange): void;
}

type Answer = { readonly status: number; readonly headers: ResponseHeaders; readonly body: string };

type Metrics = () => Promise<RenderedMetrics>;

type ControlRoute = {
  readonly access: "open" | "stats";
  readonly answer: (
    deps: ControlDeps,
    metrics: Metrics,
    exchange: Exchange,
  ) => Answer | Promise<Answer>;
};

const STARTING = "The site is still starting.";

/** What lives beside S3 on its port. No bucket can be called `v1`: names have three characters. */
const ROUTES: ReadonlyMap<string, ControlRoute> = new Map<string, ControlRoute>([
  ["/v1/health/live", { access: "open", answer: () => json(200, { status: "live" }) }],
  ["/v1/health/ready", { access: "open", answer: (deps) => readiness(deps) }],
  [
    "/v1/conflicts",
    { access: "stats", answer: (deps, _metrics, exchange) => conflicts(deps, exchange) },
  ],
  ["/v1/meta/stats", { access: "stats", answer: (deps) => stats(deps) }],
  [
    "/v1/metrics",
    {
      access: "stats",
      answer: async (_deps, metrics) => {
        const { contentType, text } = await metrics();
        return { status: 200, headers: [["content-type", contentType]], body: text };
      },
    },
  ],
]);

/** The package of metrics takes 40 ms to load: it is loaded for who asks, not at every start. */
function createMetricsLater(deps: ControlDeps): Metrics {
  let made: Promise<Metrics> | undefined;
  return async () => {
    made ??= import("./metrics.ts").then(({ createMetrics }) => createMetrics(deps));
    return (await made)();
  };
}

/** The service of `/v1/` on the S3 port: health for everybody, statistics for keys that may. */
export function createControlService(deps: ControlDeps): ControlService {
  const metrics = createMetricsLater(deps);
  return {
    serves: (exchange) => {
      const { target } = exchange;
      if (!target.startsWith("/v1/") && target !== "/v1" && !target.startsWith("/v1?"))
        return false;
      return !isBelowDomain(exchange.headers.get("host") ?? "", deps);
    },
    handle: (exchange) => {
      answer(exchange, deps, metrics).catch((failure: unknown) => {
        deps.onFailure(failure);
        send(exchange, problem(500, "The request failed; the log says why."));
      });
    },
  };
}

async function answer(exchange: Exchange, deps: ControlDeps, metrics: Metrics): Promise<void> {
  const route = ROUTES.get(exchange.target.replace(/\?.*$/s, ""));
  if (route === undefined) {
    // Peers ask before their door is open, and must not take this for another server.
    if (deps.state() === "recovering") return send(exchange, problem(503, STARTING));
    return send(exchange, problem(404, "There is nothing at this address."));
  }
  if (exchange.method !== "GET" && exchange.method !== "HEAD") {
    return send(exchange, problem(405, "Only GET and HEAD are answered here."));
  }
  const refusal = route.access === "stats" ? await refusalToWatch(exchange, deps) : undefined;
  send(exchange, refusal ?? (await route.answer(deps, metrics, exchange)));
}

async function refusalToWatch(exchange: Exchange, deps: ControlDeps): Promise<Answer | undefined> {
  const bearer = /^Bearer +(\S+)$/i.exec(exchange.headers.get("authorization") ?? "")?.[1];
  // Keys cannot be judged before the site is open: a monitor must not take that for a wrong one.
  if (bearer === undefined && deps.state() === "recovering") return problem(503, STARTING);
  const { metricsToken } = deps;
  const mayWatch =
    bearer === undefined
      ? await deps.authorizeStats(exchange)
      : metricsToken !== undefined && equalsInConstantTime(bearer, metricsToken);
  if (mayWatch) return undefined;
  return problem(403, "Send the metrics token, or sign with a key that may watch.");
}

function readiness(deps: ControlDeps): Answer {
  const state = deps.state();
  return json(state === "serving" ? 200 : 503, { status: state });
}

async function stats(deps: ControlDeps): Promise<Answer> {
  const document = await collectStats(deps);
  return document === undefined ? problem(503, STARTING) : json(200, document);
}

/** A page of conflicts: `?bucket=`, `&after=` what the page before gave as next, `&limit=`. */
function conflicts(deps: ControlDeps, { target }: Exchange): Answer {
  const site = deps.site();
  if (site === undefined) return problem(503, STARTING);
  const queryAt = target.indexOf("?");
  const query = new URLSearchParams(queryAt < 0 ? "" : target.slice(queryAt + 1));
  const names = new Set(Object.keys(CONFLICTS_WISH.shape));
  const asked = [...query].filter(([name]) => names.has(name));
  const wish = CONFLICTS_WISH.safeParse(Object.fromEntries(asked));
  const page = wish.success ? listConflicts(site.store, wish.data) : undefined;
  if (page === undefined) return problem(400, "Say bucket, after and limit as they are written.");
  return json(200, page);
}

function send(exchange: Exchange, { status, headers, body }: Answer): void {
  if (exchange.method === "HEAD") exchange.sendHead(status, headers, Buffer.byteLength(body));
  else exchange.send(status, headers, body);
}

function json(status: number, value: Readonly<Record<string, unknown>>): Answer {
  return {
    status,
    headers: [
      ["content-type", "application/json"],
      ["cache-control", "no-store"],
    ],
    body: `${JSON.stringify({ schema_version: 1, ...value })}\n`,
  };
}

function problem(status: number, message: string): Answer {
  return json(status, { error: { message } });
}

/** Whether S3 takes the host for a bucket's, or for that of its website: it reads it as here. */
function isBelowDomain(
  host: string,
  { domains, websiteDomain }: Pick<ControlDeps, "domains" | "websiteDomain">,
): boolean {
  const name = hostNameOf(host);
  if (domains.includes(name)) return false;
  const above = websiteDomain === undefined ? domains : [...domains, websiteDomain];
  return above.some((domain) => bucketInFront(name, [domain]) !== undefined);
}
