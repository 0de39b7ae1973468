import { connect, type Socket } from "node:net";

/** A request as it goes over the wire. */
export type WireRequest = {
  readonly method: string;
  readonly target: string;
  readonly headers: ReadonlyArray<readonly [string, string]>;
  readonly body: Uint8Array;
};

export type WireAnswer = {
  /** 0 when the connection was closed without an answer. */
  readonly status: number;
  /** Head and body, one character for each byte. */
  readonly text: string;
  /** What stands in `<Code>`, or "". */
  readonly code: string;
};

const GUARD_MS = 60_000;

/** Bytes of a request; the length is added unless the request has its own framing. */
export function bytesOf(request: WireRequest): Buffer {
  const framed = request.headers.some(([name]) =>
    /^(content-length|transfer-encoding)$/i.test(name),
  );
  const hasBody = request.body.length > 0 || !/^(GET|HEAD|OPTIONS)$/.test(request.method);
  const lines = request.headers.map(([name, value]) => `${name}: ${value}\r\n`);
  if (!framed && hasBody) lines.push(`Content-Length: ${request.body.length}\r\n`);
  const head = `${request.method} ${request.target} HTTP/1.1\r\n${lines.join("")}\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), request.body]);
}

/**
 * One connection, kept alive, one request after the other, never two at once. A connection that the
 * server has closed is replaced for the next request.
 */
export class Wire {
  readonly #port: number;
  #socket: Socket | undefined;
  #received: Buffer[] = [];
  #settle: (() => void) | undefined;
  #isOpen = false;

  constructor(port: number) {
    this.#port = port;
  }

  async send(request: WireRequest): Promise<WireAnswer> {
    return this.sendBytes(bytesOf(request), request.method === "HEAD");
  }

  /** Sends bytes as they are and waits for one whole answer, or for the end. */
  async sendBytes(bytes: Uint8Array, isHead = false): Promise<WireAnswer> {
    const socket = this.#isOpen && this.#socket !== undefined ? this.#socket : await this.#dial();
    this.#received = [];
    socket.write(bytes);
    for (;;) {
      const answer = parseAnswer(Buffer.concat(this.#received), isHead);
      if (answer !== undefined && answer.status >= 200) return this.#take(answer);
      if (!this.#isOpen) return { status: 0, text: "", code: "" };
      await this.#more();
    }
  }

  close(): void {
    this.#socket?.destroy();
    this.#isOpen = false;
  }

  #take(answer: WireAnswer & { readonly closes: boolean }): WireAnswer {
    if (answer.closes) this.close();
    return answer;
  }

  #dial(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
      socket.setTimeout(GUARD_MS, () => socket.destroy(new Error("no answer")));
      const gone = (): void => {
        if (this.#socket !== socket) return;
        this.#isOpen = false;
        this.#settle?.();
      };
      socket.once("connect", () => {
        this.#socket = socket;
        this.#isOpen = true;
        resolve(socket);
      });
      socket.on("data", (data: Buffer) => {
        if (this.#socket !== socket) return;
        this.#received.push(data);
        this.#settle?.();
      });
      socket.on("error", (failure) => {
        gone();
        reject(failure);
      });
      socket.on("end", gone);
      socket.on("close", gone);
    });
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#settle = () => {
        this.#settle = undefined;
        resolve();
      };
    });
  }
}

function parseAnswer(
  bytes: Buffer,
  isHead: boolean,
): (WireAnswer & { readonly closes: boolean }) | undefined {
  const text = bytes.toString("latin1");
  const interim = /^HTTP\/1\.1 1\d\d[^\n]*\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(text)?.[0].length ?? 0;
  const end = text.indexOf("\r\n\r\n", interim);
  if (end < 0) return undefined;
  const head = text.slice(interim, end);
  const status = Number(head.slice(9, 12));
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  const isEmpty = isHead || status === 204 || status === 304;
  if (!isEmpty && text.length < end + 4 + length) return undefined;
  const code = /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? "";
  return { status, text: text.slice(interim), code, closes: /\r\nconnection: *close/i.test(head) };
}

/** Runs a task for every item, some at a time, each with a connection of its own. */
export async function overWires<Item>(
  port: number,
  items: readonly Item[],
  task: (wire: Wire, item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lanes = Array.from({ length: 12 }, async () => {
    const wire = new Wire(port);
    for (let at = next++; at < items.length; at = next++) {
      const item = items[at];
      if (item !== undefined) await task(wire, item);
    }
    wire.close();
  });
  await Promise.all(lanes);
}
