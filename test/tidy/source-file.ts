import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type Comment, parseSync } from "oxc-parser";

/** A node of the syntax tree. The rules look at a few fields of many kinds, hence the loose shape. */
export type SyntaxNode = {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
};

export type ImportReference = {
  /** As written; undefined for `import(…)` of something that is not a plain string. */
  readonly specifier: string | undefined;
  /** Path from the root of the checkout, for imports of our own files. */
  readonly target: string | undefined;
  readonly start: number;
};

/** One file of ours, read once and looked at by every rule. */
export type SourceFile = {
  /** From the root of the checkout, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly nodes: readonly SyntaxNode[];
  /** The node around a node; absent for the program itself. */
  readonly parents: ReadonlyMap<SyntaxNode, SyntaxNode>;
  readonly comments: readonly Comment[];
  readonly imports: readonly ImportReference[];
};

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

const FOLDERS = ["src", "test", "bench"];
const CODE = /\.(ts|mts|js|mjs)$/;

function isNode(value: unknown): value is SyntaxNode {
  return (
    typeof value === "object" &&
    value !== null &&
    "type" in value &&
    typeof value.type === "string" &&
    "start" in value &&
    typeof value.start === "number"
  );
}

/** The nodes directly inside a node, in the order of the text. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (const field of Object.values(node)) {
    for (const value of Array.isArray(field) ? field : [field]) {
      if (isNode(value)) children.push(value);
    }
  }
  return children;
}

/** A field that holds a node, or undefined. */
export function nodeAt(node: SyntaxNode | undefined, field: string): SyntaxNode | undefined {
  const value = node?.[field];
  return isNode(value) ? value : undefined;
}

/** The text of an identifier or a string literal, or undefined for anything else. */
export function nameOf(node: SyntaxNode | undefined): string | undefined {
  if (node?.type === "Identifier" || node?.type === "PrivateIdentifier")
    return String(node["name"]);
  if (node?.type === "Literal" && typeof node["value"] === "string") return node["value"];
  return undefined;
}

export function parseSource(path: string, text: string): SourceFile {
  const parsed = parseSync(path, text);
  const problem = parsed.errors[0];
  if (problem !== undefined) throw new Error(`${path} does not parse: ${problem.message}`);
  const nodes: SyntaxNode[] = [];
  const parents = new Map<SyntaxNode, SyntaxNode>();
  const visit = (node: SyntaxNode): void => {
    nodes.push(node);
    for (const child of childrenOf(node)) {
      parents.set(child, node);
      visit(child);
    }
  };
  const program: unknown = parsed.program;
  if (isNode(program)) visit(program);
  return {
    path,
    text,
    lines: text.split("\n"),
    nodes,
    parents,
    comments: parsed.comments,
    imports: nodes.flatMap((node) => importOf(path, node)),
  };
}

const IMPORTING = new Set([
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
  "TSImportType",
]);

function importOf(path: string, node: SyntaxNode): ImportReference[] {
  if (!IMPORTING.has(node.type)) return [];
  const source = nodeAt(node, "source") ?? nodeAt(node, "argument");
  if (source === undefined) return [];
  const literal = source.type === "TSLiteralType" ? nodeAt(source, "literal") : source;
  const specifier = literal?.type === "Literal" ? nameOf(literal) : undefined;
  const target = specifier?.startsWith(".")
    ? posix.normalize(posix.join(posix.dirname(path), specifier))
    : undefined;
  return [{ specifier, target, start: node.start }];
}

/** Line number, from 1, of an offset. */
export function lineOf(file: SourceFile, offset: number): number {
  return file.text.slice(0, offset).split("\n").length;
}

/** "src/core/hlc.ts:12", for messages. */
export function placeOf(file: SourceFile, offset: number): string {
  return `${file.path}:${lineOf(file, offset)}`;
}

/** Code that ships: everything in src but the tests beside it. */
export function isProduct(path: string): boolean {
  return path.startsWith("src/") && !path.endsWith(".test.ts");
}

/** Every file of code in the checkout. */
export function readProject(): SourceFile[] {
  const files: SourceFile[] = [];
  for (const folder of FOLDERS) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      const path = relative(ROOT, join(entry.parentPath, entry.name)).replaceAll("\\", "/");
      if (!entry.isFile() || !CODE.test(path) || path.startsWith("test/golden/")) continue;
      files.push(parseSource(path, readFileSync(join(ROOT, path), "utf8")));
    }
  }
  return files;
}
