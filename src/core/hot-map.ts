/**
 * A bounded cache with two generations. What is found in the old one is moved to the young one, and
 * when the young one is full the old one is dropped as a whole. No list is kept in order, so a hit
 * costs one lookup.
 *
 * Invariant: the weights of both generations together are at most `weightMax`.
 */
export class HotMap<Value> {
  readonly #half: number;
  #young = new Map<string, Entry<Value>>();
  #old = new Map<string, Entry<Value>>();
  #youngWeight = 0;

  /** Weights are in whatever unit the caller counts: entries, or bytes. */
  constructor(weightMax: number) {
    this.#half = weightMax / 2;
  }

  get(key: string): Value | undefined {
    const entry = this.#young.get(key);
    if (entry !== undefined) return entry.value;
    const older = this.#old.get(key);
    if (older === undefined) return undefined;
    this.#add(key, older);
    return older.value;
  }

  /** Values heavier than half of the map are not kept. */
  set(key: string, value: Value, weight: number): void {
    this.delete(key);
    if (weight <= this.#half) this.#add(key, { value, weight });
  }

  delete(key: string): void {
    this.#old.delete(key);
    const entry = this.#young.get(key);
    if (entry === undefined) return;
    this.#young.delete(key);
    this.#youngWeight -= entry.weight;
  }

  #add(key: string, entry: Entry<Value>): void {
    if (this.#youngWeight + entry.weight > this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngWeight = 0;
    }
    this.#young.set(key, entry);
    this.#youngWeight += entry.weight;
  }
}

type Entry<Value> = { readonly value: Value; readonly weight: number };
