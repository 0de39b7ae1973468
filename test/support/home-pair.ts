import { afterAll, beforeEach } from "vitest";
import { StorageFault } from "../../src/core/faults.ts";
import type { ForwardedRequest } from "../../src/core/forwarded-request.ts";
import { encodeHomeSite, HOME_SETTING } from "../../src/core/home-site.ts";
import {
  type OriginId,
  parseBucketName,
  parseSiteId,
  type Seq,
  type SiteId,
} from "../../src/core/names.ts";
import type { ManifestRef, Vector } from "../../src/core/records.ts";
import type { HomeDeps } from "../../src/s3api/home/home-sites.ts";
import type { IncomingManifest } from "../../src/storage/replica.ts";
import { openS3Site, type S3Site, type SignedRequest } from "./s3-site.ts";

export function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own data is wrong");
  return value;
}

export const BERLIN = must(parseSiteId("1".repeat(16)));
export const PARIS = must(parseSiteId("2".repeat(16)));
export const PHOTOS = must(parseBucketName("photos"));

/** What goes over berlin's link to paris, and when it breaks. */
export type HomeLink = {
  isCut: boolean;
  /** Pieces of bodies that travel before it breaks; undefined: it holds. */
  piecesLeft: number | undefined;
  pieces: number;
  /** Bytes that paris has taken from berlin's store. */
  fetchedBytes: number;
  readonly forwarded: ForwardedRequest[];
};

/** Two sites without any network; paris is the home of the bucket that both have. */
export type HomePair = {
  readonly berlin: S3Site;
  readonly paris: S3Site;
  readonly link: HomeLink;
  /** What paris has applied of others. */
  readonly applied: Map<OriginId, Seq>;
  /** Forgets what went over the link, and mends it. */
  reset(): void;
  close(): Promise<void>;
};

/** One such pair for the tests of a file, with nothing left over from the test before. */
export async function useHomePair(): Promise<HomePair> {
  const pair = await openHomePair();
  beforeEach(() => pair.reset());
  afterAll(() => pair.close());
  return pair;
}

async function openHomePair(): Promise<HomePair> {
  const link: HomeLink = {
    ...{ isCut: false, piecesLeft: undefined, pieces: 0, fetchedBytes: 0, forwarded: [] },
  };
  const applied = new Map<OriginId, Seq>();
  const nowhere = () => Promise.reject(new Error("this site asks nobody"));
  const alone = { forward: nowhere, open: nowhere, bring: nowhere, arrived: async () => undefined };
  let berlin: S3Site | undefined;
  const paris = await openS3Site({
    home: {
      ...{ ...alone, self: PARIS, applied: () => applied },
      bring: (_from, refs) => bring(must(berlin), paris, refs, link),
    },
  });
  berlin = await openS3Site({
    // Each site is reached under a domain of its own, if under any.
    domains: ["s3.test"],
    home: { ...alone, ...toParis(paris, link), self: BERLIN, applied: () => new Map() },
  });
  for (const site of [berlin, paris]) {
    await site.ask({ method: "PUT", path: "/photos" });
    await setHome(site, PARIS);
  }
  return {
    ...{ berlin, paris, link, applied },
    reset: () => {
      link.forwarded.length = 0;
      Object.assign(link, { isCut: false, piecesLeft: undefined, pieces: 0, fetchedBytes: 0 });
    },
    close: async () => {
      await berlin.close();
      await paris.close();
    },
  };
}

function toParis(paris: S3Site, link: HomeLink): Pick<HomeDeps, "forward" | "open"> {
  return {
    forward: (_home, request) => {
      if (link.isCut) return Promise.reject(new Error("the link is cut"));
      link.forwarded.push(request);
      return paris.service.answerForwarded(request);
    },
    open: async (_home, head) => {
      if (link.isCut) throw new Error("the link is cut");
      const flow = paris.service.openForwarded(head, BERLIN);
      return {
        data: async (bytes) => {
          if (link.piecesLeft !== undefined && --link.piecesLeft < 0) throw new Error("it broke");
          link.pieces += 1;
          // As from the network: memory of its own, which is nobody's afterwards.
          const copy = Buffer.from(bytes);
          const answer = await flow.data(copy);
          copy.fill(0);
          return answer;
        },
        end: () => flow.end(),
        cut: () => flow.cut(),
      };
    },
  };
}

/** What one site lacks of bodies, taken from the store of the other. */
async function bring(
  from: S3Site,
  to: S3Site,
  refs: readonly ManifestRef[],
  link: HomeLink,
): Promise<IncomingManifest[]> {
  if (link.isCut) throw new StorageFault("unreachable", "the link is cut");
  const found: IncomingManifest[] = [];
  for (const { hash } of refs) {
    if (to.store.replica.manifest(hash) !== undefined) continue;
    const chunks = must(from.store.replica.manifest(hash));
    const writer = await to.store.replica.stageBody();
    for (const chunk of chunks) {
      await writer.write(must(await from.store.replica.readChunk(chunk.hash, 0, chunk.bytes)));
      link.fetchedBytes += chunk.bytes;
    }
    found.push({ hash, chunks, staged: await writer.finish() });
  }
  return found;
}

/** Names the home of the bucket, at one of the sites. */
export async function setHome(
  site: S3Site,
  home: SiteId,
  after: Vector = new Map(),
): Promise<void> {
  const value = encodeHomeSite({ site: home, epoch: 1, after });
  await site.store.putBucketSetting({ bucket: PHOTOS, name: HOME_SETTING, value });
}

/** The status of an answer, with the code of the error that it tells. */
export async function statusOf(site: S3Site, request: SignedRequest): Promise<string> {
  const { status, body } = await site.ask(request);
  const code = /<Code>([^<]*)</.exec(String(body))?.[1];
  return code === undefined ? String(status) : `${status} ${code}`;
}

/** The condition that nothing is there yet. */
export const ABSENT = { "If-None-Match": "*" };
