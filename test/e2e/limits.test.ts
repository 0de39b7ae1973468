import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import {
  type RawAnswer,
  requestBytes,
  type SignedRequest,
  sendBytes,
  signedHeaders,
} from "../support/raw-http.ts";
import { ENGINES, type TestServer, useServer } from "../support/server.ts";

/** Addresses of this machine that are not the one a proxy would call from. */
const [HOSTILE, FRIENDLY, THIRD] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];

async function sendFrom(
  server: TestServer,
  from: string | undefined,
  change: Partial<SignedRequest> = {},
): Promise<RawAnswer | undefined> {
  const request = { method: "GET", path: "/", ...change };
  const bytes = requestBytes(request, signedHeaders(server, request));
  return sendBytes(server, bytes, from === undefined ? {} : { from });
}

const outcome = (answer: RawAnswer | undefined): string => `${answer?.status} ${answer?.code}`;

describe.each(ENGINES)("limits on %s", (engine) => {
  const server = useServer({
    ...{ engine, listenHost: "0.0.0.0" },
    flags: [
      "--failures-per-address",
      "5",
      "--failures-per-key",
      "8",
      "--requests-per-address",
      "3",
    ],
  });

  test("[S20] [N17] who guesses at a secret is slowed down, and the key's owner is not", async () => {
    const wrong = { secretKey: "guessed" };
    for (let round = 0; round < 5; round++) {
      const answer = await sendFrom(server(), HOSTILE, wrong);
      expect(outcome(answer)).toBe("403 SignatureDoesNotMatch");
    }
    const sixth = await sendFrom(server(), HOSTILE, wrong);
    expect(outcome(sixth)).toBe("503 SlowDown");
    expect(Number(sixth?.headers["retry-after"])).toBeGreaterThan(0);
    // Even the right secret is not looked at: the guess that hits would be told.
    expect(outcome(await sendFrom(server(), HOSTILE))).toBe("503 SlowDown");
    expect(outcome(await sendFrom(server(), FRIENDLY))).toBe("200 ");
    // Three more failures from elsewhere, and the key is only for those who never failed.
    for (let round = 0; round < 3; round++) await sendFrom(server(), THIRD, wrong);
    expect(outcome(await sendFrom(server(), THIRD))).toBe("503 SlowDown");
    expect(outcome(await sendFrom(server(), FRIENDLY))).toBe("200 ");
    // This machine may be a proxy for everybody.
    for (let round = 0; round < 10; round++) await sendFrom(server(), undefined, wrong);
    expect(outcome(await sendFrom(server(), undefined))).toBe("200 ");
  });

  test("[S20] who guesses where the site is watched is slowed down too", async () => {
    const stats = { method: "GET", path: "/v1/meta/stats" };
    const from = "127.0.0.6";
    expect((await sendFrom(server(), from, stats))?.status).toBe(200);
    for (let round = 0; round < 5; round++) {
      const guess = await sendFrom(server(), from, { ...stats, secretKey: `guess ${round}` });
      expect(guess?.status).toBe(403);
    }
    expect((await sendFrom(server(), from, stats))?.status).toBe(403);
    expect(outcome(await sendFrom(server(), from))).toBe("503 SlowDown");
    expect((await sendFrom(server(), "127.0.0.7", stats))?.status).toBe(200);
  });

  test("one address has so many requests under way, and others their own", async () => {
    const bucket = { method: "PUT", path: "/limited-bucket" };
    expect(outcome(await sendFrom(server(), undefined, bucket))).toBe("200 ");
    const held: Socket[] = [];
    for (let count = 0; count < 3; count++) held.push(await holdUpload(server(), FRIENDLY));
    const fourth = await sendFrom(server(), FRIENDLY);
    expect(outcome(fourth)).toBe("503 SlowDown");
    expect(fourth?.headers["retry-after"]).toBe("1");
    expect(outcome(await sendFrom(server(), "127.0.0.5"))).toBe("200 ");
    for (const socket of held) socket.destroy();
    // A connection that has gone gives its place back.
    await expect
      .poll(async () => outcome(await sendFrom(server(), FRIENDLY)), { timeout: 30_000 })
      .toBe("200 ");
  });
});

/** Begins an upload whose body does not come; resolves when the server waits for it. */
function holdUpload(server: TestServer, localAddress: string): Promise<Socket> {
  const request = {
    ...{ method: "PUT", path: "/limited-bucket/held" },
    headers: {
      "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
      "Content-Length": "1000",
      Expect: "100-continue",
    },
  };
  const bytes = requestBytes(request, signedHeaders(server, request));
  return new Promise((resolve, reject) => {
    const socket = connect({ port: server.port, host: "127.0.0.1", localAddress });
    socket.on("error", reject);
    socket.once("data", () => resolve(socket));
    socket.write(bytes);
  });
}
