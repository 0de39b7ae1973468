import type { Server } from "node:net";

/** Lets a server listen at this machine alone; resolves with the port that it was given. */
export function listenLocally(server: Server): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}
