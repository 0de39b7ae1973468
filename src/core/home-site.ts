import { parseSiteId, type SiteId } from "./names.ts";

/** The bucket setting that names the site which takes a bucket's conditional writes. */
export const HOME_SETTING = "home-site";

/** Who takes conditional writes, and how often that has been settled. */
export type HomeSite = { readonly site: SiteId; readonly epoch: number };

/** The value of the setting: the site's id, a space, the epoch in decimal digits. */
export function encodeHomeSite({ site, epoch }: HomeSite): Buffer {
  return Buffer.from(`${site} ${epoch}`, "latin1");
}

/** Reads the value of the setting; undefined when it is none. */
export function parseHomeSite(value: Uint8Array): HomeSite | undefined {
  const [, id = "", digits = ""] =
    /^([0-9a-f]{16}) ([1-9]\d{0,14})$/.exec(Buffer.from(value).toString("latin1")) ?? [];
  const site = parseSiteId(id);
  return site === undefined ? undefined : { site, epoch: Number(digits) };
}
