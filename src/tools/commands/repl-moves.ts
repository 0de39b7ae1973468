import { UsageError } from "../../core/usage-error.ts";
import { expectSuccess, isRecord } from "../admin-client.ts";
import type { Answer } from "../administer.ts";
import { type Command, type CommandInput, flagValue } from "../command.ts";
import { EXIT_CODES, type ExitCode, table } from "../output.ts";

const WAIT_DEFAULT = "60";

export const replPullCommand: Command = {
  name: "repl-pull",
  summary: "Take now what peers have, until nothing is missing",
  flags: [
    {
      flag: "peer",
      placeholder: "NAME",
      description: "One peer, by its name or id; without it all",
    },
  ],
  settings: "place",
  json: true,
  examples: ["atoll repl-pull", "atoll repl-pull --peer paris --json"],
  run(input) {
    const peer = flagValue(input, "peer");
    const body = peer === undefined ? {} : { peer };
    return move(input, "repl-pull", { body, show: showPulled, isDone: isPulled });
  },
};

export const replPushCommand: Command = {
  name: "repl-push",
  summary: "Tell peers that there is news, and wait until they have applied it",
  flags: [
    {
      flag: "wait",
      placeholder: "SECONDS",
      description: `How long to wait at most, ${WAIT_DEFAULT} unless given`,
    },
  ],
  settings: "place",
  json: true,
  examples: ["atoll repl-push", "atoll repl-push --wait 5"],
  run(input) {
    const text = flagValue(input, "wait") ?? WAIT_DEFAULT;
    const seconds = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
    if (!(seconds <= 3600)) {
      throw new UsageError("--wait takes a number of seconds, at most 3600.");
    }
    const body = { wait_seconds: seconds };
    return move(input, "repl-push", { body, show: showPushed, isDone: isPushed });
  },
};

async function move(
  input: CommandInput,
  path: string,
  how: {
    readonly body: Answer;
    readonly show: (peers: readonly Answer[]) => string;
    readonly isDone: (peer: Answer) => boolean;
  },
): Promise<ExitCode> {
  const client = await input.program.runningServer(input);
  try {
    const answer = expectSuccess(await client.call("POST", path, how.body));
    const peers = Array.isArray(answer["peers"]) ? answer["peers"].filter(isRecord) : [];
    input.output.result(answer, () =>
      peers.length === 0 ? "This site has no peers." : how.show(peers),
    );
    return peers.every(how.isDone) ? EXIT_CODES.fine : EXIT_CODES.failed;
  } finally {
    await client.close();
  }
}

function isPulled(peer: Answer): boolean {
  return peer["problem"] === undefined;
}

function isPushed(peer: Answer): boolean {
  return peer["operations_behind"] === 0;
}

function showPulled(peers: readonly Answer[]): string {
  const rows = peers.map((peer) => [
    ...["name", "operations", "bytes", "parked"].map((name) => String(peer[name])),
    // What a peer or the network said may hold anything.
    String(peer["problem"] ?? "equal").replaceAll(/[^\x20-\x7e]/g, "?"),
  ]);
  return table(["PEER", "OPERATIONS", "BYTES", "PARKED", "OUTCOME"], rows);
}

function showPushed(peers: readonly Answer[]): string {
  const rows = peers.map((peer) => [String(peer["name"]), String(peer["operations_behind"])]);
  return table(["PEER", "BEHIND"], rows);
}
