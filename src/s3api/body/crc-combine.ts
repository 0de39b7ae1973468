/**
 * The CRC of two byte strings one after the other, from the CRC of each and the length of the
 * second: crc(AB) = crc(A) · x^(8·|B|) + crc(B) modulo the polynomial. Holds for CRCs that start
 * and end with all ones and reflect their bits, as CRC-32, CRC-32C and CRC-64/NVME do.
 *
 * A polynomial is kept in its reflected form, x^0 in the highest bit, as two unsigned halves; a
 * 32-bit CRC has no low half.
 */
type Polynomial = { readonly high: number; readonly low: number };

type CrcKind = { readonly bits: 32 | 64; readonly polynomial: Polynomial };

/** https://reveng.sourceforge.io/crc-catalogue/all.htm */
const KINDS = {
  CRC32: { bits: 32, polynomial: { high: 0xedb88320, low: 0 } },
  CRC32C: { bits: 32, polynomial: { high: 0x82f63b78, low: 0 } },
  CRC64NVME: { bits: 64, polynomial: { high: 0x9a6c9329, low: 0xac4bc9b5 } },
} as const satisfies Record<string, CrcKind>;

export type CombinableAlgorithm = keyof typeof KINDS;

const ONE: Polynomial = { high: 0x8000_0000, low: 0 };
const X: Polynomial = { high: 0x4000_0000, low: 0 };
/** Enough for x^(8·2^53). */
const POWERS = 57;

const powerTables = new Map<CombinableAlgorithm, readonly Polynomial[]>();

/** Combines CRCs of consecutive parts, each given as big-endian bytes with its length. */
export function combineCrcs(
  algorithm: CombinableAlgorithm,
  parts: Iterable<{ readonly crc: Uint8Array; readonly bytes: number }>,
): Buffer {
  const kind: CrcKind = KINDS[algorithm];
  let total: Polynomial = { high: 0, low: 0 };
  // Nearly all parts of an upload have the same size.
  let shiftBytes = 0;
  let shift = ONE;
  for (const { crc, bytes } of parts) {
    if (bytes !== shiftBytes) {
      shiftBytes = bytes;
      shift = powerOfX(algorithm, bytes);
    }
    const moved = multiply(kind, shift, total);
    const next = readCrc(kind, crc);
    total = { high: (moved.high ^ next.high) >>> 0, low: (moved.low ^ next.low) >>> 0 };
  }
  return writeCrc(kind, total);
}

/** x^(8·bytes) modulo the polynomial, by squaring. */
function powerOfX(algorithm: CombinableAlgorithm, bytes: number): Polynomial {
  const table = powersOf(algorithm);
  let result = ONE;
  let rest = bytes;
  for (let at = 3; rest > 0; at++) {
    const power = table[at];
    if (rest % 2 === 1 && power !== undefined) result = multiply(KINDS[algorithm], power, result);
    rest = Math.floor(rest / 2);
  }
  return result;
}

/** Entry n is x^(2^n). */
function powersOf(algorithm: CombinableAlgorithm): readonly Polynomial[] {
  const known = powerTables.get(algorithm);
  if (known !== undefined) return known;
  const table: Polynomial[] = [];
  let power = X;
  for (let at = 0; at < POWERS; at++) {
    table.push(power);
    power = multiply(KINDS[algorithm], power, power);
  }
  powerTables.set(algorithm, table);
  return table;
}

/** Schoolbook multiplication, a bit of `left` at a time, reducing `right` as it moves. */
function multiply(kind: CrcKind, left: Polynomial, right: Polynomial): Polynomial {
  const { bits, polynomial } = kind;
  let { high, low } = right;
  let productHigh = 0;
  let productLow = 0;
  for (let bit = 0; bit < bits; bit++) {
    const word = bit < 32 ? left.high : left.low;
    if (((word >>> (31 - (bit & 31))) & 1) === 1) {
      productHigh ^= high;
      productLow ^= low;
    }
    const lowest = bits === 64 ? low & 1 : high & 1;
    low = bits === 64 ? (low >>> 1) | (high << 31) : 0;
    high >>>= 1;
    if (lowest === 1) {
      high ^= polynomial.high;
      low ^= polynomial.low;
    }
  }
  return { high: productHigh >>> 0, low: productLow >>> 0 };
}

function readCrc(kind: CrcKind, crc: Uint8Array): Polynomial {
  const view = new DataView(crc.buffer, crc.byteOffset, crc.byteLength);
  return { high: view.getUint32(0), low: kind.bits === 64 ? view.getUint32(4) : 0 };
}

function writeCrc(kind: CrcKind, value: Polynomial): Buffer {
  const bytes = Buffer.allocUnsafe(kind.bits / 8);
  bytes.writeUInt32BE(value.high, 0);
  if (kind.bits === 64) bytes.writeUInt32BE(value.low, 4);
  return bytes;
}
