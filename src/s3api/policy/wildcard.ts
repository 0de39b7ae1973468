/**
 * A pattern as UTF-16 units, in which two negative numbers stand for any text and for any one
 * character. So a star that came from a variable is a plain star, never a wildcard.
 */
export type Pattern = readonly number[];

const ANY_TEXT = -1;
const ANY_UNIT = -2;
const STAR = 0x2a;
const QUESTION = 0x3f;

/** The pattern that a text stands for when its `*` and `?` are wildcards. */
export function patternOf(text: string): Pattern {
  return unitsOf(text, true);
}

/** The pattern that only this text fits. */
export function literalOf(text: string): Pattern {
  return unitsOf(text, false);
}

function unitsOf(text: string, wild: boolean): Pattern {
  const units: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (wild && unit === STAR) units.push(ANY_TEXT);
    else if (wild && unit === QUESTION) units.push(ANY_UNIT);
    else units.push(unit);
  }
  return units;
}

/**
 * Whether a text fits a pattern. Goes back to the last star only, so time is bounded by the product
 * of the lengths, whatever the pattern.
 */
export function fits(pattern: Pattern, text: string): boolean {
  if (pattern.length === 1 && pattern[0] === ANY_TEXT) return true;
  let at = 0;
  let star = -1;
  let starAt = 0;
  let index = 0;
  while (index < text.length) {
    const unit = pattern[at];
    if (unit === ANY_TEXT) {
      star = at;
      starAt = index;
      at += 1;
    } else if (unit === ANY_UNIT || unit === text.charCodeAt(index)) {
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
  while (at < pattern.length && pattern[at] === ANY_TEXT) at += 1;
  return at === pattern.length;
}
