import type { S3Error } from "../errors.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { Reply } from "../operation.ts";
import { escapeXml } from "../xml/writer.ts";

/** What people read above the list, by status. */
const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  412: "Precondition Failed",
  416: "Requested Range Not Satisfiable",
};

/** The page for people who get an error from a website; `custom` is why they get no better one. */
export function errorPage(error: S3Error, requestId: string, custom?: S3Error): Reply {
  const title = escapeXml(`${error.status} ${TITLES[error.status] ?? error.code}`);
  const items = [...itemsOf(error), ["RequestId", requestId] as const];
  const more =
    custom === undefined
      ? ""
      : `<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n` +
        listOf(itemsOf(custom));
  const body =
    `<html>\n<head><title>${title}</title></head>\n<body>\n<h1>${title}</h1>\n` +
    `${listOf(items)}${more}<hr/>\n</body>\n</html>\n`;
  const headers: HeaderLines = [
    ["Content-Type", "text/html; charset=utf-8"],
    ...errorHeaders(error),
    ...(error.headers ?? []),
  ];
  return { kind: "whole", status: error.status, headers, body };
}

/** What programs read of an error, whatever page comes with it. */
export function errorHeaders(error: S3Error): HeaderLines {
  return [
    ["x-amz-error-code", error.code],
    ["x-amz-error-message", error.message],
  ];
}

type Item = readonly [name: string, value: string];

function itemsOf(error: S3Error): readonly Item[] {
  return [["Code", error.code], ["Message", error.message], ...Object.entries(error.fields)];
}

function listOf(items: readonly Item[]): string {
  const lines = items.map(([name, value]) => `<li>${name}: ${escapeXml(value)}</li>\n`);
  return `<ul>\n${lines.join("")}</ul>\n`;
}
