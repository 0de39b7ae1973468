import { type AdminClient, type AdminReply, expectSuccess } from "./admin-client.ts";
import type { CommandInput } from "./command.ts";
import { EXIT_CODES, type ExitCode } from "./output.ts";

/** A JSON object, as the administration takes and gives them. */
export type Answer = Readonly<Record<string, unknown>>;

type Request = {
  readonly body?: Answer;
  readonly show: (answer: Answer) => string;
  /** What an answer that is no failure means to a script; fine unless told otherwise. */
  readonly exitCode?: (answer: Answer) => ExitCode;
};

/** Asks the administration one thing, and shows what it answers. */
export async function administer(
  input: CommandInput,
  method: string,
  path: string,
  request: Request,
): Promise<ExitCode> {
  return ask(input, await input.program.administration(input), method, path, request);
}

/** The same of what only a server knows or does, such as all about its peers. */
export async function askServer(
  input: CommandInput,
  method: string,
  path: string,
  request: Request,
): Promise<ExitCode> {
  return ask(input, await input.program.runningServer(input), method, path, request);
}

async function ask(
  input: CommandInput,
  client: AdminClient,
  ...[method, path, request]: readonly [string, string, Request]
): Promise<ExitCode> {
  let reply: AdminReply;
  try {
    reply = await client.call(method, path, request.body);
  } finally {
    await client.close();
  }
  const answer = expectSuccess(reply);
  input.output.result(answer, () => request.show(answer));
  return request.exitCode?.(answer) ?? EXIT_CODES.fine;
}

/** Where the administration knows the access key that was typed first. */
export function keyPath(input: CommandInput): string {
  return `keys/${encodeURIComponent(input.operands[0] ?? "")}`;
}
