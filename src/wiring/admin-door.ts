import type { AdminApi } from "../control/admin.ts";
import { type AdminAnswer, type AdminCall, adminProblem } from "../control/admin-call.ts";
import type { Clock } from "../ports/clock.ts";

/** What a process says of itself while its site is not open. */
export type ProcessStatus = Readonly<Record<string, unknown>> & { readonly state: string };

const STATUS = "GET /v1/admin/status";

/**
 * The administration behind a server's socket, from the moment when the data directory is locked
 * until it is given up. Before the site is open, and while it is being closed, it says so and
 * nothing else: another process that wants the directory, perhaps in a container from which this
 * one cannot be seen, must hear that it is in use.
 */
export class AdminDoor implements AdminApi {
  readonly #describe: () => ProcessStatus;
  readonly #underWay = new Set<Promise<AdminAnswer>>();
  #inner: AdminApi | undefined;

  constructor(describe: () => ProcessStatus) {
    this.#describe = describe;
  }

  open(inner: AdminApi): void {
    this.#inner = inner;
  }

  /** Lets no more calls in, and waits for those under way, for `graceMs` at most. */
  async shut(clock: Clock, graceMs: number): Promise<void> {
    this.#inner = undefined;
    const patience = new AbortController();
    await Promise.race([Promise.allSettled(this.#underWay), clock.sleep(graceMs, patience.signal)]);
    patience.abort();
  }

  call(call: AdminCall): Promise<AdminAnswer> {
    if (this.#inner === undefined) return Promise.resolve(this.#answerAlone(call));
    const answer = this.#inner.call(call);
    this.#underWay.add(answer);
    const forget = (): void => void this.#underWay.delete(answer);
    answer.then(forget, forget);
    return answer;
  }

  #answerAlone({ method, path }: AdminCall): AdminAnswer {
    const status = this.#describe();
    if (`${method} ${path}` === STATUS) return { status: 200, body: status };
    const { state } = status;
    const { body } = adminProblem(503, `The server is ${state}: try again in a moment.`);
    return { status: 503, body: { ...body, state } };
  }
}
