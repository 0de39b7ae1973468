const STAR = 0x2a;
const QUESTION = 0x3f;

/**
 * Whether a text fits a pattern, in which `*` is any text and `?` any one character. Goes back to
 * the last star only, so time is bounded by the product of the lengths, whatever the pattern.
 */
export function fitsPattern(pattern: string, text: string): boolean {
  if (pattern === "*" || pattern === text) return true;
  let at = 0;
  let star = -1;
  let starAt = 0;
  let index = 0;
  while (index < text.length) {
    const unit = at < pattern.length ? pattern.charCodeAt(at) : -1;
    if (unit === STAR) {
      star = at;
      starAt = index;
      at += 1;
    } else if (unit === QUESTION || unit === text.charCodeAt(index)) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      starAt += 1;
      index = starAt;
      at = star + 1;
    } else {
      return false;
    }
  }
  while (at < pattern.length && pattern.charCodeAt(at) === STAR) at += 1;
  return at === pattern.length;
}
