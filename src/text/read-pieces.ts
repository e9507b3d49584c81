import type { PromptText } from "./conversation.ts";
import { PromptError, type Tokenizer } from "./tokenizer.ts";

/** Prompts of which some places are read without special tokens: piece by piece, as if they were one text. */

/** Each costs two calls of the tokenizer or more. */
const MOST_PLACES = 256;

/**
 * What a tokenizer puts before a text (a begin token, a space) is before the first piece alone: the others are read behind
 * this, and what it is itself is taken off again.
 */
const LEAD = "\n";

interface Read {
  readonly text: string;
  readonly special: boolean;
}

interface Piece extends Read {
  readonly isFirst: boolean;
}

/**
 * Token ids of a prompt, where all of it is read on this thread.
 * @returns Int32Array[n]
 * @throws PromptError for too many places
 */
export function encodePrompt(prompt: PromptText, tokenizer: Pick<Tokenizer, "encode">): Int32Array {
  const read = ({ text, special }: Read) => tokenizer.encode(text, special);
  return joined(
    piecesOf(prompt).map((piece) => {
      if (piece.isFirst) return read(piece);
      return behindLead(read(led(piece)), read(lead(piece))) ?? read(piece);
    }),
  );
}

/** The same by `readUntrusted`, where the tokenizer has that. @throws PromptError */
export async function readPrompt(prompt: PromptText, tokenizer: Tokenizer): Promise<Int32Array> {
  const read = async ({ text, special }: Read): Promise<Int32Array> =>
    (await tokenizer.readUntrusted?.({ kind: "text", text, special })) ?? tokenizer.encode(text, special);
  const all: Int32Array[] = [];
  for (const piece of piecesOf(prompt)) {
    const inner = piece.isFirst ? null : behindLead(await read(led(piece)), await read(lead(piece)));
    all.push(inner ?? (await read(piece)));
  }
  return joined(all);
}

const led = ({ text, special }: Piece): Read => ({ text: `${LEAD}${text}`, special });
const lead = ({ special }: Piece): Read => ({ text: LEAD, special });

/** Null: the lead became one with what follows. */
function behindLead(tokens: Int32Array, leading: Int32Array): Int32Array | null {
  return leading.every((token, i) => tokens[i] === token) ? tokens.subarray(leading.length) : null;
}

function piecesOf({ text, special, plain = [] }: PromptText): Piece[] {
  if (plain.length > MOST_PLACES) {
    const message = `the messages have the texts of control tokens in ${plain.length} places, and ${MOST_PLACES} are read at most; quote them in another way`;
    throw new PromptError("prompt_refused", message);
  }
  const pieces: Read[] = [];
  let at = 0;
  for (const [from, to] of plain) {
    pieces.push({ text: text.slice(at, from), special }, { text: text.slice(from, to), special: false });
    at = to;
  }
  pieces.push({ text: text.slice(at), special });
  return pieces
    .filter(({ text: piece }, i) => i === 0 || piece !== "")
    .map((piece, i) => ({ ...piece, isFirst: i === 0 }));
}

function joined(all: readonly Int32Array[]): Int32Array {
  if (all.length === 1) return all[0]!;
  const tokens = new Int32Array(all.reduce((count, piece) => count + piece.length, 0));
  let at = 0;
  for (const piece of all) {
    tokens.set(piece, at);
    at += piece.length;
  }
  return tokens;
}
