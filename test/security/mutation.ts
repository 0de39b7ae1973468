import {
  type Forged,
  forge,
  type PayloadMode,
  type Plain,
  type Signer,
  type SignOptions,
  type Transport,
} from "./forge.ts";
import type { SigningInput } from "./signing.ts";

/** Who may sign in the matrix. */
export type Cast = {
  readonly root: Signer;
  /** Exists, and may do nothing. */
  readonly powerless: Signer;
  /** May do everything in another bucket. */
  readonly elsewhere: Signer;
  /** Has never existed. */
  readonly nobody: Signer;
};

export type Case = {
  readonly plain: Plain;
  readonly transport: Transport;
  readonly mode: PayloadMode;
  readonly cast: Cast;
  readonly nowMs: number;
  /** "none" rows do not read a body, so that nothing behind the head can be wrong. */
  readonly readsBody: boolean;
  readonly level: "service" | "bucket" | "object";
  /** Answers for each key by itself, with 200 around the refusals. */
  readonly perKey: boolean;
  /** Answered before anybody is asked who he is. */
  readonly isPreflight: boolean;
};

/** One way of being wrong; undefined where it would not be wrong at all. */
export type Mutation = {
  readonly name: string;
  readonly make: (at: Case) => Forged | undefined;
};

export function sign(at: Case, options: Partial<SignOptions> = {}): Forged {
  const { transport, mode, cast, nowMs } = at;
  return forge(at.plain, { transport, mode, signer: cast.root, nowMs, ...options });
}

export const isHeader = (at: Case): boolean => at.transport === "header";
export const ifHeader =
  (make: (at: Case) => Forged | undefined) =>
  (at: Case): Forged | undefined =>
    isHeader(at) ? make(at) : undefined;
export const ifQuery =
  (make: (at: Case) => Forged | undefined) =>
  (at: Case): Forged | undefined =>
    isHeader(at) ? undefined : make(at);

export function flip(text: string): string {
  return (text.startsWith("0") ? "1" : "0") + text.slice(1);
}

export function withHeader(forged: Forged, name: string, value: string): Forged {
  return { ...forged, headers: [...forged.headers, [name, value]] };
}

export function mapHeader(forged: Forged, name: string, change: (value: string) => string): Forged {
  const headers = forged.headers.map(
    ([other, value]) => [other, other === name ? change(value) : value] as const,
  );
  return { ...forged, headers };
}

export function withoutHeader(forged: Forged, name: string): Forged {
  return { ...forged, headers: forged.headers.filter(([other]) => other !== name) };
}

export function mapQuery(forged: Forged, name: string, change: (value: string) => string): Forged {
  const query = forged.query.map(
    ([other, value]) => [other, other === name ? change(value) : value] as const,
  );
  return { ...forged, query };
}

export function withoutQuery(forged: Forged, name: string): Forged {
  return { ...forged, query: forged.query.filter(([other]) => other !== name) };
}

/** Changes the signature wherever it stands. */
export function mapSignature(at: Case, change: (signature: string) => string): Forged {
  const forged = sign(at);
  return isHeader(at)
    ? mapHeader(forged, "authorization", (value) => {
        const from = value.indexOf("Signature=") + "Signature=".length;
        return value.slice(0, from) + change(value.slice(from));
      })
    : mapQuery(forged, "X-Amz-Signature", change);
}

export const changed = (change: Partial<SigningInput>) => (at: Case) =>
  sign(at, { input: (input) => ({ ...input, ...change }) });
