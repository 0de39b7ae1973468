import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Finished, runProgram } from "../support/run-program.ts";
import { freePort, MAIN, ROOT_KEY } from "../support/server.ts";

// Made for these tests only: an authority, and two certificates of 127.0.0.1 that it has issued.
const TLS = join(dirname(fileURLToPath(import.meta.url)), "..", "support", "tls");
const AUTHORITY = join(TLS, "authority.pem");
const TIMEOUT_MS = 240_000;

type Site = { readonly name: string; readonly directory: string; readonly port: number };

let parent: string;
let children: ChildProcess[];

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "atoll-issued-"));
  children = [];
});

afterEach(async () => {
  for (const child of children) await stop(child);
  rmSync(parent, { recursive: true, force: true });
});

async function siteOf(name: string): Promise<Site> {
  return { name, directory: join(parent, name), port: await freePort() };
}

/** Puts the certificate in force that was issued first, or the one after it. */
function issue(name: string, which: "issued" | "issued-renewed"): readonly string[] {
  const [certificate, key] = [join(parent, `${name}.pem`), join(parent, `${name}-key.pem`)];
  copyFileSync(join(TLS, `${which}.pem`), certificate);
  copyFileSync(join(TLS, `${which}-key.pem`), key);
  return ["--tls-cert", certificate, "--tls-key", key];
}

async function start(site: Site, flags: readonly string[]): Promise<ChildProcess> {
  const place = ["--data", site.directory, "--listen", `127.0.0.1:${site.port}`];
  const child = spawn(
    process.execPath,
    [MAIN, "serve", ...place, "--site-name", site.name, ...flags],
    {
      env: {
        ...process.env,
        ATOLL_ROOT_ACCESS_KEY: ROOT_KEY.accessKey,
        ATOLL_ROOT_SECRET_KEY: ROOT_KEY.secretKey,
      },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  children.push(child);
  let log = "";
  for await (const part of child.stdout) {
    log += String(part);
    if (log.includes('"serving"')) break;
  }
  child.stdout.resume();
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

function atoll(site: Site, ...words: readonly string[]): Promise<Finished> {
  return runProgram(process.execPath, [MAIN, ...words, "--data", site.directory]);
}

async function told(site: Site, ...words: readonly string[]): Promise<Record<string, unknown>> {
  const { status, stdout, stderr } = await atoll(site, ...words, "--json");
  expect(status, stderr + stdout).toBe(0);
  return JSON.parse(stdout);
}

async function joinWith(berlin: Site, paris: Site): Promise<Finished> {
  const at = (site: Site) => ["--address", `https://127.0.0.1:${site.port}`];
  const { token } = await told(berlin, "repl-invite", ...at(berlin));
  return atoll(paris, "repl-join", String(token), ...at(paris));
}

test(
  "sites whose certificates an authority of their own issued are peers, and stay so over renewals",
  async () => {
    const [berlin, paris] = [await siteOf("berlin"), await siteOf("paris")];
    const authority = ["--tls-authority", AUTHORITY];
    const first = await start(berlin, [...issue("berlin", "issued"), ...authority]);
    await start(paris, [...issue("paris", "issued"), ...authority]);
    const joined = await joinWith(berlin, paris);
    expect(joined.status, joined.stderr).toBe(0);
    await told(berlin, "keys", "create", "--name", "one", "--grant", "own");
    await told(berlin, "repl-push", "--wait", "60");
    expect((await atoll(paris, "keys", "list")).stdout).toContain("one");

    await stop(first);
    await start(berlin, [...issue("berlin", "issued-renewed"), ...authority]);
    await told(paris, "keys", "create", "--name", "two", "--grant", "own");
    await told(paris, "repl-push", "--wait", "60");
    await told(berlin, "keys", "create", "--name", "three", "--grant", "own");
    await told(paris, "repl-pull", "--peer", "berlin");
    expect((await atoll(berlin, "keys", "list")).stdout).toContain("two");
    expect((await atoll(paris, "keys", "list")).stdout).toContain("three");
  },
  TIMEOUT_MS,
);

test(
  "a site whose certificate another authority issued is not believed",
  async () => {
    const [berlin, paris] = [await siteOf("berlin"), await siteOf("paris")];
    const other = ["--tls-cert", join(TLS, "cert.pem"), "--tls-key", join(TLS, "key.pem")];
    await start(berlin, [...other, "--tls-authority", AUTHORITY]);
    await start(paris, [...issue("paris", "issued"), "--tls-authority", AUTHORITY]);
    const refused = await joinWith(berlin, paris);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toMatch(/certificate|reach/);
    const { sites } = (await told(berlin, "repl-sites")) as { sites: unknown[] };
    expect(sites.length).toBeLessThanOrEqual(1);
  },
  TIMEOUT_MS,
);

test("a file that holds no authority lets no server start, and says what it is for", async () => {
  const berlin = await siteOf("berlin");
  const nothing = join(parent, "nothing.pem");
  writeFileSync(nothing, "no certificate");
  const place = ["--data", berlin.directory, "--listen", `127.0.0.1:${berlin.port}`];
  const words = ["serve", ...place, ...issue("berlin", "issued"), "--tls-authority", nothing];
  const { status, stderr, stdout } = await runProgram(process.execPath, [MAIN, ...words]);
  expect(status).toBe(1);
  expect(stderr + stdout).toContain("1 to 4 certificates");
});
