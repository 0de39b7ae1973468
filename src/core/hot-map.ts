/**
 * A bounded cache in two generations. What is found in the old one is moved to the young one, and
 * what was not found there goes in the order in which it came, as room is needed; then the young
 * one grows old. No list is kept in order, so a hit costs one lookup.
 *
 * Who walks over more than fits would push out everything just before it is asked for again: once
 * the cache is full, only one of `admitOneOf` new values is kept, and what is in use stays.
 *
 * Invariant: the weights of all values together are at most `weightMax`.
 */
export class HotMap<Value> {
  readonly #weightMax: number;
  readonly #admitOneOf: number;
  #young = new Map<string, Entry<Value>>();
  #old = new Map<string, Entry<Value>>();
  /** Goes on over what is left of the old generation. */
  #oldest = this.#old.entries();
  #weight = 0;
  #offered = 0;

  /** Weights are in whatever unit the caller counts: entries, or bytes. */
  constructor(weightMax: number, admitOneOf = 1) {
    this.#weightMax = weightMax;
    this.#admitOneOf = admitOneOf;
  }

  get(key: string): Value | undefined {
    const entry = this.#young.get(key);
    if (entry !== undefined) return entry.value;
    const older = this.#old.get(key);
    if (older === undefined) return undefined;
    this.#old.delete(key);
    this.#young.set(key, older);
    return older.value;
  }

  /** Values heavier than half of the map are not kept. */
  set(key: string, value: Value, weight: number): void {
    if (this.#admits(key, weight)) this.#add(key, { value, weight });
  }

  /** As `set`, of a value that is only made when it is kept. */
  offer(key: string, weight: number, make: () => Value): void {
    if (this.#admits(key, weight)) this.#add(key, { value: make(), weight });
  }

  delete(key: string): void {
    const entry = this.#young.get(key) ?? this.#old.get(key);
    if (entry === undefined) return;
    if (!this.#young.delete(key)) this.#old.delete(key);
    this.#weight -= entry.weight;
  }

  /** Whether there is room for a new value now; what the key had before goes in any case. */
  #admits(key: string, weight: number): boolean {
    this.delete(key);
    if (weight > this.#weightMax / 2) return false;
    if (this.#weight + weight <= this.#weightMax) return true;
    this.#offered += 1;
    return this.#offered % this.#admitOneOf === 0 && this.#makeRoom(weight);
  }

  #add(key: string, entry: Entry<Value>): void {
    this.#young.set(key, entry);
    this.#weight += entry.weight;
    if (this.#old.size === 0 && this.#weight > this.#weightMax / 2) this.#growOld();
  }

  /** False when all values have been asked for since they grew old: they have another chance. */
  #makeRoom(weight: number): boolean {
    while (this.#weight + weight > this.#weightMax) {
      const oldest = this.#oldest.next();
      if (oldest.done === true) {
        this.#growOld();
        return false;
      }
      const [key, entry] = oldest.value;
      this.#old.delete(key);
      this.#weight -= entry.weight;
    }
    return true;
  }

  #growOld(): void {
    this.#old = this.#young;
    this.#oldest = this.#old.entries();
    this.#young = new Map();
  }
}

type Entry<Value> = { readonly value: Value; readonly weight: number };
