import { expect, test } from "vitest";
import type { Clock } from "../ports/clock.ts";
import type { Network, NetworkRequest } from "../ports/network.ts";
import { answersOnSocket, connectAdminSocket, expectSuccess } from "./admin-client.ts";

/** A clock on which everything that is scheduled happens as soon as somebody waits. */
const impatient: Clock = {
  nowMs: () => 0,
  monotonicMs: () => 0,
  sleep: async () => undefined,
  after: (_ms, callback) => {
    queueMicrotask(callback);
    return () => undefined;
  },
};

function answering(status: number, text: string, asked: NetworkRequest[] = []): Network {
  return {
    request: async (request) => {
      asked.push(request);
      return {
        ...{ status, headers: {} },
        body: (async function* () {
          yield Buffer.from(text.slice(0, 3));
          yield Buffer.from(text.slice(3));
        })(),
      };
    },
  };
}

const patient: Clock = { ...impatient, after: () => () => undefined };

test("a call goes to the socket as JSON and comes back as JSON", async () => {
  const asked: NetworkRequest[] = [];
  const client = connectAdminSocket(answering(201, '{"access_key":"A"}', asked), "/run/a.sock");
  const reply = await client.call("POST", "keys", { grants: ["read"] });
  expect(reply).toEqual({ status: 201, body: { access_key: "A" } });
  expect(asked[0]).toMatchObject({
    target: { kind: "socket", path: "/run/a.sock" },
    method: "POST",
    path: "/v1/admin/keys",
    headers: { "content-length": "19" },
  });
});

test("a server is there when it answers", async () => {
  expect(await answersOnSocket(answering(200, "{}"), patient, "/a")).toBe(true);
  expect(await answersOnSocket(answering(500, "{}"), patient, "/a")).toBe(false);
  expect(await answersOnSocket(answering(200, "not JSON"), patient, "/a")).toBe(false);
  const refusing: Network = { request: () => Promise.reject(new Error("ECONNREFUSED")) };
  expect(await answersOnSocket(refusing, patient, "/a")).toBe(false);
});

test("a server that stands still is given up on", async () => {
  const silent: Network = {
    request: ({ signal }) =>
      new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(new Error("aborted")));
      }),
  };
  expect(await answersOnSocket(silent, impatient, "/a")).toBe(false);
});

test.each([
  [404, "UsageError", "No such key."],
  [503, "StorageFault", "No such key."],
  [500, "StorageFault", "No such key."],
])("an answer with status %i is a %s in the server's words", (status, name, message) => {
  const reply = { status, body: { error: { message } } };
  expect(() => expectSuccess(reply)).toThrow(expect.objectContaining({ name, message }));
});

test("a peer that the server cannot reach is told from a server that has too much to do", () => {
  for (const [kind, told] of [
    ["unreachable", "unreachable"],
    ["busy", "busy"],
    ["disk-full", "busy"],
  ]) {
    const body = { error: { message: "It did not work.", kind } };
    expect(() => expectSuccess({ status: 503, body })).toThrow(
      expect.objectContaining({ kind: told, message: "It did not work." }),
    );
  }
});

test("a server whose site is not open is no failure of the site", () => {
  const body = { error: { message: "The server is recovering." }, state: "recovering" };
  expect(() => expectSuccess({ status: 503, body })).toThrow(
    expect.objectContaining({ kind: "unreachable", message: "The server is recovering." }),
  );
});
