import { readdirSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { requestBytes, sendBytes, sendSigned, signedHeaders } from "../support/raw-http.ts";
import { runProgram } from "../support/run-program.ts";
import { ROOT_KEY, type TestServer, useServer } from "../support/server.ts";
import { ENGINES } from "./served-site.ts";

const MAIN = join(import.meta.dirname, "..", "..", "dist", "main.cjs");
const TOKEN = "canary-metrics-token-5f1c";
const CUSTOMER_KEY = Buffer.alloc(32, "canary-customer-key").toString("base64");

/** Doors that servers like this one have had, by the address they stood at. */
const OTHER_DOORS = [
  ...["/v1", "/v1/", "/v1/admin", "/v1/admin/keys", "/v1/admin/keys/ROOT", "/v1/admin/config"],
  ...["/v1/admin/policy", "/v1/admin/root-key", "/v1/meta", "/v1/meta/stats", "/v1/metrics"],
  ...["/v1/peer", "/v1/replication", "/v1/debug", "/v1/../v1/metrics", "/v1//metrics"],
  ...["/minio/health/live", "/minio/bootstrap/v1/verify", "/minio/admin/v3/info", "/minio/v2"],
  ...["/minio/prometheus/metrics", "/minio/admin/v3/list-users", "/rustfs/admin/v3/info"],
  ...["/debug/pprof/", "/debug/vars", "/metrics", "/admin", "/_status", "/.env", "/server-status"],
  ...["/status", "/dir/assign", "/cluster/status", "/swift/v1", "/auth/v1.0", "/_cat", "/console"],
];

async function ask(server: TestServer, method: string, path: string) {
  return sendBytes(server, requestBytes({ method, path }, { Host: server.host }));
}

describe.each(ENGINES)("doors on %s", (engine) => {
  const server = useServer({
    engine,
    flags: ["--log-level", "debug"],
    env: { ATOLL_METRICS_TOKEN: TOKEN },
  });

  test("[S7] [S10] [S27] [S43] [S50] [N27] nothing but health is open to everybody", async () => {
    for (const path of OTHER_DOORS) {
      for (const method of ["GET", "POST", "PUT", "DELETE"]) {
        const answer = await ask(server(), method, path);
        const status = answer?.status ?? 400;
        expect([method, path, status >= 400 && status < 500]).toEqual([method, path, true]);
      }
    }
    for (const path of ["/v1/health/live", "/v1/health/ready"]) {
      const answer = await ask(server(), "GET", path);
      expect([path, answer?.status]).toEqual([path, 200]);
      expect(JSON.parse(answer?.body ?? "")).toEqual({
        schema_version: 1,
        status: expect.any(String),
      });
    }
  });

  test("[S17] [S27] the socket of the administration is its owner's alone", () => {
    const socket = statSync(join(server().dataDirectory, "admin.sock"));
    expect(socket.isSocket()).toBe(true);
    expect(socket.mode & 0o077).toBe(0);
    expect(statSync(server().dataDirectory).mode & 0o077).toBe(0);
  });

  test("[S11] [N1] clients that never finish their heads are cut, and others do not notice", async () => {
    const slow: Socket[] = [];
    let gone = 0;
    for (let count = 0; count < 300; count++) {
      const socket = connect(server().port, "127.0.0.1");
      socket.on("error", () => socket.destroy());
      // What is not read would hide that the connection has ended.
      socket.resume();
      socket.on("close", () => {
        gone += 1;
      });
      socket.write("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
      slow.push(socket);
    }
    for (let count = 0; count < 50; count++) {
      expect((await sendSigned(server(), { method: "GET", path: "/" })).status).toBe(200);
      slow[count]?.write("x");
    }
    await expect.poll(() => gone, { timeout: 60_000, interval: 250 }).toBe(slow.length);
    expect((await sendSigned(server(), { method: "GET", path: "/" })).status).toBe(200);
  });

  test("[S56] uploads that are broken off leave no open files behind", async () => {
    const openFiles = (): number => readdirSync(`/proc/${server().pid}/fd`).length;
    await sendSigned(server(), { method: "PUT", path: "/broken-off" });
    const breakOff = async (): Promise<void> => {
      const headers = { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "Content-Length": "3000000" };
      const request = { method: "PUT", path: "/broken-off/key", headers };
      const socket = connect(server().port, "127.0.0.1");
      socket.on("error", () => socket.destroy());
      socket.write(requestBytes(request, signedHeaders(server(), request)));
      socket.write(Buffer.alloc(200_000));
      await sleep(1);
      socket.destroy();
    };
    for (let count = 0; count < 20; count++) await breakOff();
    const before = openFiles();
    for (let count = 0; count < 300; count++) await breakOff();
    // Threads that hash large bodies come and go, and have four each.
    await expect.poll(openFiles, { timeout: 30_000 }).toBeLessThanOrEqual(before + 16);
    const answer = await sendSigned(server(), { method: "GET", path: "/broken-off/key" });
    expect(answer.status).toBe(404);
  });

  test("[S48] [S49] [S57] [N22] [N23] no secret leaves by a log, a metric, an export or an error", async () => {
    const said: string[] = [];
    const note = async (sent: Promise<{ readonly body: string } | undefined>): Promise<void> => {
      said.push((await sent)?.body ?? "");
    };
    const atoll = async (...typed: string[]): Promise<string> => {
      const args = [MAIN, ...typed, "--data", server().dataDirectory, "--json"];
      return (await runProgram(process.execPath, args)).stdout;
    };
    const created = JSON.parse(await atoll("keys", "create", "--grant", "read"));
    const secret = String(created.secret_key);
    expect(secret.length).toBeGreaterThan(16);
    const own = { accessKey: String(created.access_key), secretKey: secret };
    await sendSigned(server(), { method: "PUT", path: "/canary-bucket" });
    await note(sendSigned(server(), { method: "GET", path: "/canary-bucket", ...own }));
    await note(sendSigned(server(), { method: "PUT", path: "/canary-bucket/x", ...own }));
    // A forged signature: what it should have been must not be said.
    const request = { method: "GET", path: "/canary-bucket/x" };
    const right = signedHeaders(server(), request);
    const signature = /Signature=(\w+)/.exec(right["Authorization"] ?? "")?.[1] ?? "";
    expect(signature).toHaveLength(64);
    const forged = {
      ...right,
      Authorization: right["Authorization"]?.replace(signature, "0".repeat(64)) ?? "",
    };
    await note(sendBytes(server(), requestBytes(request, forged)));
    const link =
      "/canary-bucket/x?X-Amz-Signature=canary-link-signature&X-Amz-Security-Token=canary-session";
    await note(ask(server(), "GET", link));
    const headers = {
      "x-amz-server-side-encryption-customer-algorithm": "AES256",
      "x-amz-server-side-encryption-customer-key": CUSTOMER_KEY,
      "x-amz-server-side-encryption-customer-key-md5": "wrong",
      "x-amz-meta-plain": "x",
    };
    const upload = { method: "PUT", path: "/canary-bucket/encrypted", headers, body: "x" };
    await note(sendSigned(server(), upload));
    for (const path of ["/v1/meta/stats", "/v1/metrics", "/v1/admin/keys"]) {
      const bearer = { Host: server().host, Authorization: `Bearer ${TOKEN}` };
      await note(sendBytes(server(), requestBytes({ method: "GET", path }, bearer)));
      const wrong = { Host: server().host, Authorization: "Bearer canary-wrong-token" };
      await note(sendBytes(server(), requestBytes({ method: "GET", path }, wrong)));
    }
    const exports = [
      await atoll("keys", "list"),
      await atoll("status"),
      await atoll("config", "show"),
    ];
    expect(exports.join("")).toContain(own.accessKey);
    const everything = [...said, ...exports, server().log()].join("\n");
    expect(everything.length).toBeGreaterThan(2000);
    for (const canary of [
      ...[ROOT_KEY.secretKey, secret, TOKEN, CUSTOMER_KEY, signature, "canary-wrong-token"],
      ...["canary-link-signature", "canary-session"],
    ]) {
      expect([canary, everything.includes(canary)]).toEqual([canary, false]);
    }
    expect(said.join("\n")).not.toMatch(/\bat \S+ \(|node_modules|\.js:\d|\/dist\//);
  });
});
