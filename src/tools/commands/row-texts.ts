import { printable } from "../../core/printable.ts";
import { isRecord } from "../admin-client.ts";
import type { Answer } from "../administer.ts";
import { pairs } from "../output.ts";

const BAR_CHARS = 24;

/** How far a bootstrap has come, in a line. */
export function showBar(facts: Answer): string {
  const total = Math.max(1, Number(facts["rows_total"] ?? 0));
  const share = Math.min(1, Number(facts["rows"] ?? 0) / total);
  const full = Math.round(share * BAR_CHARS);
  const left = facts["seconds_left"];
  const eta = left === undefined ? "" : `, ${String(left)} s left`;
  const bar = `${"#".repeat(full)}${".".repeat(BAR_CHARS - full)}`;
  return `[${bar}] ${Math.floor(share * 100)} %, ${String(facts["rows"] ?? 0)} rows${eta}`;
}

/** What a bootstrap has done. */
export function showDone(facts: Answer): string {
  if (facts["state"] !== "done") return "No bootstrap is under way.";
  const done = pairs([
    ["rows", String(facts["rows"])],
    ["bytes", String(facts["bytes"])],
    ["removed here", String(facts["removed"])],
    ["left out", String(facts["skipped"])],
    ["seconds", String(facts["elapsed_seconds"])],
  ]);
  return [done, ...namesOfLeftOut(facts)].join("\n");
}

/** Rows whose bytes no member could give yet, a line each, and what comes of them. */
function namesOfLeftOut(facts: Answer): string[] {
  const rows = Array.isArray(facts["left_out_rows"]) ? facts["left_out_rows"] : [];
  if (rows.length === 0) return [];
  const more = Number(facts["left_out"]) - rows.length;
  return [
    "",
    "Left out, for their bytes are damaged there; all members are asked for them again and again:",
    ...rows.filter(isRecord).map((row) => printable(nameOfRow(row))),
    ...(more > 0 ? [`and ${more} more`] : []),
  ];
}

const KINDS: Readonly<Record<string, string>> = {
  "missing-here": "missing here",
  "missing-there": "missing there",
  differs: "differs",
  unsettled: "one site is behind the other: compare again",
  damaged: "damaged here",
  remote: "its bytes stand at other sites only, as its bucket is metadata-first",
};

/** What a comparison counts. */
export type Sums = { rows: number; differences: number; repaired: number; remote: number };

/** A difference between two sites, in a line. */
export function showDifference(difference: Answer): string {
  const kind = KINDS[String(difference["kind"])] ?? String(difference["kind"]);
  const isBrought = difference["kind"] === "remote";
  const end = difference["repaired"] === true ? (isBrought ? ", fetched" : ", mended") : "";
  return `${nameOfRow(difference)}: ${kind}${end}`;
}

function nameOfRow({ what, name, bucket, key, detail }: Answer): string {
  // Keys come from clients, and may hold what a terminal would obey.
  const thing = bucket === undefined ? JSON.stringify(name) : JSON.stringify(`${bucket}/${key}`);
  const more = detail === undefined ? "" : ` (${JSON.stringify(detail).slice(1, -1)})`;
  return `${String(what)} ${thing}${more}`;
}

/** What a comparison has found. */
export function showSums(peers: number, { rows, differences, repaired, remote }: Sums): string {
  const found = differences === 0 ? "no difference" : `${differences} differences`;
  const mended = differences === 0 ? "" : `, ${repaired} mended`;
  const whom = `${peers} ${peers === 1 ? "peer" : "peers"}`;
  const missing = remote === 0 ? "" : `, and bytes of ${remote} stand at other sites only`;
  return `${rows} rows compared with ${whom}: ${found}${mended}${missing}.`;
}
