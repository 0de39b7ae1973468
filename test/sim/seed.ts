import { createHash } from "node:crypto";

/**
 * Randomness that replays. Every component derives its own by name, so that adding one component
 * or one draw does not shift the others. The generator is xoshiro128**.
 */
export class Seed {
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param name the whole derivation path; the same name always gives the same draws. */
  constructor(name: string | number) {
    this.#name = String(name);
    const digest = createHash("sha256").update(this.#name).digest();
    this.#a = digest.readUInt32LE(0) | 1;
    this.#b = digest.readUInt32LE(4);
    this.#c = digest.readUInt32LE(8);
    this.#d = digest.readUInt32LE(12);
  }

  /** Independent of the draws made so far. */
  derive(name: string | number): Seed {
    return new Seed(`${this.#name}/${name}`);
  }

  toString(): string {
    return this.#name;
  }

  /** 32 unsigned bits. */
  next(): number {
    const result = Math.imul(rotate(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotate(this.#d, 11);
    return result;
  }

  /** 0 (included) to `below` (not included). */
  int(below: number): number {
    return below <= 0x1_0000_0000
      ? Math.floor((this.next() / 0x1_0000_0000) * below)
      : Math.floor(this.fraction() * below);
  }

  /** 0 (included) to 1 (not included). */
  fraction(): number {
    return (this.next() * 0x20_0000 + (this.next() >>> 11)) / 2 ** 53;
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new Error("nothing to pick from");
    return items[this.int(items.length)] as Item;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count);
    let at = 0;
    for (; at + 4 <= count; at += 4) bytes.writeUInt32LE(this.next(), at);
    for (; at < count; at++) bytes[at] = this.next();
    return bytes;
  }

  /** The same items in another order. */
  shuffle<Item>(items: readonly Item[]): Item[] {
    const shuffled = [...items];
    for (let at = shuffled.length - 1; at > 0; at--) {
      const other = this.int(at + 1);
      const held = shuffled[at] as Item;
      shuffled[at] = shuffled[other] as Item;
      shuffled[other] = held;
    }
    return shuffled;
  }
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
