import { write, writeSync } from "node:fs";
import { errnoOf } from "../core/faults.ts";
import { systemClock } from "./system-clock.ts";

const BLOCK_BYTES = 16 * 1024;
const BLOCK_MS = 100;
const RETRY_MS = 10;
/** How much may wait: when nobody reads the log, lines are dropped so that the server goes on. */
const WAITING_CHARACTERS_MAX = 64 * 1024 * 1024;

/** Takes text in order and hands it to a file descriptor in blocks. */
export interface DescriptorSink {
  write(text: string): void;
  /** Resolves when everything written so far has been handed over, or nobody takes it any more. */
  flush(): Promise<void>;
}

/**
 * Makes a sink that writes in blocks: a system call for each log line would cost more than the
 * line. What is left when the process exits is written then. A reader that went away (`atoll serve
 * | head`) is not treated as a failure.
 */
export function createDescriptorSink(descriptor: number): DescriptorSink {
  const sink = new BlockSink(descriptor);
  process.on("exit", () => sink.flushSync());
  return sink;
}

class BlockSink implements DescriptorSink {
  readonly #descriptor: number;
  #waiting = "";
  #block: Buffer | undefined;
  #sent = 0;
  #scheduled = false;
  #gone = false;
  #idle: Array<() => void> = [];

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  write(text: string): void {
    if (this.#gone || this.#waiting.length > WAITING_CHARACTERS_MAX) return;
    this.#waiting += text;
    if (this.#waiting.length >= BLOCK_BYTES) this.#begin();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      systemClock.after(BLOCK_MS, () => {
        this.#scheduled = false;
        this.#begin();
      });
    }
  }

  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#begin();
    });
  }

  flushSync(): void {
    try {
      // The block under way may be written twice; that is better than not at all.
      if (this.#block !== undefined) writeSync(this.#descriptor, this.#block, this.#sent);
      writeSync(this.#descriptor, this.#waiting);
    } catch (failure) {
      // The process is ending and its log has no other way out.
      if (!(failure instanceof Error)) throw failure;
    }
    this.#block = undefined;
    this.#waiting = "";
  }

  /** Starts the next block unless one is on its way. */
  #begin(): void {
    if (this.#block !== undefined) return;
    if (this.#waiting === "" || this.#gone) {
      for (const resolve of this.#idle.splice(0)) resolve();
      return;
    }
    this.#block = Buffer.from(this.#waiting);
    this.#waiting = "";
    this.#sent = 0;
    this.#send();
  }

  #send(): void {
    const block = this.#block;
    if (block === undefined) return;
    write(
      this.#descriptor,
      block,
      this.#sent,
      block.length - this.#sent,
      null,
      (failure, count) => {
        if (this.#block !== block) return;
        if (failure) this.#retry(failure);
        else {
          this.#sent += count;
          if (this.#sent < block.length) this.#send();
          else this.#finish();
        }
      },
    );
  }

  /** A pipe that is full says EAGAIN when Node has made it non-blocking. */
  #retry(failure: Error): void {
    if (errnoOf(failure) === "EAGAIN") systemClock.after(RETRY_MS, () => this.#send());
    else {
      this.#gone = true;
      this.#finish();
    }
  }

  #finish(): void {
    this.#block = undefined;
    if (this.#idle.length > 0 || this.#waiting.length >= BLOCK_BYTES || this.#gone) this.#begin();
  }
}
