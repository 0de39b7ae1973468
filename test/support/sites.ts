import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { S3Client } from "@aws-sdk/client-s3";
import { type Finished, runProgram } from "./run-program.ts";
import { sdkFor } from "./sdk.ts";
import { type Engine, MAIN, ROOT_KEY, startServer, type TestServer } from "./server.ts";
import { openTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

const LOOK_MS = 50;
/** Against hanging only: nothing that works takes nearly so long. */
export const PATIENCE_MS = 240_000;

export type SiteOptions = {
  readonly name: string;
  readonly engine?: Engine;
  /** The environment of its server, such as that of a clock that runs ahead. */
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
};

/** A site that runs as a process of its own; its peers reach it through a wire that can be cut. */
export type RunningSite = {
  readonly name: string;
  readonly dataDirectory: string;
  /** The address that its peers know it by. */
  readonly address: string;
  readonly wire: TcpProxy;
  isRunning(): boolean;
  /** The server as it is now; another one after a restart. */
  server(): TestServer;
  /** A client of its own for each server. */
  s3(): S3Client;
  /** Runs the program with this site's data directory. */
  atoll(...words: readonly string[]): Promise<Finished>;
  /** What its administration answers to GET, without the program in between: for looking often. */
  asked(what: string): Promise<Record<string, unknown>>;
  /** The same as `atoll` with --json; it has to succeed. */
  told(...words: readonly string[]): Promise<Record<string, unknown>>;
  /** Takes its process away as a power cut would. */
  kill(): Promise<void>;
  /** With another environment when one is given: another clock. */
  start(env?: Readonly<Record<string, string>>): Promise<void>;
  /** Ends it and removes its data. */
  close(): Promise<void>;
};

/** Starts a site that is alone; `joinTo` makes it a member. */
export async function startSite(options: SiteOptions): Promise<RunningSite> {
  const { name, env = {}, flags = [] } = options;
  const parent = mkdtempSync(join(tmpdir(), `atoll-site-${name}-`));
  const dataDirectory = join(parent, "data");
  const wire = await openTcpProxy(0);
  const address = `http://127.0.0.1:${wire.port}`;
  let server: TestServer | undefined;
  let s3: S3Client | undefined;
  const running = (): TestServer => {
    if (server === undefined) throw new Error(`the site ${name} is not running`);
    return server;
  };
  const end = (): void => {
    s3?.destroy();
    s3 = undefined;
    server = undefined;
  };
  const atoll: RunningSite["atoll"] = (...words) =>
    runProgram(process.execPath, [MAIN, ...words, "--data", dataDirectory]);
  const start: RunningSite["start"] = async (other = env) => {
    server = await startServer({
      ...{ dataDirectory, env: other, flags: ["--site-name", name, ...flags] },
      ...(options.engine === undefined ? {} : { engine: options.engine }),
    });
    // Nothing is tried again, so no connection is used again: the server may just have ended it.
    const httpAgent = new Agent({ keepAlive: false });
    s3 = sdkFor(server, { maxAttempts: 1, requestHandler: { httpAgent } });
    wire.aim(server.port);
  };
  await start();
  return {
    ...{ name, dataDirectory, address, wire, server: running, atoll, start },
    isRunning: () => server !== undefined,
    asked: (what) => askSocket(join(dataDirectory, "admin.sock"), `/v1/admin/${what}`),
    s3: () => {
      if (s3 === undefined) throw new Error(`the site ${name} is not running`);
      return s3;
    },
    async told(...words) {
      const { status, stdout, stderr } = await atoll(...words, "--json");
      if (status === 0) return JSON.parse(stdout);
      throw new Error(`${name}: atoll ${words.join(" ")} ended with ${status}: ${stderr}${stdout}`);
    },
    async kill() {
      const killed = running();
      end();
      await killed.kill("SIGKILL");
    },
    async close() {
      const last = server;
      end();
      await last?.stop();
      await wire.close();
      rmSync(parent, { recursive: true, force: true });
      if (last?.log().includes(ROOT_KEY.secretKey) === true) {
        throw new Error("Keep secrets out of the log: the root secret stands in it.");
      }
    },
  };
}

function askSocket(socketPath: string, path: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, headers: { host: "localhost" } }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on("data", (piece: Buffer) => pieces.push(piece));
      answer.on("error", reject);
      answer.on("end", () => {
        const text = Buffer.concat(pieces).toString();
        if (answer.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${path} answered ${answer.statusCode}: ${text}`));
      });
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** Makes a site a member of the cluster that another site is in. */
export async function joinTo(member: RunningSite, joiner: RunningSite): Promise<void> {
  const plain = ["--insecure-peer"];
  const { token } = await member.told("repl-invite", "--address", member.address, ...plain);
  await joiner.told("repl-join", String(token), "--address", joiner.address, ...plain);
}

/** Starts sites that are one cluster: each has joined the first. */
export async function startCluster(all: readonly SiteOptions[]): Promise<RunningSite[]> {
  const sites = await Promise.all(all.map(startSite));
  const [first, ...others] = sites;
  for (const site of others) if (first !== undefined) await joinTo(first, site);
  return sites;
}

/** Asks again and again until there is an answer. Time decides nothing but that it hangs. */
export async function until<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined>,
  patienceMs = PATIENCE_MS,
): Promise<Answer> {
  const deadlineMs = Date.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadlineMs) throw new Error(`It never came true: ${what}.`);
    await sleep(LOOK_MS);
  }
}

/** How a site says that it stands to each of its peers: state by name. */
export async function peerStates(site: RunningSite): Promise<Map<string, string>> {
  const { peers } = (await site.asked("repl-status")) as {
    peers: Record<string, { state: string }>;
  };
  return new Map(Object.entries(peers).map(([name, { state }]) => [name, state]));
}

/** Whether a site says that it and every other of so many sites have the same. */
export async function saysInSync(site: RunningSite, sites: number): Promise<boolean> {
  const states = [...(await peerStates(site)).values()];
  return states.length === sites - 1 && states.every((state) => state === "in-sync");
}

export async function untilInSync(sites: readonly RunningSite[]): Promise<void> {
  for (const site of sites) {
    await until(`${site.name} is in sync with all others`, async () =>
      (await saysInSync(site, sites.length)) ? true : undefined,
    );
  }
}
