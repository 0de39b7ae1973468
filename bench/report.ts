import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { mustRun } from "../test/support/run-program.ts";
import type { Options } from "./options.ts";
import { describeBounds, grouped, keeps, ROW_NAMES, type Row, TARGETS } from "./targets.ts";
import type { DiskRates } from "./tools.ts";

export type Report = {
  readonly when: string;
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  readonly runs: number;
  readonly seconds: number;
  readonly objects: number;
  /** Processes that wanted a core, on average over the last minute before we began. */
  readonly loadBefore: number;
  readonly disk: DiskRates;
  readonly rows: readonly Row[];
};

export type ReportInput = Pick<Report, "loadBefore" | "disk"> & {
  readonly options: Options;
  readonly rows: ReadonlyMap<string, Row>;
};

const GIB = 1024 ** 3;

/** The load of the machine over the last minute; a quiet one is below 0.3. */
export function machineLoad(): number {
  return Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]);
}

export async function makeReport(input: ReportInput): Promise<Report> {
  const { options, rows, disk, loadBefore } = input;
  const memory = `${(totalmem() / GIB).toFixed(0)} GiB`;
  return {
    when: new Date().toISOString(),
    commit: await describeCommit(),
    machine: `${cpus().length} x ${cpus()[0]?.model ?? "?"}, ${memory}, Linux ${release()}`,
    node: process.version,
    runs: options.runs,
    seconds: options.seconds,
    objects: options.objects,
    loadBefore,
    disk,
    rows: ROW_NAMES.flatMap((name) => rows.get(name) ?? []),
  };
}

async function describeCommit(): Promise<string> {
  const { stdout } = await mustRun("git", ["describe", "--always", "--dirty", "--abbrev=12"]);
  return stdout.trim();
}

/** The report as Markdown: what is printed is what is kept. */
export function renderReport(report: Report): string {
  const { disk } = report;
  const latency = ({ p50Ms, p99Ms }: { p50Ms: number; p99Ms: number }): string =>
    `p50 ${p50Ms.toFixed(3)} ms, p99 ${p99Ms.toFixed(3)} ms`;
  const header = [
    ...["workload", "result", "runs", "p50 / p99 ms", "must", "met"],
    ...["aim", "reached", "yardsticks"],
  ];
  return `${report.when}, commit ${report.commit}, Node ${report.node}
${report.machine}; load before: ${report.loadBefore}
Median of ${report.runs} x ${report.seconds} s; ${grouped(report.objects)} objects where it says all keys.

Disk: append 4 KiB + fdatasync ${grouped(disk.fdatasync.perSecond)}/s (${latency(disk.fdatasync)});
O_DIRECT|O_DSYNC ${grouped(disk.direct.perSecond)}/s (${latency(disk.direct)});
direct sequential write ${grouped(disk.sequential.mbPerSecond)} MB/s

${table([header, header.map(() => "---"), ...report.rows.map(cells)])}
${footnotes(report.rows)}`;
}

function table(lines: ReadonlyArray<readonly string[]>): string {
  const widths = lines[0]?.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) => `| ${line.map((cell, at) => cell.padEnd(widths?.[at] ?? 0)).join(" | ")} |\n`)
    .join("");
}

function cells(row: Row): string[] {
  const { title, unit, digits, must, aim } = TARGETS[row.name];
  const show = (value: number): string => grouped(value, digits);
  const hasLatency = row.p50Ms !== undefined && row.p99Ms !== undefined;
  return [
    title,
    `${show(row.value)} ${unit}`,
    row.runs.length > 1 ? row.runs.map(show).join(" ") : "",
    hasLatency ? `${row.p50Ms?.toFixed(2)} / ${row.p99Ms?.toFixed(2)}` : "",
    describeBounds(must, unit),
    verdict(keeps(row, must)),
    describeBounds(aim, unit),
    verdict(keeps(row, aim)),
    yardsticks(row),
  ];
}

function verdict(kept: boolean | undefined): string {
  if (kept === undefined) return "";
  return kept ? "yes" : "NO";
}

function yardsticks(row: Row): string {
  const { digits } = TARGETS[row.name];
  return Object.entries(row.yardsticks)
    .map(([name, value]) => `${name} ${grouped(value, digits)} (x ${ratio(row.value, value)})`)
    .join(", ");
}

function ratio(value: number, yardstick: number): string {
  return (value / yardstick).toFixed(2);
}

function footnotes(rows: readonly Row[]): string {
  return rows
    .filter(({ notes }) => notes.length > 0)
    .map(({ name, notes }) => `- ${TARGETS[name].title}: ${notes.join("; ")}\n`)
    .join("");
}
