import { ByteWriter, LayoutError } from "../../src/core/bytes.ts";
import { StorageFault } from "../../src/core/faults.ts";

/** The bytes a codec writes. */
export function encoded<Value>(
  encode: (writer: ByteWriter, value: Value) => void,
  value: Value,
): Buffer {
  const writer = new ByteWriter();
  encode(writer, value);
  return writer.finish();
}

/** What a decoder made of damaged bytes: a value, or a refusal it is allowed to throw. */
export function decodedOrRefused<Value>(decode: () => Value): Value | "refused" {
  try {
    return decode();
  } catch (failure) {
    if (failure instanceof LayoutError) return "refused";
    if (failure instanceof StorageFault && failure.kind === "unsupported") return "refused";
    throw failure;
  }
}
