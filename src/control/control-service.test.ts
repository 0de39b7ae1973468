import { describe, expect, test } from "vitest";
import { hlcFromMs } from "../core/hlc.ts";
import type { ClusterId, OriginId, SiteId } from "../core/names.ts";
import { parseBucketName, parseClusterId, parseOriginId, parseSiteId } from "../core/names.ts";
import type { Exchange, ResponseHeaders } from "../http/exchange.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store, StoredBucket } from "../storage/store.ts";
import { type ControlDeps, createControlService } from "./control-service.ts";
import { RequestStats } from "./request-stats.ts";

const TOKEN = "canary-token-0123456789";
let nowMs = Date.parse("2026-11-20T21:00:00.000Z");
const clock: Clock = {
  nowMs: () => nowMs,
  monotonicMs: () => nowMs,
  sleep: async () => undefined,
  after: () => () => undefined,
};

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own data is wrong");
  return value;
}

const photos: StoredBucket = {
  name: must(parseBucketName("photos")),
  createdMs: 0,
  owner: "root",
  settings: new Map(),
};

const store = {
  conflicts: {
    list: (bucket: unknown, after: unknown, max: number) => ({
      conflicts: [],
      next: `${String(bucket)} ${String(after)} ${max}`,
    }),
  },
  stats: () => ({
    objects: 12,
    bytes: 3400,
    versions: 12,
    deleteMarkers: 0,
    conflicts: 0,
    multipartUploads: 1,
    segments: { count: 2, open: 1, liveBytes: 3400, deadBytes: 5, pinnedBytes: 0 },
    commit: { batches: 9, operations: 20, syncMs: { p50: 0.2, p99: 0.6 }, directIo: true },
    index: { applied: "seg-00000002:4096", replayedOperations: 3, bytes: 8192 },
    hlc: hlcFromMs(1),
  }),
  buckets: () => [photos],
  bucket: (name: string) => (name === "photos" ? photos : undefined),
  bucketUsage: () => ({ objects: 10, bytes: 3000, prefixes: new Map() }),
  rows: { mended: () => 3 },
  quotas: { ofKeys: () => new Map([["AKIA", { bytesMax: 4096, objectsMax: undefined }]]) },
  keyUsage: () => ({ buckets: 1, bytes: 3000, objects: 10 }),
} as unknown as Store;

const lifecycle = {
  stats: () => ({
    ...{ examined: 40, expired: 3, removed: 2, uploadsAborted: 1, kept: 0 },
    ...{ running: false, passes: 5, lastPassMs: Date.parse("2026-11-20T00:01:00Z") },
  }),
};

const identity: { clusterId: ClusterId; siteId: SiteId; origin: OriginId } & Record<
  string,
  unknown
> = {
  clusterId: must(parseClusterId("41".repeat(16))),
  siteId: must(parseSiteId("9f".repeat(8))),
  origin: must(parseOriginId("ab".repeat(8))),
};

const SITE = {
  store,
  lifecycle,
  identity: {
    ...{ ...identity, formerClusterIds: [], name: "berlin" },
    ...{ incarnation: 1, createdMs: 0 },
  },
};

function controlWith(changes: Partial<ControlDeps> = {}) {
  const requests = new RequestStats(clock);
  requests.finished({
    requestId: "R",
    operation: "PutObject",
    method: "PUT",
    bucket: "photos",
    key: "a",
    accessKey: "AKIA",
    remoteAddress: "::1",
    userAgent: undefined,
    status: 404,
    errorCode: "NoSuchBucket",
    inBytes: 4096,
    outBytes: 0,
    durationMs: 1,
  });
  return createControlService({
    version: "0.1.0",
    clock,
    processFacts: {
      self: { pid: 1, startedAt: "1", bootId: "b" },
      uid: 0,
      isAlive: () => true,
      mountOf: () => "1",
      rssBytes: () => 104_857_600,
      openFiles: () => 80,
      eventLoopDelayP99Ms: () => 2.1,
    },
    requests,
    state: () => "serving",
    site: () => SITE,
    replication: () => undefined,
    startedMonotonicMs: nowMs - 86_400_500,
    domains: ["s3.example.org"],
    websiteDomain: undefined,
    metricsToken: TOKEN,
    authorizeStats: () => false,
    onFailure: (failure) => {
      throw failure;
    },
    ...changes,
  });
}

type Sent = { status: number; headers: ResponseHeaders; body: string };

/** Sends one request into the service, as an engine would. */
async function ask(
  service: ReturnType<typeof createControlService>,
  target: string,
  options: { method?: string; authorization?: string } = {},
): Promise<Sent> {
  return new Promise((resolve) => {
    service.handle({
      method: options.method ?? "GET",
      target,
      headers: {
        get: (name: string) => (name === "authorization" ? options.authorization : undefined),
      },
      send: (status: number, headers: ResponseHeaders, body: string) =>
        resolve({ status, headers, body }),
      sendHead: (status: number, headers: ResponseHeaders) =>
        resolve({ status, headers, body: "" }),
    } as unknown as Exchange);
  });
}

const bearer = { authorization: `Bearer ${TOKEN}` };

describe("/v1/ on the S3 port", () => {
  test("live is always 200; ready only while serving", async () => {
    for (const [state, status] of [
      ["serving", 200],
      ["recovering", 503],
      ["draining", 503],
    ] as const) {
      const service = controlWith({ state: () => state });
      expect((await ask(service, "/v1/health/live")).status).toBe(200);
      expect((await ask(service, "/v1/health/ready?x=1")).status).toBe(status);
    }
  });

  test.each(["/v1/meta/stats", "/v1/metrics", "/v1/conflicts"])(
    "%s wants a token or a signature",
    async (path) => {
      const service = controlWith();
      expect((await ask(service, path)).status).toBe(403);
      for (const authorization of ["Bearer wrong", "Bearer", `Bearer ${TOKEN}x`, "Basic eA=="]) {
        expect((await ask(service, path, { authorization })).status).toBe(403);
      }
      expect((await ask(service, path, bearer)).status).toBe(200);
      const signed = controlWith({ authorizeStats: async () => true, metricsToken: undefined });
      expect((await ask(signed, path)).status).toBe(200);
      expect((await ask(signed, path, { authorization: "Bearer undefined" })).status).toBe(403);
    },
  );

  test("conflicts are listed by bucket and page, whatever else a signature adds", async () => {
    const service = controlWith();
    const read = async (query: string): Promise<string> => {
      const { status, body } = await ask(service, `/v1/conflicts${query}`, bearer);
      if (status !== 200) return String(status);
      return Buffer.from(JSON.parse(body).next, "base64url").toString();
    };
    expect(await read("")).toBe("undefined undefined 100");
    const after = Buffer.from("a\0b").toString("base64url");
    const query = `?bucket=photos&after=${after}&limit=7&X-Amz-Signature=1`;
    expect(await read(query)).toBe("photos a\0b 7");
    expect(await read("?limit=0")).toBe("400");
    expect(await read("?bucket=..")).toBe("400");
    expect(
      (await ask(controlWith({ site: () => undefined }), "/v1/conflicts", bearer)).status,
    ).toBe(503);
  });

  test("anything else is 404, and other methods are 405", async () => {
    const service = controlWith();
    expect((await ask(service, "/v1/admin/keys", bearer)).status).toBe(404);
    expect((await ask(service, "/v1/metrics", { ...bearer, method: "POST" })).status).toBe(405);
    expect(await ask(service, "/v1/health/live", { method: "HEAD" })).toMatchObject({ body: "" });
  });

  test("is not for a bucket in front of a domain", () => {
    const service = controlWith();
    const serves = (host: string, target: string): boolean =>
      service.serves({ target, headers: { get: () => host } } as unknown as Exchange);
    expect(serves("127.0.0.1:9000", "/v1/health/live")).toBe(true);
    expect(serves("S3.example.org:9000", "/v1/health/live")).toBe(true);
    expect(serves("photos.s3.example.org:9000", "/v1/health/live")).toBe(false);
    expect(serves("127.0.0.1:9000", "/v1x/health/live")).toBe(false);
    expect(serves("127.0.0.1:9000", "/photos/v1/health")).toBe(false);
  });

  test("is also at a domain that lies below another, whichever is named first", () => {
    const both = ["example.org", "s3.example.org"];
    for (const domains of [both, both.toReversed()]) {
      const service = controlWith({ domains, websiteDomain: "web.example.org" });
      const serves = (host: string): boolean => {
        const headers = { get: () => host };
        return service.serves({ target: "/v1/metrics", headers } as unknown as Exchange);
      };
      const hosts = ["s3.example.org", "photos.s3.example.org", "photos.web.example.org"];
      expect(hosts.map(serves)).toEqual([true, false, false]);
      // To S3 this is a bucket called "web".
      expect(serves("web.example.org")).toBe(false);
    }
  });

  test("stats have exactly the shape that monitors rely on", async () => {
    const { body } = await ask(controlWith(), "/v1/meta/stats", bearer);
    await expect(`${JSON.stringify(JSON.parse(body), undefined, 2)}\n`).toMatchFileSnapshot(
      "../../test/golden/control/stats.json",
    );
  });

  test("a site that is still being opened has no stats yet", async () => {
    const service = controlWith({ site: () => undefined, state: () => "recovering" });
    expect((await ask(service, "/v1/meta/stats", bearer)).status).toBe(503);
    expect((await ask(service, "/v1/metrics", bearer)).body).toContain("atoll_ready 0");
    expect((await ask(service, "/v1/repl/pull")).status).toBe(503);
    // Who signs with a key cannot be known yet; a wrong token is wrong already.
    expect((await ask(service, "/v1/meta/stats")).status).toBe(503);
    const wrong = { authorization: "Bearer not-the-token-at-all" };
    expect((await ask(service, "/v1/meta/stats", wrong)).status).toBe(403);
  });

  test("metrics follow Prometheus' conventions and never hold the token", async () => {
    const { body, headers } = await ask(controlWith(), "/v1/metrics", bearer);
    expect(headers).toContainEqual(["content-type", expect.stringContaining("text/plain")]);
    expect(body).toContain('atoll_requests_total{operation="PutObject"} 1');
    expect(body).toContain(
      'atoll_request_errors_total{operation="PutObject",error="NoSuchBucket"} 1',
    );
    expect(body).toContain("atoll_objects 12");
    expect(body).toContain("atoll_versions 12");
    expect(body).toContain("atoll_bodies_mended_total 3");
    expect(body).toContain("atoll_commit_operations_total 20");
    expect(body).toContain("atoll_lifecycle_expired_total 3");
    expect(body).not.toContain(TOKEN);
    for (const line of body.split("\n").filter((text) => text !== "" && !text.startsWith("#"))) {
      expect(line).toMatch(/^atoll_[a-z0-9_]+(\{.*\})? -?[0-9.e+-]+$/);
    }
  });

  test("metrics ask the store once for all that is told of it", async () => {
    const { stats } = store;
    let asked = 0;
    const counted = (): ReturnType<typeof stats> => {
      asked += 1;
      return stats();
    };
    const counting = { ...store, stats: counted } as unknown as Store;
    const service = controlWith({ site: () => ({ ...SITE, store: counting }) });
    expect((await ask(service, "/v1/metrics", bearer)).body).toContain("atoll_objects 12");
    expect(asked).toBe(1);
  });

  test("metrics count up from scrape to scrape and are not added twice", async () => {
    const service = controlWith();
    await ask(service, "/v1/metrics", bearer);
    nowMs += 61_000;
    const { body } = await ask(service, "/v1/metrics", bearer);
    expect(body).toContain('atoll_requests_total{operation="PutObject"} 1');
    expect(body).not.toContain("atoll_request_duration_seconds{");
  });
});
