import type { SiteId } from "../core/names.ts";
import { parseSiteId } from "../core/names.ts";
import type { Clock } from "../ports/clock.ts";
import type { Disk } from "../ports/disk.ts";
import { asFields, readJsonFile, refuseNewerFormat, writeJsonFile } from "./json-file.ts";
import { Line } from "./line.ts";

const FORMAT = 1;
const FILE_NAME = "invitations.json";
const PUBLIC_KEY = /^[0-9a-f]{64}$/;
/** Tokens that may be open at once. */
const OPEN_MAX = 100;

/** A token that was given out: its public half, and the site that used it. */
export type Invitation = {
  readonly publicKey: string;
  readonly expiresMs: number;
  /** Once a site has used it, it is for that site alone, which may have to try again. */
  readonly site: SiteId | undefined;
};

type InvitationsDeps = { readonly disk: Disk; readonly clock: Clock };

/**
 * The tokens by which other sites may join, in a file of this site. It holds no secret: a token is
 * proved by a signature, and only its public key is kept. What is late is forgotten.
 */
export class Invitations {
  readonly #deps: InvitationsDeps;
  readonly #path: string;
  #list: readonly Invitation[];
  readonly #changes = new Line();

  constructor(deps: InvitationsDeps, path: string, list: readonly Invitation[]) {
    this.#deps = deps;
    this.#path = path;
    this.#list = list;
  }

  /** The token with this public key; undefined when it was never given out, or is late. */
  find(publicKey: string): Invitation | undefined {
    const nowMs = this.#deps.clock.nowMs();
    return this.#list.find((one) => one.publicKey === publicKey && one.expiresMs > nowMs);
  }

  /** Gives a token out; resolves with false when too many are open. */
  issue(publicKey: string, expiresMs: number): Promise<boolean> {
    return this.#change((open) =>
      open.length >= OPEN_MAX ? undefined : [...open, { publicKey, expiresMs, site: undefined }],
    );
  }

  /** Keeps a token for one site; resolves with false when another has it, or it is late. */
  bind(publicKey: string, site: SiteId): Promise<boolean> {
    return this.#change((open) => {
      const found = open.find((one) => one.publicKey === publicKey);
      if (found === undefined || (found.site ?? site) !== site) return undefined;
      return open.map((one) => (one === found ? { ...one, site } : one));
    });
  }

  #change(change: (open: readonly Invitation[]) => readonly Invitation[] | undefined) {
    return this.#changes.run(async () => {
      const nowMs = this.#deps.clock.nowMs();
      const list = change(this.#list.filter((one) => one.expiresMs > nowMs));
      if (list === undefined) return false;
      await writeJsonFile(this.#deps.disk, this.#path, { format: FORMAT, invitations: list });
      this.#list = list;
      return true;
    });
  }
}

/** Reads the open tokens of a site; rejects with StorageFault as every file of its directory. */
export async function openInvitations(
  deps: InvitationsDeps,
  directory: string,
): Promise<Invitations> {
  const path = `${directory}/${FILE_NAME}`;
  const list = await readJsonFile(deps.disk, path, (value) => parseList(path, value));
  return new Invitations(deps, path, list ?? []);
}

function parseList(path: string, value: unknown): Invitation[] | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  refuseNewerFormat(path, fields["format"], FORMAT);
  const { invitations } = fields;
  if (fields["format"] !== FORMAT || !Array.isArray(invitations)) return undefined;
  const list = invitations.map(parseInvitation).filter((one) => one !== undefined);
  return list.length === invitations.length ? list : undefined;
}

function parseInvitation(value: unknown): Invitation | undefined {
  const { publicKey, expiresMs, site } = asFields(value) ?? {};
  const siteId = site === undefined ? undefined : parseSiteId(String(site));
  if (typeof publicKey !== "string" || !PUBLIC_KEY.test(publicKey)) return undefined;
  if (typeof expiresMs !== "number" || (site !== undefined && siteId === undefined)) {
    return undefined;
  }
  return { publicKey, expiresMs, site: siteId };
}
