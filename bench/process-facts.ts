import { readFileSync } from "node:fs";

/** USER_HZ, which Linux fixes for everything under /proc. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;
const MB = 1e6;

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(text)?.[1] ?? 0);
}

export type Memory = {
  /** All resident pages, those of the mapped index included. */
  readonly residentMb: number;
  /** What the process itself holds: without pages of files, which the kernel may take back. */
  readonly ownMb: number;
};

export function readMemory(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    residentMb: (field(status, "VmRSS") * KIB) / MB,
    ownMb: (field(status, "RssAnon") * KIB) / MB,
  };
}

export type Effort = { readonly cpuSeconds: number; readonly diskKib: number };

/** CPU and disk bytes since the process began. */
export function readEffort(pid: number): Effort {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold anything; the fields after it are plain numbers.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const io = readFileSync(`/proc/${pid}/io`, "utf8");
  const bytes = field(io, "read_bytes") + field(io, "write_bytes");
  return { cpuSeconds: ticks / TICKS_PER_SECOND, diskKib: bytes / KIB };
}
