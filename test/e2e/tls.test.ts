import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { sign } from "aws4";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runProgram } from "../support/run-program.ts";
import { ENGINES, type Engine, freePort, REGION, ROOT_KEY } from "../support/server.ts";

// Made for these tests only; nobody trusts it.
const TLS = join(dirname(fileURLToPath(import.meta.url)), "..", "support", "tls");
const certificate = join(TLS, "cert.pem");
const key = join(TLS, "key.pem");
const MAIN = join(TLS, "..", "..", "..", "dist", "main.js");

type TlsServer = { readonly child: ChildProcess; readonly host: string; readonly port: number };

/** Starts the built program and waits for the line in which it says that it serves. */
async function startTls(data: string, engine: Engine): Promise<TlsServer> {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const place = ["--data", data, "--listen", host, "--engine", engine];
  const child = spawn(
    process.execPath,
    [MAIN, "serve", ...place, "--tls-cert", certificate, "--tls-key", key],
    {
      env: {
        ...process.env,
        ATOLL_ROOT_ACCESS_KEY: ROOT_KEY.accessKey,
        ATOLL_ROOT_SECRET_KEY: ROOT_KEY.secretKey,
      },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let log = "";
  for await (const part of child.stdout) {
    log += String(part);
    if (log.includes('"serving"')) return { child, host, port };
  }
  throw new Error(`The server ended while starting:\n${log}`);
}

type Answer = { readonly status: number; readonly body: string };

/** One signed request over TLS, trusting our certificate and no other. */
function ask(server: TlsServer, method: string, path: string, body = ""): Promise<Answer> {
  const { headers } = sign(
    {
      ...{ service: "s3", region: REGION, method, path, host: server.host },
      headers: { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "Content-Length": body.length },
    },
    { accessKeyId: ROOT_KEY.accessKey, secretAccessKey: ROOT_KEY.secretKey },
  );
  return new Promise((resolve, reject) => {
    const call = request({
      ...{ host: "127.0.0.1", port: server.port, method, path },
      ...{ ca: readFileSync(certificate), headers: headers as Record<string, string> },
    });
    call.on("error", reject);
    call.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    call.end(body);
  });
}

describe.each(ENGINES)("TLS on the %s engine", (engine) => {
  let server: TlsServer;
  let data: string;

  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), "atoll-tls-"));
    server = await startTls(data, engine);
  });

  afterAll(async () => {
    server.child.kill("SIGTERM");
    await once(server.child, "close");
    rmSync(data, { recursive: true, force: true });
  });

  test("stores and gives back over an encrypted connection", async () => {
    expect((await ask(server, "PUT", "/secure")).status).toBe(200);
    expect((await ask(server, "PUT", "/secure/a", "hello")).status).toBe(200);
    expect(await ask(server, "GET", "/secure/a")).toEqual({ status: 200, body: "hello" });
  });

  test("does not speak plain HTTP on that port", async () => {
    await expect(fetch(`http://${server.host}/v1/health/live`)).rejects.toThrow();
  });

  test("a certificate that cannot be read is said in one line", async () => {
    const elsewhere = join(data, "elsewhere");
    const place = ["--data", elsewhere, "--listen", `127.0.0.1:${await freePort()}`];
    const { status, stderr } = await runProgram(process.execPath, [
      ...[MAIN, "serve", ...place, "--engine", engine, "--tls-key", key],
      ...["--tls-cert", join(data, "nowhere.pem")],
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^atoll serve: the TLS certificate or its key cannot be used\. .*\n$/);
  });
});
