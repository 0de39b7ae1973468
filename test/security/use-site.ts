import { afterAll, beforeAll, expect } from "vitest";
import { type Engine, type ServedSite, serveSite } from "./served-site.ts";
import { outcome, SiteClient } from "./site-client.ts";

/** What a `describe` works with; to be looked at inside tests only. */
export type SiteInUse = { readonly served: ServedSite; readonly client: SiteClient };

/** One served site for all tests of a `describe`, with these buckets, and objects by their path. */
export function useSite(
  engine: Engine,
  content: {
    readonly buckets: readonly string[];
    readonly objects?: Readonly<Record<string, string>>;
  },
): SiteInUse {
  let served: ServedSite | undefined;
  let client: SiteClient | undefined;
  beforeAll(async () => {
    served = await serveSite(engine);
    client = new SiteClient(served.port);
    const made = [
      ...content.buckets.map((bucket) => [bucket, ""] as const),
      ...Object.entries(content.objects ?? {}),
    ];
    for (const [path, body] of made) {
      const answer = await client.send({ method: "PUT", target: `/${path}`, body });
      expect([path, outcome(answer)]).toEqual([path, "200"]);
    }
  });
  afterAll(async () => {
    client?.close();
    await served?.close();
  });
  const inTests = <Value>(value: Value | undefined): Value => {
    if (value === undefined) throw new Error("useSite() gives its site to tests only");
    return value;
  };
  return {
    get served() {
      return inTests(served);
    },
    get client() {
      return inTests(client);
    },
  };
}
