/** Bytes of each fixed-size value type of GGUF, by its number; 0: string and array, which say their size themselves. */
const TYPE_BYTES: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
/** Bytes of a text's length, which is before it. */
const LENGTH_BYTES = 8;

/** @throws Error for a type that has no size, or is none */
export function bytesOfType(type: number): number {
  const bytes = TYPE_BYTES[type] ?? 0;
  if (bytes === 0) throw new Error(`there is no type ${type} of values`);
  return bytes;
}

/** @param type none of string and array */
export function numberAt(bytes: Buffer, at: number, type: number): number | bigint | boolean {
  switch (type) {
    case 0:
      return bytes[at]!;
    case 1:
      return bytes.readInt8(at);
    case 2:
      return bytes.readUInt16LE(at);
    case 3:
      return bytes.readInt16LE(at);
    case 4:
      return bytes.readUInt32LE(at);
    case 5:
      return bytes.readInt32LE(at);
    case 6:
      return bytes.readFloatLE(at);
    case 7:
      return bytes[at] !== 0;
    case 10:
      return bytes.readBigUInt64LE(at);
    case 11:
      return bytes.readBigInt64LE(at);
    default:
      return bytes.readDoubleLE(at);
  }
}

/** Where the elements of a list are in its file. */
interface Place {
  readonly from: number;
  /**
   * of each text's first byte, and one more, where a text after the last would begin: Uint32Array[n + 1]; null: the list
   * has numbers
   */
  readonly starts: Uint32Array | null;
}

/** A list in the metadata of a GGUF file, as the bytes that it has there. */
export class MetadataList {
  readonly length: number;
  private readonly bytes: Buffer;
  private readonly type: number;
  private readonly place: Place;

  constructor(bytes: Buffer, type: number, length: number, place: Place) {
    this.bytes = bytes;
    this.type = type;
    this.length = length;
    this.place = place;
  }

  get isOfTexts(): boolean {
    return this.place.starts !== null;
  }

  /** An element as a number; NaN for a text. */
  number(index: number): number {
    const { starts, from } = this.place;
    if (starts) return Number.NaN;
    return Number(numberAt(this.bytes, from + index * bytesOfType(this.type), this.type));
  }

  /** An element as text; what is no UTF-8 of a text is U+FFFD. */
  text(index: number): string {
    const { starts, from } = this.place;
    if (!starts) return String(numberAt(this.bytes, from + index * bytesOfType(this.type), this.type));
    return this.bytes.toString("utf8", starts[index]!, starts[index + 1]! - LENGTH_BYTES);
  }

  /** Bytes of a text; 0 in a list of numbers. */
  textBytes(index: number): number {
    const { starts } = this.place;
    return starts ? starts[index + 1]! - LENGTH_BYTES - starts[index]! : 0;
  }

  /** The bytes that all texts are among, and where each begins in them; null: the list has numbers. */
  get texts(): { readonly bytes: Buffer; readonly starts: Uint32Array } | null {
    const { starts } = this.place;
    return starts && { bytes: this.bytes, starts };
  }
}
