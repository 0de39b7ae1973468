import type { Settings } from "../config.ts";
import { sha256Hex } from "../core/hmac.ts";
import { LIMITS } from "../core/limits.ts";
import type { RequestObserver } from "../core/request-summary.ts";
import { createAccessLog } from "../http/access-log.ts";
import type { Exchange, HttpHandler } from "../http/exchange.ts";
import { createCredentialLookup } from "../s3api/auth/credential-lookup.ts";
import { SigningKeys } from "../s3api/auth/signing-key.ts";
import { createS3Service } from "../s3api/service.ts";
import type { AppliedSource } from "../s3api/tokens/applied-waits.ts";
import { createWatchAuthorizer } from "../s3api/watch-authorizer.ts";
import type { RootKey } from "../storage/root-key.ts";
import type { Site } from "../storage/site.ts";
import type { SitePorts } from "../storage/site-ports.ts";
import type { Store } from "../storage/store.ts";

/** What answers S3 requests, and who may watch, once the site is open. */
export type S3Front = {
  readonly s3: HttpHandler;
  readonly mayWatch: (exchange: Exchange) => boolean;
};

export function createS3(parts: {
  readonly settings: Settings;
  readonly ports: SitePorts;
  readonly site: Site;
  readonly rootKey: RootKey;
  readonly requests: RequestObserver;
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
  const ownerId = sha256Hex(`owner of ${identity.clusterId}`);
  return {
    s3: createS3Service({
      ...{ store, hash, keyRing, clock, random, log, observer, lookup },
      applied: ownApplied(store),
      settings: {
        ...{ region, domains, websiteDomain, ownerId, guard },
        requestsMax: LIMITS.requestsMax,
      },
    }),
    mayWatch: createWatchAuthorizer({
      ...{ lookup, region, signingKeys: new SigningKeys() },
      nowMs: () => clock.nowMs(),
    }),
  };
}

/** The writes of this site alone, which are applied when they are acknowledged. */
function ownApplied(store: Store): AppliedSource {
  return {
    applied: () => {
      const head = store.logHead();
      return new Map(head === undefined ? [] : [[head.origin, head.seq]]);
    },
    onCommit: () => () => undefined,
  };
}
