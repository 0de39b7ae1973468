import { asBuffer } from "../core/bytes.ts";
import { parseOriginId } from "../core/names.ts";
import type { LogStart } from "../core/records.ts";
import { POSITION_KEY } from "./metadata/keys.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { StoreParts } from "./store-parts.ts";

/** Where every log stands as clients see it, this site's own first. */
export function readHeads({
  kv,
  hash,
  index,
}: Pick<StoreParts, "kv" | "hash" | "index">): readonly LogStart[] {
  const heads: LogStart[] = [];
  const own = index.get(TABLES.position, POSITION_KEY);
  if (own !== undefined && own.seq > 0) {
    const { origin, seq, chain, ownHlc: hlc, vector } = own;
    heads.push({ origin, seq, chain, hlc, vector });
  }
  const { prefix } = TABLES.originHead;
  for (const { key, value } of kv.range({ gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") })) {
    const origin = parseOriginId(asBuffer(key).toString("utf8", prefix.length));
    const head = decodeRow(TABLES.originHead, value, hash.crc32);
    if (origin !== undefined && origin !== own?.origin) heads.push({ origin, ...head });
  }
  return heads;
}
