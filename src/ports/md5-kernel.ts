import { type Code, i32, i64, local, repeatWhile, TYPE, v128, writeModule } from "./wasm-code.ts";

/*
 * MD5 (RFC 1321) and CRC-64/NVME of the same bytes at once, of one input or of four beside each
 * other. A step of MD5 waits for the step before it: a core that computes one MD5 is idle most of
 * the time. Four inputs fill the lanes of its vectors, and table look-ups of the CRC what is left
 * between the steps. Measured a byte: 0.5 ns for both of four inputs, 1.3 of one; OpenSSL and
 * hash-wasm take 2.0 ns one after the other.
 */

const LANES = 4;
const BLOCK_BYTES = 64;
const WINDOW_BYTES = 16 * 1024;
const CRC_TABLES = 8;

const CONSTANTS_AT = 0;
const TABLES_AT = CONSTANTS_AT + 64 * 16;
const STATE_AT = TABLES_AT + CRC_TABLES * 256 * 8;
const CRC_AT = STATE_AT + 4 * 16;
const WINDOWS_AT = CRC_AT + LANES * 8 + 32;

/**
 * Where things lie in the module's memory. A lane's MD5 is one 32-bit word in each of four rows;
 * its CRC, inverted, is 64 bits. What is hashed is put into the lane's window before a call.
 *
 * The module exports `four(blocks)`, which takes so many blocks of all four windows, and
 * `one(lane, blocks)` and `tail(lane, bytes)`; the last takes bytes into the CRC alone.
 */
export const MD5_KERNEL = {
  lanes: LANES,
  blockBytes: BLOCK_BYTES,
  stateAt: STATE_AT,
  rowBytes: 16,
  crcAt: CRC_AT,
  windowsAt: WINDOWS_AT,
  windowBytes: WINDOW_BYTES,
  /** A bit more than a window, so that the four do not meet in the same lines of the cache. */
  windowStride: WINDOW_BYTES + 128,
} as const;
const { windowStride } = MD5_KERNEL;
const PAGES = Math.ceil((WINDOWS_AT + LANES * windowStride) / 65_536);

const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;
/** Which word of the block a step takes: so many times the step, and so many more. */
const WORDS = [
  [1, 0],
  [5, 1],
  [3, 5],
  [7, 0],
] as const;

type Step = {
  readonly round: number;
  readonly word: number;
  readonly shift: number;
  readonly constant: number;
};

const STEPS: readonly Step[] = Array.from({ length: 64 }, (_, step) => {
  const round = step >> 4;
  const [factor, more] = WORDS[round] ?? [1, 0];
  return {
    round,
    word: (step * factor + more) % 16,
    shift: SHIFTS[round]?.[step % 4] ?? 0,
    constant: Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32),
  };
});

/** The module's bytes. `polynomial` is that of the CRC, reflected, 16 hexadecimal digits. */
export function writeMd5Kernel(polynomial: string): Uint8Array<ArrayBuffer> {
  return writeModule({
    pages: PAGES,
    data: writeTables(polynomial),
    functions: [
      {
        name: "four",
        parameters: 1,
        locals: [
          [1, TYPE.i32],
          [5 + LANES + 16, TYPE.v128],
          [1 + LANES, TYPE.i64],
        ],
        body: writeFour(),
      },
      {
        name: "one",
        parameters: 2,
        locals: [
          [6, TYPE.i32],
          [2, TYPE.i64],
        ],
        body: writeOne(),
      },
      { name: "tail", parameters: 2, locals: [[1, TYPE.i32]], body: writeTail() },
    ],
  });
}

/** Constants of the steps, four times each, and the tables that take a CRC eight bytes ahead. */
function writeTables(polynomial: string): Uint8Array {
  const bytes = new Uint8Array(STATE_AT);
  const constants = new Uint32Array(bytes.buffer, CONSTANTS_AT, STEPS.length * LANES);
  for (const [step, { constant }] of STEPS.entries()) {
    constants.fill(constant, step * LANES, (step + 1) * LANES);
  }
  const table = new Uint32Array(bytes.buffer, TABLES_AT, CRC_TABLES * 512);
  const low = Number.parseInt(polynomial.slice(8), 16);
  const high = Number.parseInt(polynomial.slice(0, 8), 16);
  for (let index = 0; index < 256; index++) {
    let [crcLow, crcHigh] = [index, 0];
    for (let bit = 0; bit < 8; bit++) {
      const mask = -(crcLow & 1);
      crcLow = ((crcLow >>> 1) | (crcHigh << 31)) ^ (low & mask);
      crcHigh = (crcHigh >>> 1) ^ (high & mask);
    }
    table.set([crcLow, crcHigh], index * 2);
  }
  // Each further table takes the entry of the one before it past a zero byte.
  for (let at = 512; at < table.length; at += 2) {
    const [crcLow, crcHigh] = [table[at - 512] ?? 0, table[at - 511] ?? 0];
    const byte = (crcLow & 255) * 2;
    table[at] = ((crcLow >>> 8) | (crcHigh << 24)) ^ (table[byte] ?? 0);
    table[at + 1] = (crcHigh >>> 8) ^ (table[byte + 1] ?? 0);
  }
  return bytes;
}

/** The CRC in `crc` after the eight bytes at an address; `scratch` is a free 64-bit local. */
function crcStep(crc: number, scratch: number, address: Code, offset: number): Code {
  const mixed = local.set(scratch, i64.xor(local.get(crc), i64.load(address, offset)));
  let folded: Code | undefined;
  for (let byte = 0; byte < 8; byte++) {
    // The byte times eight, which is where its entry stands in the table.
    const x = local.get(scratch);
    const shifted = byte === 0 ? i32.shl(i32.wrap(x), i32.of(3)) : shiftedRight(x, 8 * byte - 3);
    const place = i32.and(shifted, i32.of(0x7f8));
    const entry = i64.load(place, TABLES_AT + (CRC_TABLES - 1 - byte) * 2048);
    folded = folded === undefined ? entry : i64.xor(folded, entry);
  }
  return [...mixed, ...local.set(crc, folded ?? [])];
}

function shiftedRight(value: Code, bits: number): Code {
  return i32.wrap(i64.shiftRight(value, i64.of(bits)));
}

/** What MD5 needs of its numbers, be they one or four beside each other. */
type Arithmetic = {
  readonly add: (left: Code, right: Code) => Code;
  readonly and: (left: Code, right: Code) => Code;
  readonly or: (left: Code, right: Code) => Code;
  readonly xor: (left: Code, right: Code) => Code;
  readonly not: (value: Code) => Code;
  readonly andNot: (left: Code, right: Code) => Code;
  readonly rotl: (index: number, bits: number) => Code;
};

const ONE: Arithmetic = {
  ...i32,
  not: (value) => i32.xor(value, i32.of(-1)),
  andNot: (left, right) => i32.and(left, i32.xor(right, i32.of(-1))),
  rotl: (index, bits) => i32.rotl(local.get(index), i32.of(bits)),
};

/**
 * One step on the locals `at`, which hold a, b, c and d: the new b lands where a was. What does not
 * depend on the newest of them, b, is added first.
 */
function md5Step(
  math: Arithmetic,
  { round, shift }: Step,
  at: readonly [number, number, number, number],
  word: Code,
): Code {
  const [a, b, c, d] = at.map(local.get) as [Code, Code, Code, Code];
  const mix = [
    () => math.add(math.add(a, word), math.xor(d, math.and(b, math.xor(c, d)))),
    () => math.add(math.add(math.add(a, word), math.andNot(c, d)), math.and(b, d)),
    () => math.add(math.add(a, word), math.xor(b, math.xor(c, d))),
    () => math.add(math.add(a, word), math.xor(c, math.or(b, math.not(d)))),
  ];
  return [
    ...local.set(at[0], mix[round]?.() ?? []),
    ...local.set(at[0], math.add(b, math.rotl(at[0], shift))),
  ];
}

/** Locals of a, b, c and d in a step: they change places with every one. */
function placesOf(first: number, step: number): readonly [number, number, number, number] {
  const at = (which: number): number => first + ((which + 64 - step) % 4);
  return [at(0), at(1), at(2), at(3)];
}

function writeFour(): Code {
  const [blocks, at, state, row, words] = [0, 1, 2, 6, 7 + LANES];
  const scratch = words + 16;
  const crcs = scratch + 1;
  const base = i32.of(0);
  const lanes = Array.from({ length: LANES }, (_, lane) => lane);
  const windowOf = (lane: number): number => WINDOWS_AT + lane * windowStride;
  const steps = STEPS.flatMap((step, index) => [
    ...md5Step(
      v128,
      step,
      placesOf(state, index),
      v128.add(local.get(words + step.word), v128.load(base, CONSTANTS_AT + index * 16)),
    ),
    // Half as many steps of CRCs, lane after lane, fill what the vectors leave free.
    ...(index % 2 === 1 ? [] : laneCrc(index / 2)),
  ]);
  function laneCrc(turn: number): Code {
    const lane = turn % LANES;
    const offset = windowOf(lane) + Math.floor(turn / LANES) * 8;
    return crcStep(crcs + lane, scratch, local.get(at), offset);
  }
  const rows = [0, 1, 2, 3];
  const body = [
    ...rows.flatMap((n) => local.set(state + n, v128.load(base, STATE_AT + n * 16))),
    ...rows.flatMap((n) => turnAround(n, { at, row, words, windowOf })),
    ...steps,
    ...rows.flatMap((n) => {
      const sum = v128.add(local.get(state + n), v128.load(base, STATE_AT + n * 16));
      return v128.store(base, STATE_AT + n * 16, sum);
    }),
    ...local.set(at, i32.add(local.get(at), i32.of(BLOCK_BYTES))),
    ...local.set(blocks, i32.sub(local.get(blocks), i32.of(1))),
  ];
  return [
    ...lanes.flatMap((lane) => local.set(crcs + lane, i64.load(base, CRC_AT + lane * 8))),
    ...repeatWhile(body, local.get(blocks)),
    ...lanes.flatMap((lane) => i64.store(base, CRC_AT + lane * 8, local.get(crcs + lane))),
  ];
}

type FourLocals = {
  readonly at: number;
  readonly row: number;
  readonly words: number;
  readonly windowOf: (lane: number) => number;
};

/** Loads four words of each lane and turns them, so that each local has one word of all lanes. */
function turnAround(group: number, { at, row, words, windowOf }: FourLocals): Code {
  const r = (lane: number): Code => local.get(row + lane);
  const low = [0, 4, 1, 5];
  const high = [2, 6, 3, 7];
  const first = [0, 1, 4, 5];
  const second = [2, 3, 6, 7];
  const word = words + group * 4;
  const w = (index: number): Code => local.get(word + index);
  return [
    ...[0, 1, 2, 3].flatMap((lane) =>
      local.set(row + lane, v128.load(local.get(at), windowOf(lane) + group * 16)),
    ),
    ...local.set(word, v128.shuffle(r(0), r(1), low)),
    ...local.set(word + 1, v128.shuffle(r(0), r(1), high)),
    ...local.set(word + 2, v128.shuffle(r(2), r(3), low)),
    ...local.set(word + 3, v128.shuffle(r(2), r(3), high)),
    ...local.set(row, v128.shuffle(w(0), w(2), first)),
    ...local.set(row + 1, v128.shuffle(w(0), w(2), second)),
    ...local.set(row + 2, v128.shuffle(w(1), w(3), first)),
    ...local.set(row + 3, v128.shuffle(w(1), w(3), second)),
    ...[0, 1, 2, 3].flatMap((index) => local.set(word + index, local.get(row + index))),
  ];
}

function writeOne(): Code {
  const [lane, blocks, at, place, state] = [0, 1, 2, 3, 4];
  const [crc, scratch] = [state + 4, state + 5];
  const rows = [0, 1, 2, 3];
  const steps = STEPS.flatMap((step, index) => [
    ...md5Step(
      ONE,
      step,
      placesOf(state, index),
      i32.add(i32.load(local.get(at), WINDOWS_AT + step.word * 4), i32.of(step.constant)),
    ),
    ...(index % 8 === 0 ? crcStep(crc, scratch, local.get(at), WINDOWS_AT + index) : []),
  ]);
  const body = [
    ...rows.flatMap((n) => local.set(state + n, i32.load(local.get(place), STATE_AT + n * 16))),
    ...steps,
    ...rows.flatMap((n) => {
      const sum = i32.add(local.get(state + n), i32.load(local.get(place), STATE_AT + n * 16));
      return i32.store(local.get(place), STATE_AT + n * 16, sum);
    }),
    ...local.set(at, i32.add(local.get(at), i32.of(BLOCK_BYTES))),
    ...local.set(blocks, i32.sub(local.get(blocks), i32.of(1))),
  ];
  const crcPlace = i32.shl(local.get(lane), i32.of(3));
  return [
    ...local.set(at, i32.mul(local.get(lane), i32.of(windowStride))),
    ...local.set(place, i32.shl(local.get(lane), i32.of(2))),
    ...local.set(crc, i64.load(crcPlace, CRC_AT)),
    ...repeatWhile(body, local.get(blocks)),
    ...i64.store(crcPlace, CRC_AT, local.get(crc)),
  ];
}

/** Byte by byte, for what is left of an input; not for none at all. */
function writeTail(): Code {
  const [lane, bytes, at] = [0, 1, 2];
  const crcPlace = i32.shl(local.get(lane), i32.of(3));
  const crc = i64.load(crcPlace, CRC_AT);
  const next = i64.extend(i32.loadByte(local.get(at), WINDOWS_AT));
  const index = i32.and(i32.wrap(i64.xor(crc, next)), i32.of(255));
  const entry = i64.load(i32.shl(index, i32.of(3)), TABLES_AT);
  return [
    ...local.set(at, i32.mul(local.get(lane), i32.of(windowStride))),
    ...repeatWhile(
      [
        ...i64.store(crcPlace, CRC_AT, i64.xor(i64.shiftRight(crc, i64.of(8)), entry)),
        ...local.set(at, i32.add(local.get(at), i32.of(1))),
        ...local.set(bytes, i32.sub(local.get(bytes), i32.of(1))),
      ],
      local.get(bytes),
    ),
  ];
}
