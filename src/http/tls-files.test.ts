import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeSelfSigned } from "../ports/self-signed.ts";
import { systemClock } from "../ports/system-clock.ts";
import type { HttpServer, TlsFiles } from "./exchange.ts";
import { startNodeServer } from "./node-server.ts";
import { startUwsServer } from "./uws-server.ts";

const readFile = async (path: string): Promise<Buffer> => readFileSync(path);

describe.each(["uws", "node"] as const)("certificates of the %s engine", (engine) => {
  let place: string;
  let files: TlsFiles;

  beforeAll(() => {
    place = mkdtempSync(join(tmpdir(), "atoll-tls-files-"));
    files = { certificatePath: join(place, "cert.pem"), keyPath: join(place, "key.pem") };
  });

  afterAll(() => rmSync(place, { recursive: true }));

  function start(): Promise<HttpServer> {
    const settings = { host: "127.0.0.1", port: 0, tls: files };
    return engine === "uws"
      ? startUwsServer(refuse, settings, { clock: systemClock, setEnvironment: () => undefined })
      : startNodeServer(refuse, settings, { clock: systemClock, readFile });
  }

  test("a key of another kind than the certificate's is refused at the start and later", async () => {
    const { certificate, key } = makeSelfSigned(["localhost"], Date.now(), 1);
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const refused = { kind: "unsupported", hint: expect.stringContaining(files.keyPath) };
    writeFileSync(files.certificatePath, certificate);
    writeFileSync(files.keyPath, rsa.privateKey.export({ type: "pkcs8", format: "pem" }));
    await expect(start()).rejects.toMatchObject(refused);
    writeFileSync(files.keyPath, key);
    const server = await start();
    writeFileSync(files.keyPath, rsa.privateKey.export({ type: "pkcs8", format: "pem" }));
    await expect(server.reloadTls()).rejects.toMatchObject(refused);
    await server.close(0);
  });
});

function refuse(): never {
  throw new Error("nobody asks");
}
