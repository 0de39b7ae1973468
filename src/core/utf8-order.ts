/**
 * Orders texts by their unsigned UTF-8 bytes without encoding them. UTF-16 units have that order
 * except that surrogates (which stand for U+10000 and above) sort below U+E000 to U+FFFF.
 */
export function compareUtf8(left: string, right: string): number {
  const common = Math.min(left.length, right.length);
  for (let index = 0; index < common; index++) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
