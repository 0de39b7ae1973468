import { connect } from "node:net";
import { expect, test, vi } from "vitest";
import { deferred, HOST, startEngine } from "../../test/support/engine-suite.ts";

vi.mock("./http-limits.ts", async (importOriginal) => {
  const { HTTP_LIMITS } = await importOriginal<typeof import("./http-limits.ts")>();
  return { HTTP_LIMITS: { ...HTTP_LIMITS, idleMsMax: 200 } };
});

const sockets = (): number =>
  process.getActiveResourcesInfo().filter((resource) => resource === "TCPSocketWrap").length;

test("who never reads a whole answer is given up on", async () => {
  const answered = deferred();
  const server = await startEngine.node((exchange) => {
    exchange.send(200, [], Buffer.alloc(64 * 1024 * 1024));
    answered.resolve();
  });
  const client = connect({ port: server.port, host: "127.0.0.1" });
  client.on("error", () => undefined);
  client.pause();
  client.write(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  await answered.promise;
  // The client's own stays: it does not look whether anybody is there.
  await vi.waitFor(() => expect(sockets()).toBe(1), { timeout: 20_000 });
  client.destroy();
  await server.close(0);
});
