/** The text of a binary IP address (4 or 16 bytes); IPv4 inside IPv6 is shown as IPv4. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) return "";
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) {
    groups.push(((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0));
  }
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  return isMapped ? bytes.subarray(12).join(".") : shortest(groups);
}

/** The address as node:net writes it, brought to the form of formatAddress. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** Leaves out the first longest run of two or more zero groups (RFC 5952, section 4.2). */
function shortest(groups: readonly number[]): string {
  let runStart = 0;
  let runLength = 1;
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > runLength) {
      runStart = start;
      runLength = length;
    }
  }
  const text = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (runLength < 2) return text(groups);
  return `${text(groups.slice(0, runStart))}::${text(groups.slice(runStart + runLength))}`;
}
