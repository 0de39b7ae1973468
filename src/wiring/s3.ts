import type { Settings } from "../config.ts";
import { sha256Hex } from "../core/hmac.ts";
import { ignore } from "../core/ignore.ts";
import { LIMITS } from "../core/limits.ts";
import type { RequestObserver } from "../core/request-summary.ts";
import { createAccessLog } from "../http/access-log.ts";
import type { HttpHandler } from "../http/exchange.ts";
import { createCredentialLookup } from "../s3api/auth/credential-lookup.ts";
import type { HomeDeps } from "../s3api/home/home-sites.ts";
import { createS3Service, type S3Service } from "../s3api/service.ts";
import { AppliedWaits } from "../s3api/tokens/applied-waits.ts";
import type { RootKey } from "../storage/root-key.ts";
import type { Site } from "../storage/site.ts";
import type { SitePorts } from "../storage/site-ports.ts";

/** How long a completed upload waits here for the object that was made of it at its home. */
const ARRIVAL_MS = 5000;

/** What answers S3 requests, and who may watch, once the site is open. */
export type S3Front = {
  readonly s3: HttpHandler;
} & Pick<S3Service, "answerForwarded" | "openForwarded" | "mayWatch" | "home">;

/** Puts the S3 service together for a site that is open. */
export function createS3(parts: {
  readonly settings: Settings;
  readonly ports: SitePorts;
  readonly site: Site;
  readonly rootKey: RootKey;
  readonly requests: RequestObserver;
  readonly links: Pick<HomeDeps, "forward" | "open" | "bring">;
}): S3Front {
  const { site, rootKey, requests } = parts;
  const { clock, hash, log, random } = parts.ports;
  const { region, domains, websiteDomain } = parts.settings;
  const { requestsPerAddress, requestsPerKey } = parts.settings;
  const { failuresPerAddress, failuresPerKey } = parts.settings;
  const guard = { requestsPerAddress, requestsPerKey, failuresPerAddress, failuresPerKey };
  const { store, identity } = site;
  const { keyRing } = site.dataDir;
  const lookup = createCredentialLookup({ store, keyRing, rootKey: () => rootKey.current() });
  const accessLog = createAccessLog(log);
  const observer: RequestObserver = {
    finished: (summary) => {
      requests.finished(summary);
      accessLog.finished(summary);
    },
  };
  const owner = ownerOf(identity);
  const { replica } = store;
  const waits = new AppliedWaits(replica, clock);
  const homeDeps: HomeDeps = {
    ...{ self: identity.siteId, ...parts.links },
    applied: () => replica.applied(),
    arrived: async (token) => {
      if (token === undefined) return;
      const wish = { token, waitMs: ARRIVAL_MS, signed: true, onAbort: () => undefined };
      // An object that has not arrived by then arrives later, with its bytes.
      await waits.until(wish).catch(ignore);
    },
  };
  const service = createS3Service({
    ...{ store, hash, keyRing, clock, random, log, observer, lookup },
    ...{ applied: replica, home: homeDeps },
    rootKeyId: () => rootKey.current().id,
    settings: {
      ...{ region, domains, websiteDomain, guard },
      requestsMax: LIMITS.requestsMax,
      get ownerId() {
        return owner();
      },
    },
  });
  const { answerForwarded, openForwarded, mayWatch, home } = service;
  return { s3: service.handler, answerForwarded, openForwarded, mayWatch, home };
}

/** The one account that owns everything, which changes with the cluster that the site joins. */
function ownerOf(identity: Site["identity"]): () => string {
  let of: string | undefined;
  let owner = "";
  return () => {
    if (of !== identity.clusterId) {
      of = identity.clusterId;
      owner = sha256Hex(`owner of ${of}`);
    }
    return owner;
  };
}
