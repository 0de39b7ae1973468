import type { Dot, LocalRecord, Vector } from "../core/records.ts";
import type { OriginLogs } from "./origin-logs.ts";

/** What a record says of an operation behind it. */
export type Special =
  | { readonly kind: "void" }
  | { readonly kind: "parked"; readonly reason: string }
  | { readonly kind: "again"; readonly vector: Vector };

/** What the records of one batch say of operations behind them in it. */
export class SpecialOperations {
  readonly #found = new Map<string, Special>();

  get size(): number {
    return this.#found.size;
  }

  /** Forgets everything: a batch begins. */
  clear(): void {
    if (this.#found.size > 0) this.#found.clear();
  }

  of(dot: Dot): Special | undefined {
    return this.#found.size === 0 ? undefined : this.#found.get(nameOf(dot));
  }

  /** Takes note of what a record says, also in the account of logs. */
  hear(record: LocalRecord, origins: OriginLogs): void {
    switch (record.kind) {
      case "operations-parked":
        for (const { reason, ...dot } of record.operations) {
          this.#found.set(nameOf(dot), { kind: "parked", reason });
          origins.park(dot);
        }
        return;
      case "operations-void":
        for (const dot of record.operations) this.#found.set(nameOf(dot), { kind: "void" });
        return;
      case "operations-unparked":
        for (const { vector, ...dot } of record.operations) {
          this.#found.set(nameOf(dot), { kind: "again", vector });
          origins.unpark(dot);
        }
    }
  }
}

function nameOf({ origin, seq }: Dot): string {
  return `${origin}/${seq}`;
}
