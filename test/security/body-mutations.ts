import { type Case, type Mutation, sign } from "./mutation.ts";

const isChunked = (at: Case): boolean => at.mode.startsWith("streaming");
const hasChain = (at: Case): boolean => at.mode.startsWith("streaming-signed");

function mapPieces(
  applies: (at: Case) => boolean,
  change: (pieces: readonly string[]) => readonly string[],
): Mutation["make"] {
  return (at) => {
    if (!at.readsBody || at.plain.body === "" || !applies(at)) return undefined;
    const forged = sign(at);
    const pieces = change(forged.pieces);
    return pieces.join("") === forged.pieces.join("") ? undefined : { ...forged, pieces };
  };
}

/** Changes the first byte of the data of the first piece. */
function spoilData(pieces: readonly string[]): readonly string[] {
  const [first = "", ...rest] = pieces;
  const at = first.indexOf("\r\n") < 0 ? 0 : first.indexOf("\r\n") + 2;
  return [`${first.slice(0, at)}?${first.slice(at + 1)}`, ...rest];
}

const last = (pieces: readonly string[], change: (end: string) => string): readonly string[] => [
  ...pieces.slice(0, -1),
  change(pieces.at(-1) ?? ""),
];

/** Ways in which a body can be wrong. */
export const BODY_MUTATIONS: readonly Mutation[] = [
  {
    name: "a byte of the body",
    make: mapPieces((at) => at.mode !== "unsigned" || "content-md5" in at.plain.headers, spoilData),
  },
  {
    name: "a body cut short",
    make: mapPieces(
      (at) => at.mode !== "unsigned",
      (pieces) => [pieces.join("").slice(0, -1)],
    ),
  },
  {
    name: "a body with more behind it",
    make: mapPieces(
      (at) => at.mode !== "unsigned",
      (pieces) => [...pieces, "x"],
    ),
  },
  { name: "a chunk twice", make: mapPieces(isChunked, (pieces) => [pieces[0] ?? "", ...pieces]) },
  { name: "the first chunk missing", make: mapPieces(isChunked, (pieces) => pieces.slice(1)) },
  { name: "the last chunk missing", make: mapPieces(isChunked, (pieces) => pieces.slice(0, -1)) },
  {
    name: "two chunks swapped",
    make: mapPieces(hasChain, ([a = "", b = "", ...rest]) =>
      rest.length > 0 ? [b, a, ...rest] : [a, b],
    ),
  },
  {
    name: "a chunk's signature",
    make: mapPieces(hasChain, (pieces) =>
      pieces.map((piece) => piece.replace(/(chunk-signature=)./, "$1g")),
    ),
  },
  {
    name: "no chunk's signature",
    make: mapPieces(hasChain, (pieces) =>
      pieces.map((piece) => piece.replace(/;chunk-signature=[0-9a-f]*/, "")),
    ),
  },
  {
    name: "the trailer's checksum",
    make: mapPieces(isChunked, (pieces) =>
      last(pieces, (end) => end.replace(/(sha1:)./, (_all, name: string) => `${name}!`)),
    ),
  },
  {
    name: "the trailer's signature",
    make: mapPieces(hasChain, (pieces) =>
      last(pieces, (end) => end.replace(/(trailer-signature:)./, "$1g")),
    ),
  },
  {
    name: "no trailer",
    make: mapPieces(isChunked, (pieces) =>
      last(pieces, (end) => end.replace(/x-amz-checksum[^\r]*\r\n/, "")),
    ),
  },
  {
    name: "another trailer",
    make: mapPieces(isChunked, (pieces) =>
      last(pieces, (end) => end.replace("x-amz-checksum-sha1", "x-amz-checksum-crc32")),
    ),
  },
  {
    name: "a chunk of a size beyond all bounds",
    make: mapPieces(isChunked, (pieces) => [`7fffffffffffffff${pieces.join("")}`]),
  },
];
