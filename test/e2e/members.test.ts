import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ListBucketsCommand } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Finished, runProgram } from "../support/run-program.ts";
import { makeBucket, sdkFor } from "../support/sdk.ts";
import { ENGINES, freePort, MAIN, startServer, type TestServer } from "../support/server.ts";

type Site = { readonly name: string; readonly data: string };

let parent: string;
let servers: TestServer[];

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "atoll-members-"));
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await server.stop();
  rmSync(parent, { recursive: true, force: true });
});

function siteOf(name: string): Site {
  return { name, data: join(parent, name) };
}

async function start(site: Site, engine: (typeof ENGINES)[number], ...flags: string[]) {
  const name = ["--site-name", site.name];
  const server = await startServer({
    ...{ engine, dataDirectory: site.data, flags: [...name, ...flags] },
  });
  servers.push(server);
  return server;
}

function atoll(site: Site, ...words: readonly string[]): Promise<Finished> {
  return runProgram(process.execPath, [MAIN, ...words, "--data", site.data]);
}

async function told(site: Site, ...words: readonly string[]): Promise<Record<string, unknown>> {
  const { status, stdout, stderr } = await atoll(site, ...words, "--json");
  expect(status, stderr + stdout).toBe(0);
  const answer = JSON.parse(stdout);
  expect(answer["schema_version"]).toBe(1);
  return answer;
}

async function failure(site: Site, ...words: readonly string[]): Promise<string> {
  const { status, stderr } = await atoll(site, ...words);
  expect(status).not.toBe(0);
  return stderr;
}

async function invite(site: Site, server: { readonly port: number }): Promise<string> {
  const address = ["--address", `http://127.0.0.1:${server.port}`, "--insecure-peer"];
  return String((await told(site, "repl-invite", ...address))["token"]);
}

function joinWith(site: Site, server: { readonly port: number }, token: string) {
  const address = ["--address", `http://127.0.0.1:${server.port}`, "--insecure-peer"];
  return told(site, "repl-join", token, ...address);
}

/** Every member that a site knows: name and state, the site itself marked. */
async function members(site: Site): Promise<string[]> {
  const { sites } = (await told(site, "repl-sites")) as {
    sites: Array<{ name: string; state: string; self: boolean }>;
  };
  return sites.map(({ name, state, self }) => `${name} ${state}${self ? " self" : ""}`).sort();
}

describe.each(ENGINES)("two sites on the engine %s", (engine) => {
  test("become one cluster by a token, and stay one over restarts", async () => {
    const [berlin, paris] = [siteOf("berlin"), siteOf("paris")];
    const first = await start(berlin, engine);
    let second = await start(paris, engine);
    const s3 = sdkFor(second);
    const bucket = await makeBucket(s3);
    const key = await told(paris, "keys", "create", "--grant", "read-write");
    const joined = await joinWith(paris, second, await invite(berlin, first));
    expect(joined).toMatchObject({ outcome: "joined", peer: "berlin", resealed: 1, unreadable: 0 });
    expect(await members(berlin)).toEqual(["berlin active self", "paris active"]);
    expect(await members(paris)).toEqual(["berlin active", "paris active self"]);
    await second.stop();
    second = await start(paris, engine);
    expect(await members(paris)).toEqual(["berlin active", "paris active self"]);
    const credentials = {
      accessKeyId: String(key["access_key"]),
      secretAccessKey: String(key["secret_key"]),
    };
    const { Buckets = [] } = await sdkFor(second, { credentials }).send(new ListBucketsCommand({}));
    expect(Buckets.map(({ Name }) => Name)).toEqual([bucket]);
    const clusters = [berlin, paris].map(({ data }) => {
      return JSON.parse(readFileSync(join(data, "site.json"), "utf8")).clusterId;
    });
    expect(clusters[0]).toBe(clusters[1]);
  });

  test("[S36] tell strangers nothing", async () => {
    const server = await start(siteOf("berlin"), engine);
    for (const path of ["pull", "join", "ring", "nothing", "pull?x=1"]) {
      for (const method of ["GET", "POST", "PUT"]) {
        const answer = await fetch(`${server.endpoint}/v1/repl/${path}`, {
          method,
          ...(method === "GET" ? {} : { body: "x".repeat(100_000) }),
        });
        expect(answer.status, `${method} ${path}`).toBe(401);
        expect(await answer.json()).toMatchObject({ error: { reason: "unsigned" } });
      }
    }
  });
});

test("what cannot be is refused in words, and changes nothing", async () => {
  const [berlin, paris, rome] = [siteOf("berlin"), siteOf("paris"), siteOf("rome")];
  const first = await start(berlin, "uws");
  const second = await start(paris, "uws");
  const third = await start(rome, "uws");
  const plain = `http://127.0.0.1:${first.port}`;
  expect(await failure(berlin, "repl-invite")).toContain("--address https://HOST:PORT");
  expect(await failure(berlin, "repl-invite", "--address", plain)).toContain("--insecure-peer");
  expect(await failure(berlin, "repl-invite", "--address", "https://x/y")).toContain("has a path");
  expect(await members(berlin)).toEqual([]);
  const token = await invite(berlin, first);
  expect(await failure(paris, "repl-join", "no-token", "--address", "https://x")).toContain(
    "token",
  );
  const asBerlin = ["repl-join", token, "--address", plain, "--insecure-peer"];
  expect(await failure(paris, ...asBerlin)).toContain(`At ${plain} others reach berlin`);
  expect(await members(berlin)).toEqual(["berlin active self"]);
  await joinWith(paris, second, token);
  const used = ["repl-join", token, "--address", `http://127.0.0.1:${third.port}`];
  const refused = await atoll(rome, ...used, "--insecure-peer");
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining("by another site") });
  expect(await members(rome)).toEqual([]);
  expect(await failure(berlin, "repl-remove", "nowhere")).toContain("nowhere");
  expect(await failure(berlin, "repl-remove", "berlin")).toContain("by another one");
  // A dead site is removed as well as one that runs.
  const bucket = await makeBucket(sdkFor(first));
  await told(berlin, "repl-home", "set", bucket, "paris");
  await second.kill("SIGKILL");
  expect(await told(berlin, "repl-remove", "paris")).toMatchObject({ homes: [bucket] });
  expect(await members(berlin)).toEqual(["berlin active self", "paris removed"]);
  // Who does not answer is another matter than who refuses: scripts try again.
  const unused = await invite(berlin, first);
  await first.stop();
  const silent = await atoll(rome, "repl-join", unused, ...used.slice(2), "--insecure-peer");
  expect(silent).toMatchObject({ status: 4, stderr: expect.stringContaining("cannot be reached") });
});

test("a site that is not served says that it must be", async () => {
  const berlin = siteOf("berlin");
  const server = await start(berlin, "uws");
  await server.stop();
  expect(await failure(berlin, "repl-sites")).toContain("no server runs");
});

test("sites with certificates of their own trust each other by the token", async () => {
  const [berlin, paris] = [siteOf("berlin"), siteOf("paris")];
  const first = await startTls(berlin);
  const second = await startTls(paris);
  try {
    const address = (port: number) => ["--address", `https://127.0.0.1:${port}`];
    const invited = await told(berlin, "repl-invite", ...address(first.port));
    const joined = await told(
      paris,
      "repl-join",
      String(invited["token"]),
      ...address(second.port),
    );
    expect(joined["outcome"]).toBe("joined");
    expect(await members(berlin)).toEqual(["berlin active self", "paris active"]);
  } finally {
    for (const { child } of [first, second]) {
      child.kill("SIGTERM");
      await once(child, "close");
    }
  }
});

type TlsServer = { readonly child: ChildProcess; readonly port: number };

async function startTls({ name, data }: Site): Promise<TlsServer> {
  const port = await freePort();
  const where = ["--data", data, "--listen", `127.0.0.1:${port}`, "--site-name", name];
  const child = spawn(process.execPath, [MAIN, "serve", ...where, "--tls-self-signed"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let log = "";
  for await (const part of child.stdout) {
    log += String(part);
    if (log.includes('"serving"')) return { child, port };
  }
  throw new Error(`The server ended while starting:\n${log}`);
}
