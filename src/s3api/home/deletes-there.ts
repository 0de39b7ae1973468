import type { ForwardedAnswer } from "../../core/forwarded-request.ts";
import type { S3Error } from "../errors.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { BucketCall, HandlerDeps } from "../operation.ts";
import { TOKEN_HEADER } from "../tokens/write-tokens.ts";
import { childrenNamed, childText, parseXml, type XmlElement } from "../xml/reader.ts";
import { XmlWriter } from "../xml/writer.ts";
import { homeUnavailable } from "./home-unavailable.ts";

/** A key with its condition, as the client wrote them. */
export type BroughtDelete = {
  readonly name: string;
  readonly versionText: string | undefined;
  readonly etag: string;
};

/** What the home did, as elements of its own answer, by key and version. */
export type DeletesThere = {
  readonly resultOf: (named: Omit<BroughtDelete, "etag">) => XmlElement | undefined;
  /** The write token of the home. */
  readonly token: HeaderLines;
};

const RESULTS = ["Deleted", "Error"] as const;

/**
 * Has the home of a bucket carry out many conditional deletes, as one request.
 *
 * @throws S3Error ServiceUnavailable when it did not say what became of them.
 */
export async function deleteThere(
  call: BucketCall,
  { home }: Pick<HandlerDeps, "home">,
  deletes: readonly BroughtDelete[],
): Promise<DeletesThere> {
  const xml = new XmlWriter("Delete");
  for (const { name, versionText, etag } of deletes) {
    xml.open("Object");
    xml.text("Key", name);
    if (versionText !== undefined) xml.text("VersionId", versionText);
    xml.text("ETag", etag);
    xml.close();
  }
  if (home === undefined) throw homeUnavailable();
  const answer = await home.bring(call, Buffer.from(xml.finish()));
  const results = new Map<string, XmlElement>();
  const document = documentOf(answer);
  for (const kind of RESULTS) {
    for (const element of childrenNamed(document, kind)) {
      const versionText = childText(element, "VersionId");
      results.set(identityOf({ name: childText(element, "Key") ?? "", versionText }), element);
    }
  }
  const token = answer.headers.find(([name]) => name.toLowerCase() === TOKEN_HEADER);
  return {
    resultOf: (named) => results.get(identityOf(named)),
    token: token === undefined ? [] : [[token[0], token[1]]],
  };
}

/** One key of one version is deleted once, however often it is named. */
export function identityOf({ name, versionText }: Omit<BroughtDelete, "etag">): string {
  return JSON.stringify([name, versionText]);
}

function documentOf({ status, body }: ForwardedAnswer): XmlElement {
  if (status !== 200) throw homeUnavailable();
  try {
    return parseXml(body, "DeleteResult");
  } catch (failure) {
    throw homeUnavailable(failure as S3Error);
  }
}
