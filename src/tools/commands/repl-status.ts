import { printable } from "../../core/printable.ts";
import { UsageError } from "../../core/usage-error.ts";
import { systemClock } from "../../ports/system-clock.ts";
import { type AdminClient, expectSuccess, isRecord } from "../admin-client.ts";
import type { Answer } from "../administer.ts";
import { type Command, type CommandInput, flagValue } from "../command.ts";
import { EXIT_CODES, type ExitCode, table } from "../output.ts";

const SECONDS_DEFAULT = "1";
const LAG_FACTS = ["operations_behind", "bytes_behind", "operations_ahead", "bytes_ahead"];
/** Moves the cursor home and clears what is below it. */
const CLEAR = "\u001b[H\u001b[J";

export const replStatusCommand: Command = {
  name: "repl-status",
  summary: "Show how far each peer is behind this site, exactly",
  flags: [
    { flag: "watch", placeholder: undefined, description: "Look again and again, until stopped" },
    {
      flag: "until-in-sync",
      placeholder: undefined,
      description:
        "Look again until every peer has applied what this site has, and this site what they have",
    },
    {
      flag: "every",
      placeholder: "SECONDS",
      description: `Time between two looks, ${SECONDS_DEFAULT} unless given`,
    },
  ],
  settings: "place",
  json: true,
  examples: ["atoll repl-status", "atoll repl-status --json", "atoll repl-status --until-in-sync"],
  async run(input) {
    const everyMs = readEvery(input);
    const isWatched = input.values.has("watch");
    const isAwaited = input.values.has("until-in-sync");
    const client = await input.program.runningServer(input);
    try {
      if (isWatched || isAwaited) return await watch(input, client, everyMs, isAwaited);
      const status = await look(client);
      input.output.result(status, () => showStatus(status));
      return EXIT_CODES.fine;
    } finally {
      await client.close();
    }
  },
};

function readEvery(input: CommandInput): number {
  const text = flagValue(input, "every") ?? SECONDS_DEFAULT;
  const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds > 0) return seconds * 1000;
  throw new UsageError("--every takes a number of seconds, such as 1 or 0.5.");
}

async function watch(
  { output }: CommandInput,
  client: AdminClient,
  everyMs: number,
  isAwaited: boolean,
): Promise<ExitCode> {
  for (;;) {
    const status = await look(client);
    // For programs: a line for each look.
    if (output.json) output.text(JSON.stringify(status));
    else output.text(`${output.isTerminal ? CLEAR : ""}${showStatus(status)}`);
    if (isAwaited && isInSync(status)) return EXIT_CODES.fine;
    await systemClock.sleep(everyMs);
  }
}

/** What the site says of its peers, and of the bootstrap that it is in the middle of. */
async function look(client: AdminClient): Promise<Answer> {
  const status = expectSuccess(await client.call("GET", "repl-status"));
  const bootstrap = expectSuccess(await client.call("GET", "repl-bootstrap"));
  return concerns(bootstrap, status) ? { ...status, bootstrap } : status;
}

/**
 * Whether rows are taken over, or are to be, or some were left out; what failed before all agreed
 * is over.
 */
function concerns({ state, left_out: leftOut }: Answer, status: Answer): boolean {
  if (Number(leftOut ?? 0) > 0 || state === "running") return true;
  return state === "failed" && !isInSync(status);
}

function peersOf(status: Answer): Array<readonly [string, Answer]> {
  const peers = isRecord(status["peers"]) ? Object.entries(status["peers"]) : [];
  return peers.flatMap(([name, peer]) => (isRecord(peer) ? [[name, peer] as const] : []));
}

/** Nothing is missing at either side of any link. */
function isInSync(status: Answer): boolean {
  return peersOf(status).every(([, peer]) => peer["state"] === "in-sync");
}

function showStatus(status: Answer): string {
  const peers = peersOf(status);
  if (peers.length === 0) return "This site has no peers.";
  const heads = ["PEER", "STATE", "BEHIND", "BYTES", "SECONDS", "ETA", "AHEAD", "SKEW MS"];
  const rows = peers.map(([name, peer]) => [
    name,
    ...["state", "operations_behind", "bytes_behind", "seconds_behind", "eta_seconds"].map((fact) =>
      show(peer[fact]),
    ),
    ...["operations_ahead", "clock_skew_ms"].map((fact) => show(peer[fact])),
  ]);
  const sections = [table(heads, rows), showBuckets(peers), showErrors(peers), showRest(status)];
  return sections.filter((section) => section !== "").join("\n\n");
}

function showBuckets(peers: ReturnType<typeof peersOf>): string {
  const rows = peers.flatMap(([name, { buckets }]) =>
    Object.entries(isRecord(buckets) ? buckets : {}).flatMap(([bucket, lag]) =>
      isRecord(lag) ? [[name, bucket, ...LAG_FACTS.map((fact) => show(lag[fact] ?? 0))]] : [],
    ),
  );
  return rows.length === 0
    ? ""
    : table(["PEER", "BUCKET", "BEHIND", "BYTES", "AHEAD", "BYTES"], rows);
}

function showErrors(peers: ReturnType<typeof peersOf>): string {
  const rows = peers.flatMap(([name, { last_error: error }]) =>
    isRecord(error)
      ? [[name, ...["at", "over_since", "message"].map((fact) => inOneLine(show(error[fact])))]]
      : [],
  );
  return rows.length === 0 ? "" : table(["PEER", "LAST ERROR", "OVER SINCE", ""], rows);
}

function showRest(status: Answer): string {
  const quarantined = isRecord(status["quarantined"]) ? Object.entries(status["quarantined"]) : [];
  const lines = quarantined.map(([origin, held]) => {
    const ahead = isRecord(held) ? show(held["ahead_seconds"]) : "?";
    return `Operations of origin ${origin} are held back: their clock is ${ahead} s ahead.`;
  });
  const { bootstrap, clock } = status;
  if (isRecord(bootstrap)) lines.unshift(...showBootstrap(bootstrap, peersOf(status)));
  if (isRecord(clock) && clock["state"] === "jumped") {
    lines.unshift(
      `Writes wait: the clock is ${show(clock["ahead_seconds"])} s ahead (atoll clock show).`,
    );
  }
  for (const fact of ["conflicts", "parked", "remote_bodies", "remote_bytes"]) {
    if (Number(status[fact] ?? 0) > 0) lines.push(`${fact}: ${show(status[fact])}`);
  }
  return lines.join("\n");
}

function showBootstrap(facts: Answer, peers: ReturnType<typeof peersOf>): string[] {
  const { site, state, rows, rows_total: total, bytes, seconds_left: left, failure } = facts;
  const { left_out: leftOut } = facts;
  const [name] = peers.find(([, peer]) => peer["site"] === site) ?? [show(site)];
  const eta = left === undefined ? "" : `, about ${show(left)} s left`;
  const done = `${show(rows)} of ${show(total)}, ${show(bytes)} bytes${eta}`;
  const why = inOneLine(show(failure));
  const lines: Readonly<Record<string, string>> = {
    running: `Rows of ${name} are taken over: ${done}.`,
    failed: `Rows of ${name} wait to be taken over, and are asked for again: ${why}`,
  };
  const line = lines[String(state)];
  const owed = `Rows that were left out, for their bytes are damaged: ${show(leftOut)}`;
  return [...(line === undefined ? [] : [line]), ...(leftOut === undefined ? [] : [owed])];
}

function show(value: unknown): string {
  return value === undefined || value === null ? "-" : String(value);
}

/** What a peer or the network said may hold anything, and stands in one line of a table here. */
function inOneLine(text: string): string {
  return printable(text).replaceAll(/\s+/g, " ");
}
