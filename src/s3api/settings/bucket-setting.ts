import type { BucketSettings } from "../../core/records.ts";
import { S3Error, type S3ErrorCode } from "../errors.ts";
import { parseXml, type XmlElement } from "../xml/reader.ts";
import { XmlWriter } from "../xml/writer.ts";

/** How a setting is written as a document, by clients and, unless told otherwise, by us. */
type SettingDocument<Value> =
  | {
      readonly kind: "xml";
      readonly root: string;
      /** Reads the root element; throws MalformedXML, or AWS's own error, for what is wrong. */
      readonly read: (root: XmlElement) => Value;
      readonly write: (xml: XmlWriter, value: Value) => void;
    }
  | {
      readonly kind: "json";
      /** Reads bytes that need not be text; throws AWS's error for what is wrong. */
      readonly read: (bytes: Uint8Array) => Value;
      readonly write: (value: Value) => string;
    };

/** One setting of a bucket: what it is called, how it is read, what its absence means. */
export type SettingDefinition<Value> = {
  /** Its name in the bucket's row and in the log: never changes. */
  readonly name: string;
  /** The query parameter of its three operations. */
  readonly subresource: string;
  /** What each operation asks of the policy, without `s3:`; a delete asks what a put asks. */
  readonly actions: { readonly get: string; readonly put: string; readonly delete?: string };
  readonly document: SettingDocument<Value>;
  /** How it is stored, when who reads it there knows no documents; otherwise as its document. */
  readonly stored?: {
    readonly encode: (value: Value) => Uint8Array;
    readonly decode: (bytes: Uint8Array) => Value;
  };
  /** What GET answers for a bucket without it. */
  readonly absent: { readonly error: S3ErrorCode } | { readonly value: Value };
  /** A client's document has at most so many bytes; as any other document unless AWS says less. */
  readonly documentBytesMax?: number;
  /** AWS wants a digest with the document: Content-MD5 or any checksum. */
  readonly mustBeHashed?: true;
  /** The status of a successful PUT; 200 unless AWS gives another. */
  readonly putStatus?: 204;
  /** Judges a new value against the bucket's others; throws when they do not go together. */
  readonly check?: (value: Value, others: BucketSettings) => void;
  /** What a client is told when storage refuses the change. */
  readonly refused?: S3ErrorCode;
};

export type BucketSetting<Value> = SettingDefinition<Value> & {
  /**
   * The value a bucket has; undefined for a bucket without one. Read once for each stored value:
   * asking again costs two look-ups. Throws InternalError when the stored bytes make no sense, so
   * that what rests on it is denied and not guessed.
   */
  readonly of: (settings: BucketSettings) => Value | undefined;
  /** The bytes under which a value is stored. */
  readonly encode: (value: Value) => Uint8Array;
};

/** Makes a setting out of its definition. */
export function bucketSetting<Value>(definition: SettingDefinition<Value>): BucketSetting<Value> {
  const { name, document } = definition;
  const decode = definition.stored?.decode ?? ((bytes) => readDocument(document, bytes));
  const known = new WeakMap<Uint8Array, { readonly value: Value }>();
  return {
    ...definition,
    of: (settings) => {
      const bytes = settings.get(name);
      if (bytes === undefined) return undefined;
      let kept = known.get(bytes);
      if (kept === undefined) {
        kept = { value: decodeStored(name, () => decode(bytes)) };
        known.set(bytes, kept);
      }
      return kept.value;
    },
    encode: definition.stored?.encode ?? ((value) => Buffer.from(writeDocument(document, value))),
  };
}

/** Reads what a client sent, or what was stored as a document. */
export function readDocument<Value>(document: SettingDocument<Value>, bytes: Uint8Array): Value {
  switch (document.kind) {
    case "xml":
      return document.read(parseXml(bytes, document.root));
    case "json":
      return document.read(bytes);
  }
}

/** A setting as the document that GET answers with. */
export function writeDocument<Value>(document: SettingDocument<Value>, value: Value): string {
  if (document.kind === "json") return document.write(value);
  const xml = new XmlWriter(document.root);
  document.write(xml, value);
  return xml.finish();
}

/** Whatever is wrong with what we stored is no mistake of the client. */
function decodeStored<Value>(name: string, decode: () => Value): Value {
  try {
    return decode();
  } catch (failure) {
    const cause = new Error(`the stored setting "${name}" cannot be read`, { cause: failure });
    throw new S3Error("InternalError", { cause });
  }
}
