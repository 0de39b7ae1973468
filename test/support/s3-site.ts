import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import aws4 from "aws4";
import { parseAccessKeyId } from "../../src/core/names.ts";
import type { RequestSummary } from "../../src/core/request-summary.ts";
import type { HttpHandler } from "../../src/http/exchange.ts";
import { cryptoRandom } from "../../src/ports/crypto-random.ts";
import type { Kv } from "../../src/ports/kv.ts";
import { openLmdb } from "../../src/ports/kv-lmdb.ts";
import { createNativeHash } from "../../src/ports/native-hash.ts";
import { createNodeDisk } from "../../src/ports/node-disk.ts";
import { createProcessFacts } from "../../src/ports/process-facts.ts";

import { systemClock } from "../../src/ports/system-clock.ts";
import type { Credential } from "../../src/s3api/auth/credentials.ts";
import { createS3Service, type S3Service, type S3ServiceDeps } from "../../src/s3api/service.ts";
import type { AppliedSource } from "../../src/s3api/tokens/applied-waits.ts";
import { openSite } from "../../src/storage/site.ts";
import type { Store } from "../../src/storage/store.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { ask, type FakeAnswer } from "./fake-exchange.ts";

const REGION = "us-east-1";
const HOST = "s3.test:9000";
const OWNER_ID = "1".padStart(64, "0");

export type SignedRequest = {
  readonly method: string;
  readonly path: string;
  /** The site's own address in path style, unless given. */
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly abortAfterBytes?: number;
  /** Who signs; the root key otherwise. */
  readonly as?: Credential;
};

/** A site with its S3 service, on a real disk, asked without any network. */
export type S3Site = {
  readonly handler: HttpHandler;
  readonly service: S3Service;
  /** Every request that has been reported. */
  readonly summaries: RequestSummary[];
  /** The index, to see what a request has left there. */
  readonly kv: Kv;
  /** What the service reads from and writes to. */
  readonly store: Store;
  ask(request: SignedRequest): Promise<FakeAnswer>;
  /** Lets another key sign. */
  add(credential: Credential): void;
  close(): Promise<void>;
};

export function credentialOf(id: string, rest: Partial<Credential>): Credential {
  const accessKeyId = parseAccessKeyId(id);
  if (accessKeyId === undefined) throw new Error(`${id} is no access key id`);
  const base = { secret: `secret of ${id}`, kind: "user", name: id, policies: [] } as const;
  return { id: accessKeyId, ...base, ...rest };
}

export const ROOT_CREDENTIAL = credentialOf("ROOTKEY1", { kind: "root" });

/** Without peers nothing of other sites is ever applied. */
const ALONE: AppliedSource = { applied: () => new Map(), onCommit: () => () => undefined };

export async function openS3Site({
  applied = ALONE,
  home,
  ...settings
}: {
  readonly requestsMax?: number;
  readonly domains?: readonly string[];
  readonly websiteDomain?: string;
  readonly applied?: AppliedSource;
  readonly home?: S3ServiceDeps["home"];
} = {}): Promise<S3Site> {
  const directory = mkdtempSync(join(tmpdir(), "atoll-s3api-"));
  const hash = await createNativeHash();
  const disk = createNodeDisk();
  const ports = { disk, clock: systemClock, random: cryptoRandom, log: createMemoryLog(), hash };
  const opened: Kv[] = [];
  const site = await openSite(
    {
      ...ports,
      processFacts: createProcessFacts(),
      answers: async () => false,
      openKv: async (path) => {
        const kv = await openLmdb(path);
        opened.push(kv);
        return kv;
      },
      defer: (callback) => void setImmediate(callback),
    },
    {
      ...{ directory, siteName: "test", socketPath: undefined, directIo: "off" },
      ...{ segmentBytes: 64 * 1024 * 1024, freeReserveBytes: 0 },
      failStop: (fault) => {
        throw fault;
      },
    },
  );
  const [kv] = opened;
  if (kv === undefined) throw new Error("a site has opened no index");
  const credentials = new Map([[ROOT_CREDENTIAL.id, ROOT_CREDENTIAL]]);
  const summaries: RequestSummary[] = [];
  const service = createS3Service({
    ...ports,
    store: site.store,
    applied,
    ...(home === undefined ? {} : { home }),
    rootKeyId: () => ROOT_CREDENTIAL.id,
    keyRing: site.dataDir.keyRing,
    observer: { finished: (summary) => void summaries.push(summary) },
    lookup: (id) => credentials.get(id),
    settings: { region: REGION, domains: [], ownerId: OWNER_ID, requestsMax: 100, ...settings },
  });
  const { handler } = service;
  return {
    handler,
    service,
    summaries,
    kv,
    store: site.store,
    ask: (request) => askSigned(handler, request),
    add: (credential) => void credentials.set(credential.id, credential),
    async close() {
      await site.close();
      await hash.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function askSigned(handler: HttpHandler, request: SignedRequest): Promise<FakeAnswer> {
  const { method, path, host = HOST, headers = {}, as: credential = ROOT_CREDENTIAL } = request;
  const body = Buffer.from(request.body ?? "");
  const signed = aws4.sign(
    {
      ...{ method, path, host, service: "s3", region: REGION },
      headers: { ...headers, "Content-Length": String(body.length) },
      body,
    },
    { accessKeyId: credential.id, secretAccessKey: credential.secret },
  );
  const lines = Object.entries(signed.headers ?? {}).map(([name, value]) => [name, String(value)]);
  const { abortAfterBytes } = request;
  const target = { method, target: path, headers: Object.fromEntries(lines), body };
  return ask(handler, abortAfterBytes === undefined ? target : { ...target, abortAfterBytes });
}
