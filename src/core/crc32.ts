const POLYNOMIAL = 0xedb88320;
const SLICES = 8;

const TABLES = makeTables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES;

type Tables = readonly [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

/** One table for each of eight bytes that are taken at a time ("slicing by eight"). */
function makeTables(): Tables {
  const make = (): Int32Array => new Int32Array(256);
  const tables: Tables = [make(), make(), make(), make(), make(), make(), make(), make()];
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[0][byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    let crc = tables[0][byte] ?? 0;
    for (let slice = 1; slice < SLICES; slice++) {
      crc = (tables[0][crc & 0xff] ?? 0) ^ (crc >>> 8);
      (tables[slice] ?? tables[0])[byte] = crc;
    }
  }
  return tables;
}

/**
 * CRC-32 (IEEE) of a few hundred bytes: below that size a call out of JavaScript costs more than
 * the checksum itself. For more, use the Hash port. Hot path.
 */
export function crc32OfSmall(bytes: Uint8Array): number {
  return crc32OfRange(bytes, 0, bytes.length);
}

/** The same from `start` up to `end`, which lie in `bytes`: a view of its own would cost more. */
export function crc32OfRange(bytes: Uint8Array, start: number, end: number): number {
  let crc = -1;
  let at = start;
  for (const last = end - ((end - start) % SLICES); at < last; at += SLICES) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (T7[low & 0xff] as number) ^
      (T6[(low >>> 8) & 0xff] as number) ^
      (T5[(low >>> 16) & 0xff] as number) ^
      (T4[low >>> 24] as number) ^
      (T3[bytes[at + 4] as number] as number) ^
      (T2[bytes[at + 5] as number] as number) ^
      (T1[bytes[at + 6] as number] as number) ^
      (T0[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) {
    crc = (T0[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return (crc ^ -1) >>> 0;
}
