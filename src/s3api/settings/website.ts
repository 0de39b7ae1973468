import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import {
  childNamed,
  childrenNamed,
  childText,
  requireKnownChildren,
  type XmlElement,
} from "../xml/reader.ts";
import type { XmlWriter } from "../xml/writer.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { requiredText } from "./schema.ts";

export type WebProtocol = "http" | "https";

/** Where a request is sent on to; what is undefined stays as it was. */
export type Redirect = {
  readonly protocol: WebProtocol | undefined;
  readonly hostName: string | undefined;
  readonly replace:
    | { readonly kind: "prefix"; readonly text: string }
    | { readonly kind: "key"; readonly text: string }
    | undefined;
  readonly status: number | undefined;
};

export type RoutingRule = {
  readonly keyPrefix: string | undefined;
  /** The status that an answer without this rule would have. */
  readonly errorStatus: number | undefined;
  readonly redirect: Redirect;
};

/** What a bucket's website endpoint does. */
export type Website =
  | {
      readonly kind: "redirect-all";
      readonly hostName: string;
      readonly protocol: WebProtocol | undefined;
    }
  | {
      readonly kind: "pages";
      /** Added to keys that end in a slash. */
      readonly indexSuffix: string;
      readonly errorKey: string | undefined;
      readonly rules: readonly RoutingRule[];
    };

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html */
export const WEBSITE = bucketSetting<Website>({
  name: "website",
  subresource: "website",
  actions: { get: "GetBucketWebsite", put: "PutBucketWebsite", delete: "DeleteBucketWebsite" },
  document: { kind: "xml", root: "WebsiteConfiguration", read: readWebsite, write: writeWebsite },
  absent: { error: "NoSuchWebsiteConfiguration" },
  documentBytesMax: LIMITS.websiteBytesMax,
});

function readWebsite(root: XmlElement): Website {
  requireKnownChildren(root, [
    "RedirectAllRequestsTo",
    "IndexDocument",
    "ErrorDocument",
    "RoutingRules",
  ]);
  const all = childNamed(root, "RedirectAllRequestsTo");
  if (all !== undefined) {
    if (root.children.length > 1) {
      throw refusal("RedirectAllRequestsTo cannot be provided in conjunction with other elements.");
    }
    requireKnownChildren(all, ["HostName", "Protocol"]);
    const hostName = readHostName(requiredText(all, "HostName"));
    return { kind: "redirect-all", hostName, protocol: readProtocol(all) };
  }
  const index = childNamed(root, "IndexDocument");
  if (index === undefined) {
    throw new S3Error("InvalidArgument", {
      message:
        "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
      fields: { ArgumentName: "IndexDocument", ArgumentValue: "null" },
    });
  }
  return {
    kind: "pages",
    indexSuffix: readSuffix(index),
    errorKey: readErrorKey(childNamed(root, "ErrorDocument")),
    rules: readRules(childNamed(root, "RoutingRules")),
  };
}

function readSuffix(index: XmlElement): string {
  requireKnownChildren(index, ["Suffix"]);
  const suffix = requiredText(index, "Suffix").trim();
  if (suffix !== "" && !suffix.includes("/")) return suffix;
  throw new S3Error("InvalidArgument", {
    message: "The IndexDocument Suffix is not well formed",
    fields: { ArgumentName: "IndexDocument", ArgumentValue: suffix },
  });
}

function readErrorKey(element: XmlElement | undefined): string | undefined {
  if (element === undefined) return undefined;
  requireKnownChildren(element, ["Key"]);
  const key = requiredText(element, "Key");
  if (key !== "") return key;
  throw new S3Error("InvalidArgument", {
    message: "The ErrorDocument Key is not well formed",
    fields: { ArgumentName: "ErrorDocument", ArgumentValue: key },
  });
}

function readRules(element: XmlElement | undefined): readonly RoutingRule[] {
  if (element === undefined) return [];
  requireKnownChildren(element, ["RoutingRule"]);
  const rules = childrenNamed(element, "RoutingRule");
  if (rules.length === 0) throw new S3Error("MalformedXML");
  if (rules.length > LIMITS.websiteRulesMax) {
    throw refusal(
      `${rules.length} routing rules provided, the number of routing rules in a website ` +
        `configuration is limited to ${LIMITS.websiteRulesMax}.`,
    );
  }
  return rules.map(readRule);
}

function readRule(element: XmlElement): RoutingRule {
  requireKnownChildren(element, ["Condition", "Redirect"]);
  const condition = childNamed(element, "Condition");
  const redirect = childNamed(element, "Redirect");
  if (redirect === undefined) throw new S3Error("MalformedXML");
  if (condition === undefined) {
    return { keyPrefix: undefined, errorStatus: undefined, redirect: readRedirect(redirect) };
  }
  requireKnownChildren(condition, ["KeyPrefixEquals", "HttpErrorCodeReturnedEquals"]);
  const keyPrefix = childText(condition, "KeyPrefixEquals");
  const errorText = childText(condition, "HttpErrorCodeReturnedEquals")?.trim();
  if (keyPrefix === undefined && errorText === undefined) {
    throw refusal(
      "Condition cannot be empty. To redirect all requests without a condition, the condition " +
        "element shouldn't be present.",
    );
  }
  if (errorText !== undefined && !/^[45]\d\d$/.test(errorText)) {
    throw refusal(
      `The provided HTTP error code (${errorText}) is not valid. Valid codes are 4XX or 5XX.`,
    );
  }
  const errorStatus = errorText === undefined ? undefined : Number(errorText);
  return { keyPrefix, errorStatus, redirect: readRedirect(redirect) };
}

function readRedirect(element: XmlElement): Redirect {
  requireKnownChildren(element, [
    "HostName",
    "HttpRedirectCode",
    "Protocol",
    "ReplaceKeyPrefixWith",
    "ReplaceKeyWith",
  ]);
  if (element.children.length === 0) throw new S3Error("MalformedXML");
  const host = childText(element, "HostName");
  const code = childText(element, "HttpRedirectCode")?.trim();
  if (code !== undefined && !/^3(?:0[1-9]|[1-9]\d)$/.test(code)) {
    throw refusal(
      `The provided HTTP redirect code (${code}) is not valid. Valid codes are 3XX except 300.`,
    );
  }
  const prefix = childText(element, "ReplaceKeyPrefixWith");
  const key = childText(element, "ReplaceKeyWith");
  if (prefix !== undefined && key !== undefined) {
    throw refusal("You can only define ReplaceKeyPrefix or ReplaceKey but not both.");
  }
  return {
    protocol: readProtocol(element),
    hostName: host === undefined ? undefined : readHostName(host),
    replace: readReplacement(prefix, key),
    status: code === undefined ? undefined : Number(code),
  };
}

function readReplacement(prefix: string | undefined, key: string | undefined): Redirect["replace"] {
  if (prefix !== undefined) return { kind: "prefix", text: prefix };
  return key === undefined ? undefined : { kind: "key", text: key };
}

function readProtocol(element: XmlElement): WebProtocol | undefined {
  const text = childText(element, "Protocol")?.trim();
  if (text === undefined || text === "http" || text === "https") return text;
  throw refusal(
    "Invalid protocol, protocol can be http or https. If not defined the protocol will be " +
      "selected automatically.",
  );
}

/** A host, with a port perhaps, and nothing that could end the header it will stand in. */
function readHostName(text: string): string {
  const hostName = text.trim();
  if (/^[A-Za-z0-9._:[\]-]+(?:\/[\x21-\x7e]*)?$/.test(hostName)) return hostName;
  throw refusal(`The HostName "${hostName}" is not valid.`);
}

function refusal(message: string): S3Error {
  return new S3Error("InvalidRequest", { message });
}

function writeWebsite(xml: XmlWriter, website: Website): void {
  if (website.kind === "redirect-all") {
    xml.open("RedirectAllRequestsTo");
    xml.text("HostName", website.hostName);
    if (website.protocol !== undefined) xml.text("Protocol", website.protocol);
    xml.close();
    return;
  }
  xml.open("IndexDocument");
  xml.text("Suffix", website.indexSuffix);
  xml.close();
  if (website.errorKey !== undefined) {
    xml.open("ErrorDocument");
    xml.text("Key", website.errorKey);
    xml.close();
  }
  if (website.rules.length === 0) return;
  xml.open("RoutingRules");
  for (const rule of website.rules) writeRule(xml, rule);
  xml.close();
}

function writeRule(xml: XmlWriter, { keyPrefix, errorStatus, redirect }: RoutingRule): void {
  const { protocol, hostName, replace, status } = redirect;
  xml.open("RoutingRule");
  if (keyPrefix !== undefined || errorStatus !== undefined) {
    xml.open("Condition");
    if (keyPrefix !== undefined) xml.text("KeyPrefixEquals", keyPrefix);
    if (errorStatus !== undefined) xml.text("HttpErrorCodeReturnedEquals", String(errorStatus));
    xml.close();
  }
  xml.open("Redirect");
  if (protocol !== undefined) xml.text("Protocol", protocol);
  if (hostName !== undefined) xml.text("HostName", hostName);
  if (replace?.kind === "prefix") xml.text("ReplaceKeyPrefixWith", replace.text);
  if (replace?.kind === "key") xml.text("ReplaceKeyWith", replace.text);
  if (status !== undefined) xml.text("HttpRedirectCode", String(status));
  xml.close();
  xml.close();
}
