import { connect, type Socket } from "node:net";

export type Answer = { readonly status: number; readonly body: string };

const HEAD_END = "\r\n\r\n";

/** Collects answers that have a Content-Length, one request under way at a time. */
class AnswerReader {
  #bytes: Buffer[] = [];
  #count = 0;

  /** The answer when it is whole. */
  push(chunk: Buffer): Answer | undefined {
    this.#bytes.push(chunk);
    this.#count += chunk.length;
    const all = this.#bytes.length === 1 ? chunk : Buffer.concat(this.#bytes);
    this.#bytes = [all];
    const end = all.indexOf(HEAD_END);
    if (end < 0) return undefined;
    const head = all.toString("latin1", 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const from = end + HEAD_END.length;
    if (this.#count < from + length) return undefined;
    this.#bytes = [];
    this.#count = 0;
    return { status: Number(head.slice(9, 12)), body: all.toString("utf8", from, from + length) };
  }
}

/**
 * Plays every request exactly once over so many connections, which httpload cannot, and throws at
 * the first answer that is not a success. `waitMs` says how long each is held back.
 */
export async function playOnce(
  port: number,
  requests: Iterable<Buffer>,
  connections: number,
  waitMs: () => number = () => 0,
): Promise<void> {
  const source = requests[Symbol.iterator]();
  await Promise.all(Array.from({ length: connections }, () => playOn(port, source, waitMs)));
}

function playOn(port: number, source: Iterator<Buffer>, waitMs: () => number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const reader = new AnswerReader();
    const next = (): void => {
      const { done, value } = source.next();
      if (done) {
        socket.end(resolve);
        return;
      }
      const ms = waitMs();
      if (ms > 0) setTimeout(() => socket.write(value), ms);
      else socket.write(value);
    };
    socket.on("connect", next);
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("The server closed a connection.")));
    socket.on("data", (chunk: Buffer) => {
      const answer = reader.push(chunk);
      if (answer === undefined) return;
      if (answer.status < 300) next();
      else reject(new Error(`The server answered ${answer.status}: ${answer.body}`));
    });
  });
}

/** Sends one request and gives its answer; undefined when nobody answers. */
export function ask(port: number, request: Buffer): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const reader = new AnswerReader();
    const end = (answer: Answer | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on("connect", () => void socket.write(request));
    socket.on("error", () => end(undefined));
    socket.on("close", () => end(undefined));
    socket.on("data", (chunk: Buffer) => {
      const answer = reader.push(chunk);
      if (answer !== undefined) end(answer);
    });
  });
}
