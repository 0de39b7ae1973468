import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import { type OriginId, parseOriginId, parseSiteId, type SiteId } from "./names.ts";
import type { SiteRecord } from "./site-record.ts";
import { FieldReader, readText, required, writeVarintField } from "./tagged-fields.ts";

/*
 * Site, as tagged fields.
 *
 * | tag | value                                                                      |
 * | --- | -------------------------------------------------------------------------- |
 * | 1   | site id (8)                                                                |
 * | 3   | name: text                                                                 |
 * | 5   | public key, Ed25519: 32 bytes                                              |
 * | 7   | addresses: each text behind its length                                     |
 * | 9   | certificates to trust, PEM: each text behind its length                    |
 * | 11  | origins, ascending: 8 bytes each                                           |
 * | 13  | state (u8): 1 active, 2 removed                                            |
 * | 15  | feature level: varint                                                      |
 * | 17  | reached over plain http: no value, present means true                      |
 */
const TAG = {
  id: 1,
  name: 3,
  publicKey: 5,
  addresses: 7,
  certificates: 9,
  origins: 11,
  state: 13,
  featureLevel: 15,
  insecure: 17,
} as const;

const ID_BYTES = 8;
const KEY_BYTES = 32;
const STATE_NUMBERS = { active: 1, removed: 2 } as const satisfies Record<
  SiteRecord["state"],
  number
>;
const STATES: ReadonlyArray<SiteRecord["state"] | undefined> = [undefined, "active", "removed"];

const scratch = new ByteWriter();

/** Writes the one canonical encoding. Origins must ascend, and texts be well formed. */
export function encodeSite(writer: ByteWriter, site: SiteRecord): void {
  writer.u8(TAG.id).u8(ID_BYTES).hex(site.id);
  writer.u8(TAG.name).text(site.name);
  writer.u8(TAG.publicKey).u8(KEY_BYTES).hex(site.publicKey);
  writeTexts(writer, TAG.addresses, site.addresses);
  writeTexts(writer, TAG.certificates, site.certificates);
  writer.u8(TAG.origins).varint(site.origins.length * ID_BYTES);
  for (const origin of site.origins) writer.hex(origin);
  writer.u8(TAG.state).u8(1).u8(STATE_NUMBERS[site.state]);
  writeVarintField(writer, TAG.featureLevel, site.featureLevel);
  if (site.insecure) writer.u8(TAG.insecure).u8(0);
}

function writeTexts(writer: ByteWriter, tag: number, texts: readonly string[]): void {
  if (texts.length === 0) return;
  scratch.reset();
  for (const text of texts) scratch.text(text);
  writer.u8(tag).sized(scratch.view());
}

type Found = {
  id?: SiteId | undefined;
  name?: string;
  publicKey?: string;
  addresses: string[];
  certificates: string[];
  origins: OriginId[];
  state?: SiteRecord["state"] | undefined;
  featureLevel?: number;
  insecure: boolean;
};

/**
 * Reads a site that fills `bytes`. Throws LayoutError when they do not fit the layout and
 * StorageFault ("unsupported") for an unknown critical field.
 */
export function decodeSite(bytes: Uint8Array): SiteRecord {
  const fields = new FieldReader(new ByteReader(bytes), bytes.length);
  const found: Found = { addresses: [], certificates: [], origins: [], insecure: false };
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) readField(fields, tag, found);
  if (found.origins.length === 0) throw new LayoutError("a site has an origin");
  return {
    id: required(found.id, "site"),
    name: required(found.name, "name"),
    publicKey: required(found.publicKey, "public key"),
    addresses: found.addresses,
    certificates: found.certificates,
    origins: found.origins,
    state: required(found.state, "state"),
    featureLevel: required(found.featureLevel, "feature level"),
    insecure: found.insecure,
  };
}

function readField(fields: FieldReader, tag: number, found: Found): void {
  switch (tag) {
    case TAG.id:
      found.id = parseSiteId(fields.reader.hex(ID_BYTES));
      return;
    case TAG.name:
      found.name = fields.text();
      return;
    case TAG.publicKey:
      found.publicKey = fields.reader.hex(KEY_BYTES);
      return;
    case TAG.addresses:
      found.addresses = readTexts(fields);
      return;
    case TAG.certificates:
      found.certificates = readTexts(fields);
      return;
    case TAG.origins:
      found.origins = readOrigins(fields);
      return;
    case TAG.state:
      found.state = STATES[fields.reader.u8()];
      return;
    case TAG.featureLevel:
      found.featureLevel = fields.reader.varint();
      return;
    case TAG.insecure:
      found.insecure = true;
      return;
    default:
      fields.passUnknown(tag);
  }
}

function readTexts(fields: FieldReader): string[] {
  if (!fields.more()) throw new LayoutError("an empty list is left out");
  const texts: string[] = [];
  while (fields.more()) texts.push(readText(fields.reader));
  return texts;
}

function readOrigins(fields: FieldReader): OriginId[] {
  const origins: OriginId[] = [];
  let last = "";
  while (fields.more()) {
    const origin = required(parseOriginId(fields.reader.hex(ID_BYTES)), "origin");
    if (origin <= last) throw new LayoutError("origins do not ascend");
    last = origin;
    origins.push(origin);
  }
  return origins;
}
