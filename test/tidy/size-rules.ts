import type { SyntaxNode } from "./source-file.ts";
import { isProduct, lineOf, nameOf, nodeAt, placeOf, type SourceFile } from "./source-file.ts";

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;
const LINE_COLUMNS_MAX = 100;
const PARAMETERS_MAX = 4;
const NPM_SCRIPTS_MAX = 12;

const FUNCTIONS = new Set([
  "FunctionDeclaration",
  "FunctionExpression",
  "ArrowFunctionExpression",
  "TSDeclareFunction",
  "TSEmptyBodyFunctionExpression",
  "TSMethodSignature",
]);
function functionsOf(file: SourceFile): SyntaxNode[] {
  return file.nodes.filter((node) => FUNCTIONS.has(node.type));
}

function linesOf(file: SourceFile, node: SyntaxNode): number {
  return lineOf(file, node.end) - lineOf(file, node.start) + 1;
}

/** Lines of a file, not counting the empty one after the last line break. */
function fileLines(file: SourceFile): number {
  return file.lines.at(-1) === "" ? file.lines.length - 1 : file.lines.length;
}

/** Parameters the caller writes; TypeScript's `this` is none. */
function parametersOf(node: SyntaxNode): number {
  const parameters = Array.isArray(node["params"]) ? node["params"] : [];
  return parameters.filter((parameter) => nameOf(parameter) !== "this").length;
}

/** Files, functions, lines and parameter lists that have grown too long to be read at once. */
export function checkSizes(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [
    ...checkFileLines(file),
    ...(isProduct(file.path) ? checkProduct(file) : []),
  ]);
}

/** Tests are read as well. */
function checkFileLines(file: SourceFile): string[] {
  const lines = fileLines(file);
  if (lines <= FILE_LINES_MAX) return [];
  return [`${file.path} has ${lines} lines: split it below ${FILE_LINES_MAX + 1}.`];
}

function checkProduct(file: SourceFile): string[] {
  const problems: string[] = [];
  file.lines.forEach((line, index) => {
    if (line.length <= LINE_COLUMNS_MAX) return;
    const place = `${file.path}:${index + 1}`;
    problems.push(`${place} has ${line.length} columns: break it at ${LINE_COLUMNS_MAX}.`);
  });
  for (const node of functionsOf(file)) {
    const place = placeOf(file, node.start);
    const functionLines = linesOf(file, node);
    if (functionLines > FUNCTION_LINES_MAX) {
      problems.push(
        `${place} is a function of ${functionLines} lines: split it below ${FUNCTION_LINES_MAX + 1}.`,
      );
    }
    const parameters = parametersOf(node);
    if (parameters > PARAMETERS_MAX) {
      problems.push(`${place} takes ${parameters} parameters: pass one object instead.`);
    }
  }
  return problems;
}

/** Exported functions and classes say what their types cannot. */
export function checkDocComments(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    if (!isProduct(file.path)) return [];
    return file.nodes.flatMap((node) => {
      if (node.type !== "ExportNamedDeclaration") return [];
      const name = publicName(nodeAt(node, "declaration"));
      if (name === undefined || hasDocComment(file, node)) return [];
      const place = placeOf(file, node.start);
      return [`${place} exports ${name} without a doc comment: say units, errors and why.`];
    });
  });
}

/** The name of an exported function or class; undefined for anything else. */
function publicName(declaration: SyntaxNode | undefined): string | undefined {
  if (declaration === undefined) return undefined;
  if (declaration.type === "FunctionDeclaration" || declaration.type === "ClassDeclaration") {
    return nameOf(nodeAt(declaration, "id"));
  }
  if (declaration.type !== "VariableDeclaration") return undefined;
  const declarations = declaration["declarations"];
  for (const declarator of Array.isArray(declarations) ? declarations : []) {
    const value = nodeAt(declarator, "init");
    if (value !== undefined && FUNCTIONS.has(value.type)) return nameOf(nodeAt(declarator, "id"));
  }
  return undefined;
}

function hasDocComment(file: SourceFile, node: SyntaxNode): boolean {
  return file.comments.some(
    (comment) =>
      comment.type === "Block" &&
      comment.value.startsWith("*") &&
      comment.end <= node.start &&
      file.text.slice(comment.end, node.start).trim() === "",
  );
}

/** package.json stays a short menu. */
export function checkNpmScripts(scripts: Readonly<Record<string, string>>): string[] {
  const count = Object.keys(scripts).length;
  return count <= NPM_SCRIPTS_MAX
    ? []
    : [`package.json has ${count} scripts: fold them into ${NPM_SCRIPTS_MAX} or fewer.`];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Figures we like to see but do not enforce. */
export function describeSizes(files: readonly SourceFile[]): string {
  const product = files.filter((file) => isProduct(file.path));
  const tests = files.filter((file) => !isProduct(file.path) && !file.path.startsWith("bench/"));
  const sum = (list: readonly SourceFile[]): number =>
    list.reduce((total, file) => total + fileLines(file), 0);
  const functions = product.flatMap((file) =>
    functionsOf(file)
      .filter((node) => nodeAt(node, "body") !== undefined)
      .map((node) => linesOf(file, node)),
  );
  const perLine = (sum(tests) / Math.max(1, sum(product))).toFixed(2);
  return [
    `src: ${product.length} files, ${sum(product)} lines`,
    `median file ${median(product.map(fileLines))} lines`,
    `median function ${median(functions)} lines`,
    `${perLine} lines of test per line of code`,
  ].join("; ");
}
