import { Gathered } from "../../core/bytes.ts";
import type { BodySink, Exchange } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";
import { type FormHead, FormParser } from "./form-parser.ts";

type FormUploadParts = {
  readonly exchange: Exchange;
  readonly boundary: string;
  /** The form is small: its fields are given only when all of it is there, and it is good. */
  readonly isSmall: boolean;
  /** Told of every piece that arrives, in bytes. */
  readonly received: (bytes: number) => void;
};

/**
 * A form that is being received: first its fields, then the file as if it were the body of a
 * request of its own. Between the two the client of a large form is told to wait, so that nothing
 * of the file is taken before somebody has decided that it may come.
 */
export class FormUpload {
  readonly #exchange: Exchange;
  readonly #parser: FormParser;
  /** The fields, once the file begins; rejects when the form is refused before. */
  readonly head: Promise<FormHead>;
  #begin: (head: FormHead) => void = () => undefined;
  #refuse: (failure: unknown) => void = () => undefined;
  #sink: BodySink | undefined;
  /** What came of the file before anybody wanted it. */
  readonly #early = new Gathered();
  #end: "open" | "whole" | "cut" = "open";
  #failure: unknown;

  constructor({ exchange, boundary, isSmall, received }: FormUploadParts) {
    this.#exchange = exchange;
    let found: FormHead | undefined;
    this.head = new Promise((resolve, reject) => {
      this.#begin = resolve;
      this.#refuse = reject;
    });
    this.#parser = new FormParser(boundary, {
      fileBegins: (head) => {
        found = head;
        if (isSmall) return;
        exchange.pause();
        this.#begin(head);
      },
      fileData: (bytes) => this.#take(bytes),
    });
    exchange.receive({
      data: (bytes) => {
        received(bytes.length);
        this.#feed(() => this.#parser.push(bytes));
      },
      end: () => {
        this.#feed(() => {
          this.#parser.finish();
          this.#close("whole");
          if (found !== undefined) this.#begin(found);
        });
      },
      abort: () => this.#fail(new S3Error("IncompleteBody")),
    });
  }

  /** Why the form was refused after its file had begun; undefined when it was not. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Length of the file, once all of a form is there that nobody has begun to read. */
  get fileBytes(): number | undefined {
    if (this.#end !== "whole" || this.#sink !== undefined) return undefined;
    return this.#early.length;
  }

  /** The request as whoever stores the file sees it: its body is the file and nothing else. */
  fileExchange(): Exchange {
    const exchange = this.#exchange;
    return {
      method: "PUT",
      target: exchange.target,
      headers: exchange.headers,
      remoteAddress: exchange.remoteAddress,
      secure: exchange.secure,
      get closed() {
        return exchange.closed;
      },
      onAbort: (callback) => exchange.onAbort(callback),
      receive: (sink) => this.#receive(sink),
      pause: () => exchange.pause(),
      resume: () => exchange.resume(),
      send: (status, headers, body) => exchange.send(status, headers, body),
      sendHead: (status, headers, length) => exchange.sendHead(status, headers, length),
      stream: (status, headers, length, source) => exchange.stream(status, headers, length, source),
    };
  }

  #receive(sink: BodySink): void {
    this.#sink = sink;
    // First: the sink may pause again over what it is given now.
    if (this.#end === "open") this.#exchange.resume();
    if (this.#early.length > 0) sink.data(this.#early.take());
    if (this.#end !== "open") this.#tell(sink);
  }

  #feed(step: () => void): void {
    if (this.#end !== "open") return;
    try {
      step();
    } catch (failure) {
      this.#fail(failure);
    }
  }

  #take(bytes: Uint8Array): void {
    if (this.#sink === undefined) this.#early.push(bytes);
    else this.#sink.data(bytes);
  }

  #fail(failure: unknown): void {
    if (this.#end !== "open") return;
    this.#failure = failure;
    this.#refuse(failure);
    this.#close("cut");
  }

  #close(end: "whole" | "cut"): void {
    this.#end = end;
    if (this.#sink !== undefined) this.#tell(this.#sink);
  }

  #tell(sink: BodySink): void {
    if (this.#end === "whole") sink.end();
    else sink.abort();
  }
}
