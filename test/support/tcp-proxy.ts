import { connect, createServer, type Socket } from "node:net";
import { listenLocally } from "./listen-locally.ts";

/**
 * A wire between two programs that can be cut. `refuses`: who dials is hung up on, as when a host is
 * up and nobody listens. `swallows`: bytes are taken and go nowhere, as when a cable is pulled;
 * nobody is told.
 */
export type WireState = "whole" | "refuses" | "swallows";

export type TcpProxy = {
  readonly port: number;
  /** Where connections go from now on; a program that was started again has another port. */
  aim(port: number): void;
  /** Cuts what is there, or lets through again. Connections of another state end at once. */
  set(state: WireState): void;
  /** Bytes that have gone through, both ways. */
  readonly bytes: () => number;
  close(): Promise<void>;
};

/** Opens a wire to a port of this machine. */
export async function openTcpProxy(target: number): Promise<TcpProxy> {
  let aim = target;
  let state: WireState = "whole";
  let bytes = 0;
  const sockets = new Set<Socket>();

  function keep(socket: Socket): void {
    sockets.add(socket);
    // A cut wire breaks connections; that is what it is for, and both ends see it.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
  }

  function cutAll(): void {
    for (const socket of sockets) socket.destroy();
  }

  const server = createServer((near) => {
    keep(near);
    if (state === "refuses") near.destroy();
    if (state !== "whole") return;
    const far = connect(aim, "127.0.0.1");
    keep(far);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("data", (piece) => {
        bytes += piece.length;
        if (!to.write(piece)) from.pause();
      });
      to.on("drain", () => from.resume());
      from.on("close", () => to.destroy());
      from.on("end", () => to.end());
    }
  });
  server.maxConnections = 1000;
  const port = await listenLocally(server);
  return {
    port,
    aim(next) {
      aim = next;
      cutAll();
    },
    set(next) {
      state = next;
      cutAll();
    },
    bytes: () => bytes,
    close: () =>
      new Promise((resolve) => {
        cutAll();
        server.close(() => resolve());
      }),
  };
}
