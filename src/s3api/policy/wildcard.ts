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
 * Whether a text fits a pattern. Each part between two stars is looked for once, where it comes
 * first, so that time is bounded by the lengths, and by a 32nd of their product, whatever the
 * pattern: whoever may put a policy, or send a header to one, must not make all others wait.
 */
export function fits(pattern: Pattern, text: string): boolean {
  if (pattern.length === 1 && pattern[0] === ANY_TEXT) return true;
  let star = pattern.indexOf(ANY_TEXT);
  if (star < 0) return pattern.length === text.length && isAt(pattern, text, 0);
  if (!isAt(pattern.slice(0, star), text, 0)) return false;
  let index = star;
  for (;;) {
    const from = star + 1;
    star = pattern.indexOf(ANY_TEXT, from);
    if (star < 0) {
      const end = pattern.slice(from);
      return text.length - end.length >= index && isAt(end, text, text.length - end.length);
    }
    const found = find(pattern.slice(from, star), text, index);
    if (found < 0) return false;
    index = found + star - from;
  }
}

function isAt(part: Pattern, text: string, index: number): boolean {
  if (part.length > text.length - index) return false;
  for (let at = 0; at < part.length; at++) {
    const unit = part[at];
    if (unit !== ANY_UNIT && unit !== text.charCodeAt(index + at)) return false;
  }
  return true;
}

/** Comparisons that are done one by one: to prepare for more costs about as much. */
const FEW_COMPARISONS = 4096;
const WORD_BITS = 32;

/** Where a part comes first in a text, from an index on; -1 when it does not. */
function find(part: Pattern, text: string, start: number): number {
  const last = text.length - part.length;
  if (part.length * (last - start) > FEW_COMPARISONS) return findTogether(part, text, start);
  for (let index = start; index <= last; index++) if (isAt(part, text, index)) return index;
  return -1;
}

/**
 * The same for long ones, reading the text once: a bit for each beginning of the part tells whether
 * the text ends with it here, and 32 of them move on together.
 */
function findTogether(part: Pattern, text: string, start: number): number {
  const words = Math.ceil(part.length / WORD_BITS);
  const anywhere = new Uint32Array(words);
  const places = new Map<number, Uint32Array>();
  const mark = (bits: Uint32Array, at: number): void => {
    const word = Math.floor(at / WORD_BITS);
    bits[word] = (bits[word] ?? 0) | (1 << (at % WORD_BITS));
  };
  for (const [at, unit] of part.entries()) if (unit === ANY_UNIT) mark(anywhere, at);
  for (const [at, unit] of part.entries()) {
    if (unit === ANY_UNIT) continue;
    const bits = places.get(unit) ?? anywhere.slice();
    mark(bits, at);
    places.set(unit, bits);
  }
  const ends = new Uint32Array(words);
  const lastBit = 1 << ((part.length - 1) % WORD_BITS);
  for (let index = start; index < text.length; index++) {
    const bits = places.get(text.charCodeAt(index)) ?? anywhere;
    let carried = 1;
    for (let word = 0; word < words; word++) {
      const before = ends[word] ?? 0;
      ends[word] = ((before << 1) | carried) & (bits[word] ?? 0);
      carried = before >>> (WORD_BITS - 1);
    }
    if (((ends[words - 1] ?? 0) & lastBit) !== 0) return index - part.length + 1;
  }
  return -1;
}
