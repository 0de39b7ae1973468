import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { GetObjectCommand, ListBucketsCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import aws4 from "aws4";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Finished, runProgram } from "../support/run-program.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { freePort, REGION, ROOT_KEY, startServer, type TestServer } from "../support/server.ts";

const MAIN = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "dist", "main.cjs");

/** Runs the built program with what an operator would type. */
function atoll(...typed: string[]): Promise<Finished> {
  return runProgram(process.execPath, [MAIN, ...typed]);
}

async function json(...typed: string[]): Promise<Record<string, unknown>> {
  const { status, stdout, stderr } = await atoll(...typed, "--json");
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

describe("a running site, from the operator's side", () => {
  let server: TestServer;
  let data: string;

  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), "atoll-operator-"));
    const env = { ATOLL_METRICS_TOKEN: "canary-token-0123456789" };
    server = await startServer({ dataDirectory: data, env });
  });

  afterAll(async () => {
    await server.stop();
    rmSync(data, { recursive: true, force: true });
  });

  function clientOf(key: Record<string, unknown>) {
    const accessKeyId = String(key["access_key"]);
    const secretAccessKey = String(key["secret_key"]);
    return sdkFor(server, { credentials: { accessKeyId, secretAccessKey } });
  }

  /** GET of the site's own API, signed by a key. */
  async function signedGet(path: string, key: Record<string, unknown>): Promise<Response> {
    const credentials = {
      accessKeyId: String(key["access_key"]),
      secretAccessKey: String(key["secret_key"]),
    };
    const { headers } = aws4.sign(
      {
        ...{ service: "s3", region: REGION, method: "GET", path, host: server.host },
        headers: { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD" },
      },
      credentials,
    );
    return fetch(server.endpoint + path, { headers: headers as Record<string, string> });
  }

  test("status says what it is doing", async () => {
    expect(await json("status", "--data", data)).toMatchObject({
      schema_version: 1,
      state: "serving",
      endpoint: server.endpoint,
      data,
    });
    const { stdout } = await atoll("status", "--data", data);
    expect(stdout).toMatch(/^state +serving$/m);
  });

  test("a key may do at once what it is granted, and nothing else", async () => {
    const bucket = await makeBucket(sdkFor(server));
    const other = await makeBucket(sdkFor(server));
    const key = await json(
      ...["keys", "create", "--grant", "read-write", "--bucket", bucket, "--data", data],
    );
    const s3 = clientOf(key);
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: "a", Body: "hello" }));
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: "a" }));
    expect(await Body?.transformToString()).toBe("hello");
    const put = s3.send(new PutObjectCommand({ Bucket: other, Key: "a", Body: "hello" }));
    expect(await refusalOf(put)).toBe("403 AccessDenied");
    const { Buckets } = await s3.send(new ListBucketsCommand({}));
    expect(Buckets?.map(({ Name }) => Name)).toEqual([bucket]);
  });

  test("a key that is disabled, or deleted, is refused from then on", async () => {
    const key = await json("keys", "create", "--grant", "read", "--data", data);
    const id = String(key["access_key"]);
    const s3 = clientOf(key);
    await s3.send(new ListBucketsCommand({}));
    await json("keys", "disable", id, "--data", data);
    expect(await refusalOf(s3.send(new ListBucketsCommand({})))).toBe("403 InvalidAccessKeyId");
    await json("keys", "enable", id, "--data", data);
    await s3.send(new ListBucketsCommand({}));
    await json("keys", "delete", id, "--data", data);
    expect(await refusalOf(s3.send(new ListBucketsCommand({})))).toBe("403 InvalidAccessKeyId");
    expect((await atoll("keys", "show", id, "--data", data)).status).toBe(2);
  });

  test("stats and metrics are for the token and for keys that may watch", async () => {
    const watcher = await json("keys", "create", "--grant", "admin:stats", "--data", data);
    const reader = await json("keys", "create", "--grant", "read", "--data", data);
    const root = { access_key: ROOT_KEY.accessKey, secret_key: ROOT_KEY.secretKey };
    const bearer = { headers: { authorization: "Bearer canary-token-0123456789" } };
    for (const path of ["/v1/meta/stats", "/v1/metrics"]) {
      expect((await fetch(server.endpoint + path)).status).toBe(403);
      expect((await fetch(server.endpoint + path, bearer)).status).toBe(200);
      expect((await signedGet(path, watcher)).status).toBe(200);
      expect((await signedGet(path, root)).status).toBe(200);
      expect((await signedGet(path, reader)).status).toBe(403);
      const forged = { ...watcher, secret_key: "not-the-secret-key" };
      expect((await signedGet(path, forged)).status).toBe(403);
    }
    const refused = clientOf(watcher).send(new ListBucketsCommand({}));
    expect(await refusalOf(refused)).toBe("403 AccessDenied");
  });

  test("stats count what clients did", async () => {
    const s3 = sdkFor(server);
    const bucket = await makeBucket(s3);
    const body = Buffer.alloc(5000, 1);
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: "a", Body: body }));
    const missing = s3.send(new GetObjectCommand({ Bucket: bucket, Key: "b" }));
    expect(await refusalOf(missing)).toBe("404 NoSuchKey");
    const answer = await fetch(`${server.endpoint}/v1/meta/stats`, {
      headers: { authorization: "Bearer canary-token-0123456789" },
    });
    const stats = (await answer.json()) as {
      buckets: Record<string, { objects: number; bytes: number; requests: unknown }>;
      requests: Record<string, { errors: Record<string, number>; latency_ms: object }>;
      site: { state: string };
    };
    expect(stats.site.state).toBe("serving");
    expect(stats.buckets[bucket]).toMatchObject({
      objects: 1,
      bytes: 5000,
      requests: { CreateBucket: 1, PutObject: 1, GetObject: 1 },
    });
    expect(stats.requests["GetObject"]?.errors["NoSuchKey"]).toBeGreaterThanOrEqual(1);
    expect(Object.keys(stats.requests["PutObject"]?.latency_ms ?? {})).toEqual([
      "p50",
      "p95",
      "p99",
    ]);
  });

  test("no secret reaches the log", async () => {
    const key = await json("keys", "create", "--grant", "read", "--data", data);
    await clientOf(key).send(new ListBucketsCommand({}));
    const log = server.log();
    expect(log).toContain('"operation":"ListBuckets"');
    for (const secret of [key["secret_key"], ROOT_KEY.secretKey, "canary-token-0123456789"]) {
      expect(log).not.toContain(String(secret));
    }
  });

  test("a hangup ends no server: without TLS it says that there is nothing to read", async () => {
    process.kill(server.pid, "SIGHUP");
    await expect.poll(() => server.log()).toContain("there is nothing to take anew");
    expect(await json("status", "--data", data)).toMatchObject({ state: "serving" });
  });

  test("what would open the same directory is refused with exit code 4", async () => {
    const second = ["--data", data, "--listen", `127.0.0.1:${await freePort()}`];
    for (const typed of [
      ["serve", ...second],
      ["rebuild-index", "--data", data],
    ]) {
      const { status, stderr } = await atoll(...typed);
      expect(status).toBe(4);
      expect(stderr).toMatch(/is in use by process \d+ .* Stop that process first/);
    }
  });

  test("a server that stands still is not said to be none", async () => {
    process.kill(server.pid, "SIGSTOP");
    const { status, stderr } = await atoll("status", "--data", data);
    process.kill(server.pid, "SIGCONT");
    expect([status, stderr]).toEqual([
      4,
      expect.stringContaining(`process ${server.pid} has ${data} and does not answer.`),
    ]);
  });

  test("what a command says and nobody takes is a failure: a secret would be gone", async () => {
    const typed = `"${process.execPath}" "${MAIN}"`;
    const create = `${typed} keys create --grant read --data "${data}"`;
    const full = await runProgram("sh", ["-c", `${create} > /dev/full`]);
    expect(full.status).toBe(1);
    expect(full.stderr).toMatch(
      /^atoll keys create: what it says cannot be written \(ENOSPC\)\.\n$/,
    );
    // Who watches ends with whom it is shown to, and without a word.
    const watch = `${typed} repl-status --watch --every 0.05 --data "${data}"`;
    const shown = await runProgram("sh", ["-c", `{ ${watch}; echo "ended: $?" >&2; } | head -n 1`]);
    expect(shown).toMatchObject({ status: 0, stderr: "ended: 1\n" });
  });

  test("help that nobody reads to its end is no fault of the program", async () => {
    const typed = `"${process.execPath}" "${MAIN}"`;
    const piped = (tail: string) =>
      runProgram("sh", [
        "-c",
        `{ sleep 0.1; ${typed} ${tail}; echo "ended: $?" >&3; } 3>&2 | true`,
      ]);
    for (const asked of ["--help", "serve --help", "--version"]) {
      expect(await piped(asked), asked).toMatchObject({ stderr: "ended: 1\n" });
    }
    expect(await piped("no-such-command 2>&1")).toMatchObject({ stderr: "ended: 2\n" });
    const full = await runProgram("sh", ["-c", `${typed} --help > /dev/full`]);
    expect([full.status, full.stderr]).toEqual([
      1,
      "atoll: what it says cannot be written (ENOSPC).\n",
    ]);
  });

  test("a port in use is said in one line with exit code 4", async () => {
    const directory = mkdtempSync(join(tmpdir(), "atoll-operator-"));
    for (const engine of ["uws", "node"]) {
      const { status, stderr } = await atoll(
        ...["serve", "--data", directory, "--listen", server.host, "--engine", engine],
      );
      expect(status).toBe(4);
      expect(stderr).toMatch(/^atoll serve: cannot listen on 127\.0\.0\.1:\d+\. .*\n$/);
    }
    rmSync(directory, { recursive: true, force: true });
  });
});

describe("a data directory", () => {
  let data: string;

  beforeAll(() => {
    data = join(mkdtempSync(join(tmpdir(), "atoll-operator-")), "data");
  });

  afterAll(() => {
    rmSync(dirname(data), { recursive: true, force: true });
  });

  test("without a site is not made one by a command that only asks", async () => {
    for (const [typed, status] of [
      [["keys", "list"], 2],
      [["rebuild-index"], 2],
      [["status"], 4],
    ] as const) {
      expect((await atoll(...typed, "--data", data)).status).toBe(status);
    }
    expect(existsSync(data)).toBe(false);
  });

  test("is served for the first time: a root key of its own, never in the log", async () => {
    const env = { ATOLL_ROOT_ACCESS_KEY: "", ATOLL_ROOT_SECRET_KEY: "" };
    const server = await startServer({ dataDirectory: data, env });
    const root = await json("keys", "root", "--show", "--data", data);
    expect(root["source"]).toBe("file");
    const credentials = {
      accessKeyId: String(root["access_key"]),
      secretAccessKey: String(root["secret_key"]),
    };
    const s3 = sdkFor(server, { credentials });
    await s3.send(new ListBucketsCommand({}));
    expect(server.log()).toContain(join(data, "root-key.json"));
    expect(server.log()).not.toContain(credentials.secretAccessKey);
    const rotated = await json("keys", "root", "--rotate", "--data", data);
    expect(await refusalOf(s3.send(new ListBucketsCommand({})))).toBe("403 InvalidAccessKeyId");
    expect(await server.stop()).toBe(0);
    const file = JSON.parse(readFileSync(join(data, "root-key.json"), "utf8"));
    expect(file["secretKey"]).toBe(rotated["secret_key"]);
  });

  test("keeps keys that were made without a server, under the same lock", async () => {
    const key = await json("keys", "create", "--grant", "read-write", "--data", data);
    const server = await startServer({ dataDirectory: data });
    const credentials = {
      accessKeyId: String(key["access_key"]),
      secretAccessKey: String(key["secret_key"]),
    };
    await makeBucket(sdkFor(server, { credentials }));
    await server.kill("SIGKILL");
    const listed = await json("keys", "list", "--data", data);
    expect(JSON.stringify(listed)).toContain(credentials.accessKeyId);
    expect(await json("rebuild-index", "--data", data)).toMatchObject({ objects: 0 });
    expect(await json("keys", "list", "--data", data)).toEqual(listed);
  });

  test("reached by a link, or written by everybody, is refused in one sentence", async () => {
    const link = join(dirname(data), "link");
    symlinkSync(data, link);
    const serve = async (directory: string) =>
      atoll("serve", "--data", directory, "--listen", `127.0.0.1:${await freePort()}`);
    expect(await serve(link)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^atoll serve: .* is a symbolic link\. .*\n$/),
    });
    chmodSync(data, 0o777);
    expect(await serve(data)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^atoll serve: .* can be written by every user\. .*\n$/),
    });
    chmodSync(data, 0o700);
  });
});

describe("a shutdown", () => {
  test("finishes what is under way, refuses what is new, and exits with 0", async () => {
    const server = await startServer();
    const s3 = sdkFor(server);
    const bucket = await makeBucket(s3);
    // The server's 100 Continue proves that the request is under way before its body comes.
    const socket = createConnection(server.port, "127.0.0.1");
    const { headers = {} } = aws4.sign(
      {
        ...{ service: "s3", region: REGION, method: "PUT", path: `/${bucket}/slow` },
        ...{ host: server.host },
        headers: { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "Content-Length": 9 },
      },
      { accessKeyId: ROOT_KEY.accessKey, secretAccessKey: ROOT_KEY.secretKey },
    );
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes.toString();
    });
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.write(`PUT /${bucket}/slow HTTP/1.1\r\nExpect: 100-continue\r\n${head.join("")}\r\n`);
    await expect.poll(() => answer).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    const stopped = server.stop();
    await expect.poll(() => server.log()).toContain("shutting down");
    // Nobody takes the directory meanwhile, not even who does not see this process.
    const data = server.dataDirectory;
    const lock: object = JSON.parse(readFileSync(join(data, "LOCK"), "utf8"));
    writeFileSync(join(data, "LOCK"), JSON.stringify({ ...lock, pid: 2 ** 22 + 1 }));
    const other = await atoll("keys", "list", "--data", data);
    expect([other.status, other.stderr]).toEqual([4, expect.stringContaining("is draining")]);
    socket.write("slow body");
    expect(await stopped).toBe(0);
    await closed;
    expect(answer).toContain("\r\n\r\nHTTP/1.1 200 OK\r\n");
    expect(server.log()).toContain("stopped");
  });
});

describe("the command line", () => {
  test("helps, and says what it does not know", async () => {
    const help = await atoll("--help");
    expect(help.status).toBe(0);
    expect(help.stdout).toContain("Manage access keys");
    expect((await atoll("serve", "--help")).stdout).toContain("--segment-size <SIZE>");
    expect(await atoll("serv")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("Did you mean serve?"),
    });
    expect(await atoll("serve", "--listen", "nowhere")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("expected HOST:PORT"),
    });
    const version = JSON.parse((await atoll("version", "--json")).stdout);
    expect(version["version"]).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test("shows each setting with its source, and no secret", async () => {
    const env = {
      ATOLL_REGION: "eu-1",
      ATOLL_ROOT_ACCESS_KEY: "admin",
      ATOLL_ROOT_SECRET_KEY: "canary-secret",
    };
    const typed = [MAIN, "config", "show", "--json", "--engine", "node"];
    const { stdout } = await runProgram(process.execPath, typed, { env });
    expect(stdout).not.toContain("canary-secret");
    expect(JSON.parse(stdout)["settings"]).toEqual(
      expect.arrayContaining([
        { name: "region", value: "eu-1", source: "environment" },
        { name: "engine", value: "node", source: "flag" },
        { name: "listen", value: "127.0.0.1:9000", source: "default" },
      ]),
    );
  });
});
