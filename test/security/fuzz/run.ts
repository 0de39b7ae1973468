import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { Seed } from "../../sim/seed.ts";
import { sendSigned } from "../../support/raw-http.ts";
import { startServer, type TestServer } from "../../support/server.ts";
import type { Engine } from "../served-site.ts";
import { Wire, type WireAnswer } from "../wire.ts";
import { FUZZ_BUCKET, FUZZ_TARGETS, type FuzzRequest } from "./targets.ts";

export type FuzzOptions = {
  readonly engine: Engine;
  readonly seed: string;
  readonly seconds: number;
  /** Only this case, to see it again. */
  readonly only?: number | undefined;
};

export type FuzzReport = {
  readonly cases: number;
  readonly byTarget: Readonly<Record<string, number>>;
  /** How many of them were taken: a fuzzer that is always refused at the door looks at the door. */
  readonly accepted: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  /** Anonymous memory of the server a quarter into the run, and at its end. */
  readonly memory: { readonly earlyBytes: number; readonly endBytes: number };
};

const LANES = 6;
const HANG_MS = 20_000;
const MEND_EVERY = 250;
const MEND = { method: "DELETE", path: `/${FUZZ_BUCKET}?policy` };

/** Starts a server of its own and sends it mutated requests until the time is over. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const server = await startServer({ engine: options.engine, listenHost: "127.0.0.1" });
  try {
    await prepare(server);
    return await fuzzServer(server, options);
  } finally {
    await server.stop();
  }
}

async function prepare(server: TestServer): Promise<void> {
  await sendSigned(server, { method: "PUT", path: `/${FUZZ_BUCKET}` });
  await sendSigned(server, { method: "PUT", path: `/${FUZZ_BUCKET}/key`, body: "x".repeat(1000) });
}

async function fuzzServer(server: TestServer, options: FuzzOptions): Promise<FuzzReport> {
  const names = Object.keys(FUZZ_TARGETS);
  const byTarget: Record<string, number> = {};
  const accepted: Record<string, number> = {};
  const problems: string[] = [];
  const startedMs = Date.now();
  const endMs = startedMs + options.seconds * 1000;
  let next = options.only ?? 0;
  let earlyBytes = 0;
  const lane = async (): Promise<void> => {
    const wire = new Wire(server.port);
    while (Date.now() < endMs && problems.length < 20) {
      const number = next++;
      if (options.only !== undefined && number > options.only) break;
      const seed = new Seed(`${options.seed}/${number}`);
      const name = names[number % names.length] ?? "http";
      byTarget[name] = (byTarget[name] ?? 0) + 1;
      const request = FUZZ_TARGETS[name]?.(seed, Date.now());
      if (request === undefined) continue;
      // A policy that a case has stored may shut everybody out; its owner can always mend that.
      if (number % MEND_EVERY === 0) await sendSigned(server, MEND);
      const answer = await send(wire, server.port, request);
      if (answer !== "hang" && answer.status >= 200 && answer.status < 400) {
        accepted[name] = (accepted[name] ?? 0) + 1;
      }
      const problem = problemOf(answer);
      if (problem !== undefined) problems.push(`case ${number} (${name}): ${problem}`);
      if (earlyBytes === 0 && Date.now() > startedMs + options.seconds * 250) {
        earlyBytes = anonymousBytes(server);
      }
    }
    wire.close();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  problems.push(...(await aftermath(server)));
  const cases = Object.values(byTarget).reduce((sum, count) => sum + count, 0);
  return {
    cases,
    byTarget,
    accepted,
    problems,
    memory: { earlyBytes, endBytes: anonymousBytes(server) },
  };
}

async function send(wire: Wire, port: number, request: FuzzRequest): Promise<WireAnswer | "hang"> {
  if (request.ends) return sendAndEnd(port, request.bytes);
  return wire.sendBytes(request.bytes, request.isHead);
}

/** Sends on a connection of its own, says that nothing more comes, and takes what is answered. */
function sendAndEnd(port: number, bytes: Buffer): Promise<WireAnswer | "hang"> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const received: Buffer[] = [];
    const finish = (outcome?: "hang"): void => {
      socket.destroy();
      const text = Buffer.concat(received).toString("latin1");
      const status = Number(/^HTTP\/1\.1 ([2-5]\d\d)/m.exec(text)?.[1] ?? 0);
      const code = /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? "";
      resolve(outcome ?? { status, text, code });
    };
    socket.setTimeout(HANG_MS, () => finish("hang"));
    socket.on("data", (data: Buffer) => received.push(data));
    socket.on("close", () => finish());
    socket.on("error", () => finish());
    socket.on("connect", () => socket.end(bytes));
  });
}

/** 501 refuses by name what a parameter or header asks for; 505 is the engine's for no HTTP. */
function problemOf(answer: WireAnswer | "hang"): string | undefined {
  if (answer === "hang") return `no answer and no end in ${HANG_MS} ms`;
  if (answer.status < 500 || answer.status === 505) return undefined;
  if (answer.status === 501 && (answer.code === "NotImplemented" || answer.code === ""))
    return undefined;
  return `${answer.status} ${answer.code}\n${answer.text.slice(-600)}`;
}

/** The server still lives, answers, and has not complained to its log. */
async function aftermath(server: TestServer): Promise<string[]> {
  const problems: string[] = [];
  const alive = await fetch(`${server.endpoint}/v1/health/live`).catch(() => undefined);
  await alive?.arrayBuffer();
  if (alive?.status !== 200) problems.push("the server does not answer any more");
  const object = { method: "HEAD", path: `/${FUZZ_BUCKET}` };
  const answer = await sendSigned(server, object).catch(() => undefined);
  if (answer === undefined || answer.status >= 500) problems.push("the bucket cannot be read");
  const complaints = server
    .log()
    .split("\n")
    .filter((line) => /"level":"?(error|50|60)/.test(line));
  problems.push(...complaints.slice(0, 5).map((line) => `the log says ${line}`));
  return problems;
}

/** What a process holds that no file stands behind: leaks show here, the mapped index does not. */
function anonymousBytes(server: TestServer): number {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}
