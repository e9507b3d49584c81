"""Byte-level BPE: learns a vocabulary from a corpus, and turns the corpus into tokens.

Text is cut into words as llama.cpp's pre-tokenizer "command-r" does: digits one by one, then GPT-2's pattern. So a
merge never joins digits. The corpus is ASCII; all other text is bytes, which every vocabulary holds.
"""

import collections
import heapq
import json
import re

import numpy

SPECIAL = ["<|bos|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|tool|>"]
BOS, END = 0, 1
CONTEXT = 1024

# What a token is to training.
PROMPT, ANSWER, RESULT, DRILL = range(4)
FAMILIES = ["math", "code", "story", "data", "talk", "drill"]

_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")
_DIGIT = re.compile("([0-9])")
_WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def byte_symbols():
    """GPT-2's printable character for each byte."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    symbols = {byte: chr(byte) for byte in shown}
    symbols.update((byte, chr(0x100 + place)) for place, byte in enumerate(hidden))
    return symbols


_SYMBOLS = byte_symbols()


def words_of(text):
    """Words of a text without special tokens."""
    for part in _DIGIT.split(text):
        if _DIGIT.fullmatch(part):
            yield part
        else:
            yield from _WORD.findall(part)


def symbols_of(word):
    return [_SYMBOLS[byte] for byte in word.encode()]


def learn(lines, size):
    """Learns a vocabulary of `size` tokens. Returns tokens and merges."""
    counts = collections.Counter()
    for line in lines:
        for piece in line["pieces"]:
            for text in _SPECIAL.split(piece):
                if text not in SPECIAL:
                    counts.update(words_of(text))
    words = [symbols_of(word) for word in counts]
    often = list(counts.values())
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for number, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += often[number]
            where[pair].add(number)
    # Entries of the heap may be out of date: one counts if its number is still the pair's own.
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    tokens = SPECIAL + [_SYMBOLS[byte] for byte in range(256)]
    known, merges = set(tokens), []
    while len(tokens) < size and heap:
        count, pair = heapq.heappop(heap)
        if -count != pairs[pair] or count > -2:
            continue
        merges.append(pair)
        joined = "".join(pair)
        if joined not in known:
            known.add(joined)
            tokens.append(joined)
        touched = set()
        for number in where[pair]:
            old, new = words[number], merged(words[number], pair)
            for sign, word in ((-1, old), (1, new)):
                for neighbours in zip(word, word[1:]):
                    pairs[neighbours] += sign * often[number]
                    touched.add(neighbours)
                    if sign > 0:
                        where[neighbours].add(number)
            words[number] = new
        for neighbours in sorted(touched):
            if pairs[neighbours] > 0:
                heapq.heappush(heap, (-pairs[neighbours], neighbours))
        pairs[pair] = 0
    tokens += [f"<|unused{number}|>" for number in range(size - len(tokens))]
    return tokens, merges


def merged(word, pair):
    out, at = [], 0
    while at < len(word):
        if tuple(word[at : at + 2]) == pair:
            out.append("".join(pair))
            at += 2
        else:
            out.append(word[at])
            at += 1
    return out


class Tokenizer:
    def __init__(self, tokens, merges):
        self.tokens = tokens
        self.merges = merges
        self._ids = {token: number for number, token in enumerate(tokens)}
        self._ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
        self._known = {}
        self.digits = {self._ids[digit] for digit in "0123456789"}
        self.equals = self.encode(" =")[0]
        self.space = self._ids[_SYMBOLS[0x20]]

    def encode(self, text):
        """Ids of a text; special tokens in it are themselves."""
        ids = []
        for part in _SPECIAL.split(text):
            if part in SPECIAL:
                ids.append(SPECIAL.index(part))
            else:
                for word in words_of(part):
                    ids += self._word(word)
        return ids

    def _word(self, word):
        if word not in self._known:
            symbols = symbols_of(word)
            while True:
                ranked = [(self._ranks[pair], pair) for pair in zip(symbols, symbols[1:]) if pair in self._ranks]
                if not ranked:
                    break
                symbols = merged(symbols, min(ranked)[1])
            self._known[word] = [self._ids[symbol] for symbol in symbols]
        return self._known[word]

    def document(self, line):
        """A conversation's ids, and what each is to training; turns past the context are left out."""
        drill = line["families"] == ["drill"]
        ids, kinds = [BOS], [PROMPT]
        for prompt, answer in zip(line["pieces"][::2], line["pieces"][1::2]):
            asked, said = self.encode(prompt), self.encode(answer)
            if len(ids) + len(asked) + len(said) > CONTEXT:
                break
            ids += asked + said
            kinds += [PROMPT] * len(asked) + self._kinds(said, drill)
        return ids, kinds

    def _kinds(self, ids, drill):
        """The digits behind an equals sign are results."""
        kinds, result = [], False
        for token in ids:
            if token == self.equals:
                result = True
            elif token not in self.digits and token != self.space:
                result = False
            digit = result and token in self.digits
            kinds.append(RESULT if digit else DRILL if drill else ANSWER)
        return kinds


def read(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def encode_corpus(tokenizer, lines, path):
    """Writes a corpus as arrays: ids, kinds, where documents end, and what family they begin with."""
    ids, kinds, ends, families = [], [], [], []
    for line in lines:
        some, their_kinds = tokenizer.document(line)
        if len(some) < 3:
            continue
        ids += some
        kinds += their_kinds
        ends.append(len(ids))
        tasks = [family for family in line["families"] if family != "talk"] or ["talk"]
        families.append(FAMILIES.index(tasks[0]))
    arrays = dict(ids=numpy.array(ids, numpy.uint16), kinds=numpy.array(kinds, numpy.uint8))
    numpy.savez(path, ends=numpy.array(ends), families=numpy.array(families, numpy.uint8), **arrays)
    return len(ids), len(ends)


def main(folder, size):
    training, held_out = read(f"{folder}/training.jsonl"), read(f"{folder}/held-out.jsonl")
    # Merges settle long before a corpus ends.
    tokens, merges = learn(training[:20000], size)
    with open(f"{folder}/tokenizer.json", "w") as file:
        json.dump({"tokens": tokens, "merges": [" ".join(pair) for pair in merges]}, file)
    tokenizer = Tokenizer(tokens, merges)
    for name, lines in (("training", training), ("held-out", held_out)):
        count, documents = encode_corpus(tokenizer, lines, f"{folder}/{name}.npz")
        print(f"{name}: {count} tokens in {documents} documents", flush=True)
    # For a test: the engine has to make the same ids of the same text.
    samples = [(line, tokenizer.document(line)[0]) for line in held_out[:20]]
    with open(f"{folder}/tokenized.json", "w") as file:
        json.dump([{"text": "".join(line["pieces"]), "ids": ids} for line, ids in samples], file)
