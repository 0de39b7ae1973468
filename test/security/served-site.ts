import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { vi } from "vitest";
import type { HttpServer } from "../../src/http/exchange.ts";
import { startNodeServer } from "../../src/http/node-server.ts";
import { startUwsServer } from "../../src/http/uws-server.ts";
import { systemClock } from "../../src/ports/system-clock.ts";
import { openS3Site, type S3Site } from "../support/s3-site.ts";

export const ENGINES = ["uws", "node"] as const;
export type Engine = (typeof ENGINES)[number];

/** A site behind a real listener, in this process, so that its index can be looked at. */
export type ServedSite = {
  readonly site: S3Site;
  readonly port: number;
  /** A digest over every row of the index: equal means that nothing at all was stored. */
  rows(): string;
  close(): Promise<void>;
};

export async function serveSite(engine: Engine): Promise<ServedSite> {
  const site = await openS3Site({ requestsMax: 10_000 });
  const settings = { host: "127.0.0.1", port: 0, tls: undefined };
  const server: HttpServer =
    engine === "uws"
      ? await startUwsServer(site.handler, settings, {
          clock: systemClock,
          setEnvironment: (name, value) => vi.stubEnv(name, value),
        })
      : await startNodeServer(site.handler, settings, { clock: systemClock, readFile });
  return {
    site,
    port: server.port,
    rows: () => {
      const digest = createHash("sha256");
      for (const { key, value } of site.kv.range({})) digest.update(key).update(value);
      return digest.digest("hex");
    },
    close: async () => {
      await server.close(0);
      await site.close();
    },
  };
}
