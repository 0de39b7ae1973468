import { expect, test } from "vitest";
import { HTTP_LIMITS } from "./http-limits.ts";
import { ResponseStream, type StreamSocket } from "./uws-stream.ts";

/** A socket that takes `room` bytes and is then full until more room is made. */
function fakeSocket(room: number) {
  const state = { room, taken: 0, tries: 0, writable: (_offset: number): boolean => true };
  const socket: StreamSocket = {
    cork: (write) => write(),
    getWriteOffset: () => state.taken,
    onWritable: (callback) => {
      state.writable = callback;
    },
    tryEnd: (bytes, totalBytes) => {
      state.tries++;
      const taken = Math.min(bytes.length, state.room);
      state.room -= taken;
      state.taken += taken;
      return [taken === bytes.length, state.taken === totalBytes];
    },
  };
  return { state, socket };
}

function streamTo(socket: StreamSocket, events: string[]): ResponseStream {
  const slices = [new Uint8Array(6), new Uint8Array(4)];
  return new ResponseStream(socket, {
    writeHead: () => events.push("head"),
    totalBytes: 10,
    source: { next: () => slices.shift(), done: () => events.push("done") },
    ended: (how) => events.push(how),
  });
}

test("a sweep tries a blocked slice again, from where the socket stands", () => {
  const events: string[] = [];
  const { state, socket } = fakeSocket(5);
  const stream = streamTo(socket, events);
  stream.start();
  stream.sweep();
  expect(state).toMatchObject({ taken: 5, tries: 2 });
  state.room = 100;
  stream.sweep();
  expect(state.taken).toBe(10);
  expect(events).toEqual(["head", "sent", "done"]);
});

test("a reader that takes nothing for too long is cut, one that takes a little is not", () => {
  const sweeps = Math.ceil(HTTP_LIMITS.idleMsMax / HTTP_LIMITS.sweepMs);
  const events: string[] = [];
  const { state, socket } = fakeSocket(1);
  const stream = streamTo(socket, events);
  stream.start();
  for (let round = 0; round < 3; round++) {
    state.room = 1;
    state.writable(state.taken);
    state.writable(state.taken);
    for (let count = 0; count < sweeps; count++) stream.sweep();
  }
  expect(events).toEqual(["head"]);
  for (let count = 0; count <= sweeps; count++) stream.sweep();
  expect(events).toEqual(["head", "cut", "done"]);
});
