import type { PeerAnswer } from "./peer-server.ts";

/** Refuses a request: the reason is for the log of the peer that asked. */
export function refusalReply(status: number, problem: string): PeerAnswer {
  return { status, body: Buffer.from(JSON.stringify({ error: "bad-request", problem })) };
}

/** Answers with one sentence of plain text. */
export function textReply(status: number, sentence: string): PeerAnswer {
  return { status, body: Buffer.from(sentence) };
}
