import {
  type OriginId,
  parseOriginId,
  parseSeq,
  parseSiteId,
  type Seq,
  type SiteId,
} from "./names.ts";
import type { Vector } from "./records.ts";

/** The bucket setting that names the bucket's home: the site that takes its conditional writes. */
export const HOME_SETTING = "home-site";

/** The home of a bucket, and how often it has been set. */
export type HomeSite = {
  readonly site: SiteId;
  readonly epoch: number;
  /**
   * What the home must have applied before it judges: everything that was known where it was named.
   */
  readonly after: Vector;
};

const SETTING = /^([0-9a-f]{16}) ([1-9]\d{0,14})((?: [0-9a-f]{16}:\d{1,16})*)$/;

/**
 * The value of the setting, as text: the site's id and the epoch in decimal digits; then, for each
 * origin in ascending order, its id, a colon, and a sequence number. Spaces stand in between.
 */
export function encodeHomeSite({ site, epoch, after }: HomeSite): Buffer {
  const entries = [...after].map(([origin, seq]) => `${origin}:${seq}`).sort();
  return Buffer.from([site, epoch, ...entries].join(" "), "latin1");
}

/** Reads the value of the setting; undefined when it is none. */
export function parseHomeSite(value: Uint8Array): HomeSite | undefined {
  const text = Buffer.from(value).toString("latin1");
  const [, id = "", digits = "", entries = ""] = SETTING.exec(text) ?? [];
  const site = parseSiteId(id);
  const after = parseEntries(entries);
  if (site === undefined || after === undefined) return undefined;
  return { site, epoch: Number(digits), after };
}

function parseEntries(text: string): Vector | undefined {
  const after = new Map<OriginId, Seq>();
  for (const entry of text.split(" ").slice(1)) {
    const [id = "", digits = ""] = entry.split(":");
    const [origin, seq] = [parseOriginId(id), parseSeq(Number(digits))];
    if (origin === undefined || seq === undefined) return undefined;
    after.set(origin, seq);
  }
  return after;
}
