/**
 * Just enough of WebAssembly's binary format to write a kernel of straight arithmetic:
 * https://webassembly.github.io/spec/core/binary/. Code is a list of bytes; an expression is the
 * code that leaves its value on the stack.
 */
export type Code = readonly number[];

/** Types of locals and parameters. */
export const TYPE = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const;

const FUNCTION_TYPE = 0x60;
const END = 0x0b;

/** LEB128 of a number from 0 on. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return bytes;
}

/** LEB128 of a signed number of at most 32 bits. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 127;
    rest >>= 7;
    const isDone = (rest === 0 && (low & 64) === 0) || (rest === -1 && (low & 64) !== 0);
    bytes.push(isDone ? low : low | 128);
    if (isDone) return bytes;
  }
}

const binary =
  (...opcode: number[]) =>
  (left: Code, right: Code): Code => [...left, ...right, ...opcode];

/** Loads and stores have an address and a constant that is added to it. */
const load =
  (alignLog2: number, ...opcode: number[]) =>
  (address: Code, offset: number): Code => [...address, ...opcode, alignLog2, ...unsigned(offset)];

const store =
  (alignLog2: number, ...opcode: number[]) =>
  (address: Code, offset: number, value: Code): Code => [
    ...address,
    ...value,
    ...opcode,
    alignLog2,
    ...unsigned(offset),
  ];

const SIMD = 0xfd;

export const local = {
  get: (index: number): Code => [0x20, ...unsigned(index)],
  set: (index: number, value: Code): Code => [...value, 0x21, ...unsigned(index)],
};

export const i32 = {
  of: (value: number): Code => [0x41, ...signed(value)],
  load: load(2, 0x28),
  loadByte: load(0, 0x2d),
  store: store(2, 0x36),
  add: binary(0x6a),
  sub: binary(0x6b),
  mul: binary(0x6c),
  and: binary(0x71),
  or: binary(0x72),
  xor: binary(0x73),
  shl: binary(0x74),
  rotl: binary(0x77),
  wrap: (value: Code): Code => [...value, 0xa7],
};

export const i64 = {
  of: (value: number): Code => [0x42, ...signed(value)],
  load: load(3, 0x29),
  store: store(3, 0x37),
  and: binary(0x83),
  xor: binary(0x85),
  shiftRight: binary(0x88),
  extend: (value: Code): Code => [...value, 0xad],
};

/** Four 32-bit lanes. */
export const v128 = {
  load: load(4, SIMD, 0x00),
  store: store(4, SIMD, 0x0b),
  /** The result's words, each by its number among the eight of both operands. */
  shuffle: (left: Code, right: Code, words: readonly number[]): Code => [
    ...left,
    ...right,
    SIMD,
    0x0d,
    ...words.flatMap((word) => [4 * word, 4 * word + 1, 4 * word + 2, 4 * word + 3]),
  ],
  not: (value: Code): Code => [...value, SIMD, 0x4d],
  and: binary(SIMD, 0x4e),
  /** Bits of the first that the second has not. */
  andNot: binary(SIMD, 0x4f),
  or: binary(SIMD, 0x50),
  xor: binary(SIMD, 0x51),
  add: binary(SIMD, 0xae, 0x01),
  rotl: (index: number, bits: number): Code => {
    const value = local.get(index);
    const high: Code = [...value, ...i32.of(bits), SIMD, 0xab, 0x01];
    const low: Code = [...value, ...i32.of(32 - bits), SIMD, 0xad, 0x01];
    return v128.or(high, low);
  },
};

/** Repeats the body as long as the expression behind it is not zero. */
export function repeatWhile(body: Code, condition: Code): Code {
  return [0x03, 0x40, ...body, ...condition, 0x0d, 0x00, END];
}

export type WasmFunction = {
  readonly name: string;
  /** Parameters, 32-bit integers all; they are the first locals. */
  readonly parameters: number;
  /** Types of the other locals, and how many of each. */
  readonly locals: ReadonlyArray<readonly [count: number, type: number]>;
  readonly body: Code;
};

export type WasmModule = {
  /** Of 64 KiB each; exported as "memory". */
  readonly pages: number;
  /** What the memory holds from its beginning on. */
  readonly data: Uint8Array;
  /** Exported under their names; they return nothing. */
  readonly functions: readonly WasmFunction[];
};

/** The bytes of a module. */
export function writeModule({ pages, data, functions }: WasmModule): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ parameters }) => [
    FUNCTION_TYPE,
    ...sized(Array.from({ length: parameters }, () => TYPE.i32)),
    0,
  ]);
  const exported = functions.map(({ name }, index) => [...text(name), 0x00, ...unsigned(index)]);
  const bodies = functions.map(({ locals, body }) => {
    const declared = list(locals.map(([count, type]) => [...unsigned(count), type]));
    return [unsigned(declared.length + body.length + 1), declared, body, [END]];
  });
  return join([
    [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    section(1, list(types)),
    section(3, list(functions.map((_, index) => unsigned(index)))),
    section(5, list([[0x01, ...unsigned(pages), ...unsigned(pages)]])),
    section(7, list([[...text("memory"), 0x02, 0x00], ...exported])),
    section(10, join([unsigned(functions.length), ...bodies.flat()])),
    section(11, join([[1, 0x00], i32.of(0), [END], unsigned(data.length), data])),
  ]);
}

function sized(bytes: Code): Code {
  return [...unsigned(bytes.length), ...bytes];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function text(value: string): Code {
  return sized([...Buffer.from(value, "utf8")]);
}

function section(id: number, content: Code | Uint8Array): Uint8Array {
  return join([[id], unsigned(content.length), content]);
}

/** Long code is copied as a whole, which is a hundred times faster than byte by byte. */
function join(parts: ReadonlyArray<Code | Uint8Array>): Buffer<ArrayBuffer> {
  return Buffer.concat(parts.map((part) => Uint8Array.from(part)));
}
