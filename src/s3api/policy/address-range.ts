/** An address as a number of 128 bits; IPv4 as it is mapped into IPv6. */
type Address = bigint;

/** The addresses that share their first bits. */
export type AddressRange = { readonly start: Address; readonly bits: number };

const BITS = 128;
const MAPPED = 0xffffn << 32n;
const MAPPED_BITS = 96;

/** Reads an address, or a range of them in CIDR notation; undefined when it is neither. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [addressText = "", bitsText, ...rest] = text.split("/");
  const address = parseAddress(addressText);
  if (address === undefined || rest.length > 0) return undefined;
  const offset = addressText.includes(":") ? 0 : MAPPED_BITS;
  if (bitsText !== undefined && !/^\d{1,3}$/.test(bitsText)) return undefined;
  const bits = bitsText === undefined ? BITS : Number(bitsText) + offset;
  if (bits > BITS) return undefined;
  return { start: firstBits(address, bits), bits };
}

/** Whether the range holds the address; undefined when that is no address. */
export function holdsAddress(range: AddressRange, text: string): boolean | undefined {
  const address = parseAddress(text);
  return address === undefined ? undefined : firstBits(address, range.bits) === range.start;
}

/** How many bits of an address a range fixes, as its own notation counts them. */
export function fixedBits(range: AddressRange): { readonly version: 4 | 6; readonly bits: number } {
  return range.bits >= MAPPED_BITS && firstBits(range.start, MAPPED_BITS) === MAPPED
    ? { version: 4, bits: range.bits - MAPPED_BITS }
    : { version: 6, bits: range.bits };
}

function firstBits(address: Address, bits: number): Address {
  const rest = BigInt(BITS - bits);
  return (address >> rest) << rest;
}

function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    const plain = parseIpv4(text);
    return plain === undefined ? undefined : MAPPED | plain;
  }
  return parseIpv6(text);
}

function parseIpv4(text: string): bigint | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let address = 0n;
  for (const part of match.slice(1)) {
    const byte = Number(part);
    if (byte > 255 || String(byte) !== part) return undefined;
    address = (address << 8n) | BigInt(byte);
  }
  return address;
}

const GROUPS = 8;

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = "", tail] = halves;
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  if (before === undefined || after === undefined) return undefined;
  const missing = GROUPS - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const zeros = new Array<bigint>(missing).fill(0n);
  return [...before, ...zeros, ...after].reduce((sum, group) => (sum << 16n) | group, 0n);
}

/** The 16-bit groups of a half; its last one may be written as an IPv4 address. */
function groupsOf(half: string): bigint[] | undefined {
  if (half === "") return [];
  const groups: bigint[] = [];
  const parts = half.split(":");
  for (const [at, part] of parts.entries()) {
    if (part.includes(".") && at === parts.length - 1) {
      const plain = parseIpv4(part);
      if (plain === undefined) return undefined;
      groups.push(plain >> 16n, plain & 0xffffn);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(BigInt(`0x${part}`));
    } else {
      return undefined;
    }
  }
  return groups;
}
