import { networkInterfaces } from "node:os";

/** False where the system was started without IPv6: it refuses `::`, its own machine included. */
export function hasIpv6(): boolean {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some(({ family }) => family === "IPv6");
}
