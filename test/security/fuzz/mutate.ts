import type { Seed } from "../../sim/seed.ts";

/** Words that parsers have stumbled over. */
const WORDS = [
  ...[
    "",
    "\0",
    "\r\n",
    "\r",
    "\n",
    "\r\n\r\n",
    " ",
    "\t",
    "\u00ff",
    "\u00c3\u00a9",
    "\u00ed\u00a0\u0080",
  ],
  ...["0", "-0", "-1", "1", "00", "1e9", "NaN", "Infinity", "null", "true", "0x10", "1.5"],
  ...["2147483648", "4294967296", "9007199254740993", "9223372036854775808", "1".repeat(30)],
  ...["%", "%00", "%2", "%zz", "%25", "%C0%AF", "%F0%9F%98%80", "+", "&", "=", "?", "#", ";", ":"],
  ...["../", "..%2f", "//", "\\", "*", "?", `$${"{aws:username}"}`, "__proto__", "constructor"],
  ...[
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a>",
    "&amp;",
    "&#0;",
    "<?",
  ],
  ...["{", "}", "[", "]", '"', "\\u0000", "\\ud800", '{"a":', "[[[[[[[["],
  ...["bytes=0-0", "bytes=-0", "bytes=9-1", ",", "-", "chunk-signature=", "chunked", "gzip"],
  ...["a".repeat(300), "a".repeat(5000), "é".repeat(100), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"],
];

/** Changes a text, one character for each byte, in none to six places: some must get through. */
export function mutate(seed: Seed, text: string): string {
  let mutated = text;
  const steps = seed.int(7);
  for (let step = 0; step < steps; step++) mutated = mutateOnce(seed, mutated);
  return mutated;
}

type Change = (seed: Seed, text: string, at: number) => string;

const CHANGES: readonly Change[] = [
  // A bit.
  (seed, text, at) => {
    const byte = text.charCodeAt(at) & 0xff;
    const flipped = String.fromCharCode(byte ^ (1 << seed.int(8)));
    return text.slice(0, at) + flipped + text.slice(at + 1);
  },
  // A byte.
  (seed, text, at) => text.slice(0, at) + String.fromCharCode(seed.int(256)) + text.slice(at + 1),
  // A word put in, and one put in place of something.
  (seed, text, at) => text.slice(0, at) + seed.pick(WORDS) + text.slice(at),
  (seed, text, at) => text.slice(0, at) + seed.pick(WORDS) + text.slice(at + 1 + seed.int(12)),
  // A part gone, and a part twice.
  (seed, text, at) => text.slice(0, at) + text.slice(at + 1 + seed.int(30)),
  (seed, text, at) => {
    const part = text.slice(at, at + 1 + seed.int(60));
    return text.slice(0, at) + part.repeat(1 + seed.int(20)) + text.slice(at + part.length);
  },
  // An end cut off.
  (_seed, text, at) => text.slice(0, at),
  // A number made another one.
  (seed, text) => {
    const numbers = [...text.matchAll(/\d+/g)];
    const number = numbers.length === 0 ? undefined : seed.pick(numbers);
    if (number === undefined) return text;
    const end = number.index + number[0].length;
    return text.slice(0, number.index) + seed.pick(WORDS) + text.slice(end);
  },
];

function mutateOnce(seed: Seed, text: string): string {
  return seed.pick(CHANGES)(seed, text, seed.int(text.length + 1));
}
