import { type ChildProcess, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { Agent, request } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import aws4 from "aws4";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runProgram } from "../support/run-program.ts";
import { ENGINES, type Engine, freePort, REGION, ROOT_KEY } from "../support/server.ts";

// Made for these tests only; nobody trusts it.
const TLS = join(dirname(fileURLToPath(import.meta.url)), "..", "support", "tls");
const certificate = join(TLS, "cert.pem");
const key = join(TLS, "key.pem");
const MAIN = join(TLS, "..", "..", "..", "dist", "main.cjs");

type TlsServer = { readonly child: ChildProcess; readonly host: string; readonly port: number };

/** Starts the built program and waits for the line in which it says that it serves. */
async function startTls(
  data: string,
  engine: Engine,
  tls: readonly string[] = ["--tls-cert", certificate, "--tls-key", key],
): Promise<TlsServer> {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const place = ["--data", data, "--listen", host, "--engine", engine];
  const child = spawn(process.execPath, [MAIN, "serve", ...place, ...tls], {
    env: {
      ...process.env,
      ATOLL_ROOT_ACCESS_KEY: ROOT_KEY.accessKey,
      ATOLL_ROOT_SECRET_KEY: ROOT_KEY.secretKey,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let log = "";
  for await (const part of child.stdout) {
    log += String(part);
    if (log.includes('"serving"')) return { child, host, port };
  }
  throw new Error(`The server ended while starting:\n${log}`);
}

/** A server of its own whose certificate `write` replaces; gives the certificate it shows. */
async function startRenewable(engine: Engine) {
  const place = mkdtempSync(join(tmpdir(), "atoll-tls-renewed-"));
  const [certificatePath, keyPath] = [join(place, "cert.pem"), join(place, "key.pem")];
  const write = (suffix: string): string => {
    copyFileSync(join(TLS, `key${suffix}.pem`), keyPath);
    copyFileSync(join(TLS, `cert${suffix}.pem`), certificatePath);
    return readFileSync(certificatePath, "utf8");
  };
  const first = write("");
  const flags = ["--tls-cert", certificatePath, "--tls-key", keyPath];
  const renewed = await startTls(join(place, "data"), engine, flags);
  const end = async (): Promise<void> => {
    renewed.child.kill("SIGTERM");
    await once(renewed.child, "close");
    rmSync(place, { recursive: true, force: true });
  };
  return { renewed, first, write, certificatePath, end };
}

/** The certificate that a new connection is shown. */
function shownCertificate(server: TlsServer): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false });
    socket.on("error", reject);
    socket.on("secureConnect", () => {
      const shown = socket.getPeerX509Certificate();
      socket.destroy();
      if (shown === undefined) reject(new Error("no certificate"));
      else resolve(shown);
    });
  });
}

/** Asks until the server shows this certificate; the suite's own limit ends what never comes. */
async function untilShown(server: TlsServer, pem: string): Promise<void> {
  const wanted = new X509Certificate(pem).fingerprint256;
  while ((await shownCertificate(server)).fingerprint256 !== wanted) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

type Answer = { readonly status: number; readonly body: string };

/** One signed request over TLS, trusting our certificate and no other. */
function ask(
  server: TlsServer,
  method: string,
  path: string,
  body = "",
  trusted = [readFileSync(certificate, "utf8")],
): Promise<Answer> {
  const { headers } = aws4.sign(
    {
      ...{ service: "s3", region: REGION, method, path, host: server.host },
      headers: { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "Content-Length": body.length },
    },
    { accessKeyId: ROOT_KEY.accessKey, secretAccessKey: ROOT_KEY.secretKey },
  );
  return new Promise((resolve, reject) => {
    const call = request({
      ...{ host: "127.0.0.1", port: server.port, method, path },
      ...{ ca: trusted, headers: headers as Record<string, string> },
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

  test("[S11] [N1] who connects and never speaks is cut as on a port without encryption", async () => {
    // The version of TLS and the length of a hello, and nothing of it.
    const beginnings = [Buffer.alloc(0), Buffer.from("1603010200", "hex")];
    let gone = 0;
    for (const beginning of beginnings) {
      const socket = connectTcp(server.port, "127.0.0.1");
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        gone += 1;
      });
      socket.resume();
      socket.write(beginning);
    }
    await expect.poll(() => gone, { timeout: 60_000, interval: 250 }).toBe(beginnings.length);
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

  test("an authority that is none is refused before a site is made", async () => {
    const elsewhere = join(data, `authority-${engine}`);
    const place = ["--data", elsewhere, "--listen", `127.0.0.1:${await freePort()}`];
    const { status, stderr } = await runProgram(process.execPath, [
      ...[MAIN, "serve", ...place, "--engine", engine, "--tls-key", key],
      ...["--tls-cert", certificate, "--tls-authority", key],
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^atoll serve: .* holds no certificates .*\n$/);
    expect(existsSync(elsewhere)).toBe(false);
  });

  test("a renewed certificate is taken on SIGHUP; connections of before go on", async () => {
    const { renewed, first, write, certificatePath, end } = await startRenewable(engine);
    try {
      await untilShown(renewed, first);
      const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
      expect(await live(renewed, agent)).toBe(200);

      writeFileSync(certificatePath, "no certificate");
      renewed.child.kill("SIGHUP");
      expect(await live(renewed, agent)).toBe(200);
      await untilShown(renewed, first);

      expect((await ask(renewed, "PUT", "/held")).status).toBe(200);
      const finishUpload = await beginUpload(renewed, "/held/a", "hello");
      const second = write("-renewed");
      renewed.child.kill("SIGHUP");
      await untilShown(renewed, second);
      agent.destroy();
      expect(await finishUpload()).toBe(200);
      expect((await ask(renewed, "GET", "/held/a", "", [second])).body).toBe("hello");
    } finally {
      await end();
    }
  });

  test("no connection is lost while a certificate is renewed", async () => {
    const { renewed, first, write, end } = await startRenewable(engine);
    try {
      const waiting = connectTcp(renewed.port, "127.0.0.1");
      await once(waiting, "connect");
      let shown = 0;
      for (let round = 0; round < 20; round++) {
        const now = round % 2 === 0 ? write("-renewed") : write("");
        renewed.child.kill("SIGHUP");
        // Every look is a connection, and one that fails ends the test.
        await Promise.all([1, 2, 3, 4].map(() => untilShown(renewed, now)));
        shown++;
      }
      expect(shown).toBe(20);
      await untilShown(renewed, first);
      expect(await statusOver(waiting)).toBe("HTTP/1.1 200 OK");
    } finally {
      await end();
    }
  });

  test("files may be symbolic links: certbot's are, and mounted settings", async () => {
    const place = mkdtempSync(join(tmpdir(), "atoll-tls-linked-"));
    const linked = (name: string, target: string): string => {
      symlinkSync(target, join(place, name));
      return join(place, name);
    };
    const settings = join(place, "settings-1.json");
    const [tlsCert, tlsKey] = [linked("cert.pem", certificate), linked("key.pem", key)];
    writeFileSync(settings, JSON.stringify({ tlsCert, tlsKey }));
    const config = ["--config", linked("settings.json", settings)];
    const own = await startTls(join(place, "data"), engine, config);
    try {
      expect((await ask(own, "GET", "/")).status).toBe(200);
    } finally {
      own.child.kill("SIGTERM");
      await once(own.child, "close");
      rmSync(place, { recursive: true, force: true });
    }
  });

  test("--tls-self-signed makes a certificate for its owner only, and keeps it", async () => {
    const place = mkdtempSync(join(tmpdir(), "atoll-tls-own-"));
    const data = join(place, "data");
    const files = ["self-signed.pem", "self-signed-key.pem"].map((name) => join(data, "tls", name));
    const shown: string[] = [];
    for (let start = 0; start < 2; start++) {
      const own = await startTls(data, engine, ["--tls-self-signed"]);
      const certificateNow = await shownCertificate(own);
      expect(certificateNow.checkHost("localhost")).toBe("localhost");
      expect(certificateNow.checkIP("127.0.0.1")).toBe("127.0.0.1");
      shown.push(certificateNow.fingerprint256);
      own.child.kill("SIGTERM");
      await once(own.child, "close");
    }
    expect(shown[1]).toBe(shown[0]);
    for (const file of files) {
      expect(existsSync(file)).toBe(true);
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
    rmSync(place, { recursive: true, force: true });
  });
});

/** Resolves when the server has begun to receive; the result sends the body, gives the status. */
async function beginUpload(
  server: TlsServer,
  path: string,
  body: string,
): Promise<() => Promise<number>> {
  const { headers } = aws4.sign(
    {
      ...{ service: "s3", region: REGION, method: "PUT", path, host: server.host },
      headers: { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "Content-Length": body.length },
    },
    { accessKeyId: ROOT_KEY.accessKey, secretAccessKey: ROOT_KEY.secretKey },
  );
  const call = request({
    ...{ host: "127.0.0.1", port: server.port, method: "PUT", path, rejectUnauthorized: false },
    headers: { ...(headers as Record<string, string>), Expect: "100-continue" },
  });
  const status = new Promise<number>((resolve, reject) => {
    call.on("error", reject);
    call.on("response", (response) => resolve(response.statusCode ?? 0));
  });
  call.flushHeaders();
  await Promise.race([once(call, "continue"), status]);
  return () => {
    call.end(body);
    return status;
  };
}

/** First line of the health page over a connection that has not shaken hands yet. */
async function statusOver(socket: Socket): Promise<string> {
  const secure = connect({ socket, rejectUnauthorized: false });
  secure.write("GET /v1/health/live HTTP/1.1\r\nHost: a\r\n\r\n");
  const [answer = ""] = await Promise.race([once(secure, "data"), once(secure, "close")]);
  secure.destroy();
  return String(answer).split("\r\n")[0] ?? "";
}

/** Status of the health page over a connection of the agent's. */
function live(server: TlsServer, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const path = "/v1/health/live";
    const call = request({ host: "127.0.0.1", port: server.port, path, agent });
    call.on("error", reject);
    call.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    call.end();
  });
}
