import { StorageFault } from "../../core/faults.ts";
import { printable } from "../../core/printable.ts";
import { UsageError } from "../../core/usage-error.ts";
import { systemClock } from "../../ports/system-clock.ts";
import { type AdminClient, expectSuccess, isRecord } from "../admin-client.ts";
import type { Answer } from "../administer.ts";
import { type Command, type CommandInput, flagValue } from "../command.ts";
import { EXIT_CODES, type ExitCode, explain, pairs, versioned } from "../output.ts";
import { INTERRUPTED, watchInterrupt } from "../process-end.ts";
import { type Sums, showBar, showDifference, showDone, showSums } from "./row-texts.ts";

const LOOK_MS = 500;

export const replBootstrapCommand: Command = {
  name: "repl-bootstrap",
  summary: "Take over everything that a peer holds, and merge it with what is here",
  flags: [
    { flag: "from", placeholder: "PEER", description: "The peer, by its name or id" },
    {
      ...{ flag: "export", placeholder: "DIR" },
      description: "Write everything of this site into a new directory of the server's machine",
    },
    {
      ...{ flag: "import", placeholder: "DIR" },
      description: "Take over what another member has written into a directory",
    },
    {
      ...{ flag: "background", placeholder: undefined },
      description: "Only begin; with --from, which the server goes on with, also after a restart",
    },
  ],
  settings: "place",
  json: true,
  examples: [
    "atoll repl-bootstrap --from berlin",
    "atoll repl-bootstrap --export /media/box",
    "atoll repl-bootstrap --import /media/box",
  ],
  async run(input) {
    const wishes = ["from", "export", "import"].filter((flag) => input.values.has(flag));
    const [wish] = wishes;
    if (wish === undefined || wishes.length > 1) {
      throw new UsageError("Say one of --from PEER, --export DIR and --import DIR.");
    }
    if (wish !== "from" && input.values.has("background")) {
      throw new UsageError(`--background goes with --from: --${wish} is waited for.`);
    }
    const client = await input.program.runningServer(input);
    try {
      if (wish !== "from") {
        return await untilInterrupted(client, (asked) => moveByDisk(input, asked, wish));
      }
      const peer = flagValue(input, "from");
      const begun = expectSuccess(await client.call("POST", "repl-bootstrap", { peer }));
      if (input.values.has("background")) {
        input.output.result(
          begun,
          () => "It has begun; `atoll repl-status` tells when it is done.",
        );
        return EXIT_CODES.fine;
      }
      return await untilInterrupted(client, (asked) => followBootstrap(input, asked));
    } catch (failure) {
      if (failure === INTERRUPTED) {
        input.output.progress("");
        input.output.notice(wish === "export" ? GOES_ON_EXPORTING : GOES_ON);
      }
      throw failure;
    } finally {
      await client.close();
    }
  },
};

const GOES_ON = "The server goes on by itself; `atoll repl-status` tells when it is done.";
const GOES_ON_EXPORTING = "The server goes on by itself; DIR is whole when it has archive.json.";

/** Works with a client whose calls end when somebody presses Ctrl-C, whatever they wait for. */
async function untilInterrupted<Result>(
  client: AdminClient,
  work: (client: AdminClient) => Promise<Result>,
): Promise<Result> {
  const interrupt = watchInterrupt();
  const call: AdminClient["call"] = (...asked) =>
    Promise.race([interrupt.happened, client.call(...asked)]);
  try {
    return await work({ ...client, call });
  } finally {
    interrupt.stop();
  }
}

async function moveByDisk(
  input: CommandInput,
  client: AdminClient,
  wish: string,
): Promise<ExitCode> {
  const directory = flagValue(input, wish) ?? "";
  // The server reads and writes it, and has another working directory.
  if (!directory.startsWith("/")) throw new UsageError(`--${wish} takes a full path.`);
  const answer = expectSuccess(await client.call("POST", "repl-bootstrap", { [wish]: directory }));
  input.output.result(answer, () => (wish === "export" ? showExported(answer) : showDone(answer)));
  return Number(answer["skipped"] ?? 0) === 0 ? EXIT_CODES.fine : EXIT_CODES.damage;
}

function showExported(answer: Answer): string {
  return pairs([
    ["rows", String(answer["rows"])],
    ["bytes", String(answer["bytes"])],
    ["left out", String(answer["skipped"])],
    ["directory", String(answer["directory"])],
  ]);
}

async function followBootstrap(input: CommandInput, client: AdminClient): Promise<ExitCode> {
  let told: unknown;
  for (;;) {
    const facts = expectSuccess(await client.call("GET", "repl-bootstrap"));
    if (facts["state"] === "refused") throw new UsageError(String(facts["failure"]));
    if (facts["state"] !== "running" && facts["state"] !== "failed") {
      input.output.progress("");
      input.output.result(facts, () => showDone(facts));
      return Number(facts["skipped"] ?? 0) === 0 ? EXIT_CODES.fine : EXIT_CODES.damage;
    }
    input.output.progress(showBar(facts));
    const failure = facts["failure"];
    if (failure !== undefined && failure !== told) {
      told = failure;
      input.output.notice(`It was interrupted (${String(failure)}), and goes on.`);
    }
    await systemClock.sleep(LOOK_MS);
  }
}

export const replVerifyCommand: Command = {
  name: "repl-verify",
  summary:
    "Compare this site with its peers, row by row; --repair mends this site, and names others",
  flags: [
    {
      flag: "peer",
      placeholder: "NAME",
      description: "One peer, by its name or id; without it all",
    },
    { flag: "bucket", placeholder: "BUCKET", description: "One bucket; without it everything" },
    {
      ...{ flag: "deep", placeholder: undefined },
      description: "Also read every byte that is stored here, and hash it anew",
    },
    {
      ...{ flag: "repair", placeholder: undefined },
      description:
        "Mend what this site lacks or has damaged; reads every byte, as --deep does. " +
        "What a peer lacks is mended by the same command there, which is printed",
    },
    {
      ...{ flag: "continue", placeholder: "POSITION" },
      description: "Go on where a comparison was interrupted; with --peer",
    },
  ],
  settings: "place",
  json: true,
  examples: ["atoll repl-verify", "atoll repl-verify --peer paris --bucket photos --repair"],
  async run(input) {
    const from = readPosition(input);
    const client = await input.program.runningServer(input);
    try {
      return await untilInterrupted(client, (asked) => verify(input, asked, from));
    } finally {
      await client.close();
    }
  },
};

async function verify(input: CommandInput, client: AdminClient, from: string): Promise<ExitCode> {
  const peers = await peersOf(client, flagValue(input, "peer"));
  const sums = { rows: 0, differences: 0, repaired: 0, remote: 0 };
  const left = peers.map((peer): Left => ({ peer, here: 0, there: 0 }));
  const failed: string[] = [];
  for (const one of left) {
    try {
      await verifyPeer(input, client, { left: one, from, sums });
    } catch (failure) {
      // One that is away keeps nobody from being compared with the others.
      if (peers.length === 1 || !(failure instanceof StorageFault)) throw failure;
      input.output.notice(explain(failure));
      failed.push(one.peer);
    }
  }
  const bucket = flagValue(input, "bucket");
  const isNothing = sums.rows + sums.differences === 0 && failed.length < peers.length;
  // A bucket has a row of its own: it is nowhere.
  if (bucket !== undefined && from === "" && isNothing) {
    throw new UsageError(`There is no bucket ${bucket}, neither here nor at a peer.`);
  }
  const mends = await mendsOf(input, client, left);
  showEnd(input, { peers: peers.length - failed.length, failed, sums, mends });
  if (sums.differences !== sums.repaired) return EXIT_CODES.damage;
  return failed.length === 0 ? EXIT_CODES.fine : EXIT_CODES.failed;
}

/** A position in base64url: it holds NULs and whatever keys hold. */
function readPosition(input: CommandInput): string {
  const text = flagValue(input, "continue");
  if (text === undefined) return "";
  if (flagValue(input, "peer") === undefined) {
    throw new UsageError("--continue goes with --peer: a position belongs to one comparison.");
  }
  const position = Buffer.from(text, "base64url").toString("utf8");
  // One that is behind everything would find no difference.
  if (/^[A-D]/.test(position)) return position;
  throw new UsageError("--continue takes a position as it was printed; this is none.");
}

async function peersOf(client: AdminClient, wanted: string | undefined): Promise<string[]> {
  if (wanted !== undefined) return [wanted];
  const { sites } = expectSuccess(await client.call("GET", "sites"));
  const members = Array.isArray(sites) ? sites.filter(isRecord) : [];
  return members
    .filter((site) => site["self"] === false && site["state"] === "active")
    .map((site) => String(site["id"]));
}

/** Differences with a peer that are left, by the site that can mend them. */
type Left = { readonly peer: string; here: number; there: number };

async function verifyPeer(
  input: CommandInput,
  client: AdminClient,
  { left, from, sums }: { left: Left; from: string; sums: Sums },
): Promise<void> {
  const { peer } = left;
  const bucket = flagValue(input, "bucket");
  const repair = input.values.has("repair");
  const deep = repair || input.values.has("deep");
  const wish = { peer, repair, deep, ...(bucket === undefined ? {} : { bucket }) };
  for (let at: string | undefined = from; at !== undefined; ) {
    const answer: Answer = await step(input, client, { ...wish, from: at });
    const differences = Array.isArray(answer["differences"])
      ? answer["differences"].filter(isRecord)
      : [];
    for (const difference of differences) {
      if (input.output.json) input.output.text(JSON.stringify(versioned({ peer, ...difference })));
      else input.output.text(printable(showDifference(difference)));
      if (difference["kind"] === "remote") {
        // So it was wished for the bucket; both sites say the same of it.
        if (difference["repaired"] !== true) sums.remote += 1;
        continue;
      }
      sums.differences += 1;
      if (difference["repaired"] === true) sums.repaired += 1;
      else {
        const where = mendedBy(String(difference["kind"]), repair);
        if (where !== undefined) left[where] += 1;
      }
    }
    sums.rows += Number(answer["rows"] ?? 0);
    const next: unknown = answer["next"];
    at = typeof next === "string" ? next : undefined;
    if (at !== undefined) input.output.progress(`${sums.rows} rows compared`);
  }
  input.output.progress("");
}

/** The site whose command mends a difference; undefined when none does, or nobody can tell yet. */
function mendedBy(kind: string, wasRepaired: boolean): "here" | "there" | undefined {
  if (kind === "missing-there") return "there";
  // What still differs when this site has taken what is newer is older at the peer.
  if (kind === "differs") return wasRepaired ? "there" : "here";
  return (kind === "missing-here" || kind === "damaged") && !wasRepaired ? "here" : undefined;
}

/** A command that mends what is left, and where it is typed. */
type Mend = {
  readonly site: string;
  readonly is_here: boolean;
  readonly differences: number;
  readonly command: string;
};

/** What mends the rest: no site takes rows because another one tells it to. */
async function mendsOf(
  input: CommandInput,
  client: AdminClient,
  left: readonly Left[],
): Promise<readonly Mend[]> {
  if (left.every(({ here, there }) => here + there === 0)) return [];
  const { sites } = expectSuccess(await client.call("GET", "sites"));
  const members = Array.isArray(sites) ? sites.filter(isRecord) : [];
  const nameOf = (site: Answer | undefined, or: string) => String(site?.["name"] ?? or);
  const self = nameOf(
    members.find((site) => site["self"] === true),
    "THIS SITE",
  );
  const bucket = flagValue(input, "bucket");
  const rest = bucket === undefined ? "" : ` --bucket ${bucket}`;
  const command = (peer: string) => `atoll repl-verify --peer ${peer}${rest} --repair`;
  return left.flatMap(({ peer, here, there }): Mend[] => {
    const isPeer = (site: Answer) => site["id"] === peer || site["name"] === peer;
    const name = nameOf(members.find(isPeer), peer);
    const own = { site: self, is_here: true, differences: here, command: command(name) };
    const other = { site: name, is_here: false, differences: there, command: command(self) };
    return [own, other].filter(({ differences }) => differences > 0);
  });
}

type End = {
  /** Peers that were compared to the end, and the ids of those that were not. */
  readonly peers: number;
  readonly failed: readonly string[];
  readonly sums: Sums;
  readonly mends: readonly Mend[];
};

function showEnd({ output }: CommandInput, { peers, failed, sums, mends }: End): void {
  if (output.json) {
    const left = sums.differences - sums.repaired;
    const rest = { left, mend_at: mends, not_compared: failed };
    output.text(JSON.stringify(versioned({ peers, ...sums, ...rest })));
    return;
  }
  const isAlone = peers + failed.length === 0;
  output.text(isAlone ? "This site has no peers." : showSums(peers, sums));
  for (const { site, is_here: isHere, differences, command } of mends) {
    const what = differences === 1 ? "1 difference is" : `${differences} differences are`;
    output.text(`${what} mended at ${site}${isHere ? ", which is this site" : ""}. There:`);
    output.text(`  ${command}`);
  }
}

async function step(
  { output, values }: CommandInput,
  client: AdminClient,
  wish: Answer & { readonly from: string; readonly peer: string },
): Promise<Answer> {
  try {
    return expectSuccess(await client.call("POST", "repl-verify", wish));
  } catch (failure) {
    const isBrokenOff = failure instanceof StorageFault || failure === INTERRUPTED;
    if (isBrokenOff && wish.from !== "") {
      const position = Buffer.from(wish.from, "utf8").toString("base64url");
      const bucket = values.has("bucket") ? ` --bucket ${String(wish["bucket"])}` : "";
      const how = ["deep", "repair"].filter((flag) => values.has(flag)).map((flag) => ` --${flag}`);
      const command = `atoll repl-verify --peer ${wish.peer}${bucket}${how.join("")}`;
      output.progress("");
      output.notice(`Go on with: ${command} --continue ${position}`);
    }
    throw failure;
  }
}
