"""Writes a trained model as GGUF, as llama.cpp reads it: Q8_0 or F16 for matrices, F32 for vectors."""

import struct

import numpy

import network
import tokenizer

ALIGNMENT = 32
BLOCK = 32

# Types of values in the header, and of tensors.
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
F32, F16, Q8_0 = 0, 1, 8
FILE_TYPES = {"f16": 1, "q8_0": 7}
# Types of tokens.
NORMAL, CONTROL, UNUSED = 1, 3, 5


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def array(kind, values):
    body = b"".join(map(text, values)) if kind == STRING else struct.pack(f"<{len(values)}i", *values)
    return struct.pack("<IQ", kind, len(values)) + body


def field(key, kind, value):
    packed = {
        UINT32: lambda: struct.pack("<I", value),
        FLOAT32: lambda: struct.pack("<f", value),
        BOOL: lambda: struct.pack("<?", value),
        STRING: lambda: text(value),
        ARRAY: lambda: value,
    }[kind]()
    return text(key) + struct.pack("<I", kind) + packed


def quantized(values):
    """Q8_0: a half-precision scale for each 32 values, and their multiples of it as bytes."""
    blocks = values.reshape(-1, BLOCK)
    scales = numpy.abs(blocks).max(1) / 127
    inverses = numpy.divide(1, scales, out=numpy.zeros_like(scales), where=scales > 0)
    steps = numpy.rint(blocks * inverses[:, None]).astype(numpy.int8)
    halves = scales.astype(numpy.float16).view(numpy.uint8).reshape(-1, 2)
    return numpy.concatenate([halves, steps.view(numpy.uint8)], 1)


def encoded(values, form):
    """A tensor's bytes and its type."""
    if values.ndim == 1:
        return values.astype(numpy.float32).tobytes(), F32
    if form == "f16":
        return values.astype(numpy.float16).tobytes(), F16
    return quantized(values).tobytes(), Q8_0


def padding(length):
    return b"\0" * (-length % ALIGNMENT)


def metadata(config, tokens, merges, template, name, form):
    width, heads, head_width = config["width"], config["heads"], config["head_width"]
    special = len(tokenizer.SPECIAL)
    kinds = [CONTROL] * special
    kinds += [UNUSED if token.startswith("<|unused") else NORMAL for token in tokens[special:]]
    yield field("general.architecture", STRING, "llama")
    yield field("general.name", STRING, name)
    yield field("general.license", STRING, "apache-2.0")
    yield field("general.file_type", UINT32, FILE_TYPES[form])
    for key, value in (
        ("block_count", config["layers"]),
        ("context_length", tokenizer.CONTEXT),
        ("embedding_length", width),
        ("feed_forward_length", config["ff"]),
        ("vocab_size", len(tokens)),
        ("attention.head_count", heads),
        ("attention.head_count_kv", heads),
        ("attention.key_length", head_width),
        ("attention.value_length", head_width),
        ("rope.dimension_count", head_width),
    ):
        yield field(f"llama.{key}", UINT32, value)
    yield field("llama.attention.layer_norm_rms_epsilon", FLOAT32, network.NORM_EPSILON)
    yield field("llama.rope.freq_base", FLOAT32, network.ROPE_BASE)
    yield field("tokenizer.ggml.model", STRING, "gpt2")
    # Cuts digits one by one, as training did; with "gpt-2" spaces before punctuation would be lost.
    yield field("tokenizer.ggml.pre", STRING, "command-r")
    yield field("tokenizer.ggml.tokens", ARRAY, array(STRING, tokens))
    yield field("tokenizer.ggml.token_type", ARRAY, array(INT32, kinds))
    yield field("tokenizer.ggml.merges", ARRAY, array(STRING, merges))
    yield field("tokenizer.ggml.bos_token_id", UINT32, tokenizer.BOS)
    for role in ("eos", "eot"):
        yield field(f"tokenizer.ggml.{role}_token_id", UINT32, tokenizer.END)
    yield field("tokenizer.ggml.add_bos_token", BOOL, True)
    yield field("tokenizer.ggml.add_space_prefix", BOOL, False)
    yield field("tokenizer.chat_template", STRING, template)


def write(path, model, tokens, merges, template, name, form):
    """form: "q8_0" or "f16"."""
    fields = list(metadata(model["config"], tokens, merges, template, name, form))
    tensors, bodies, offset = [], [], 0
    for key, shape in network.shapes(model["config"]):
        body, kind = encoded(model["parameters"][key].numpy().astype(numpy.float32), form)
        sizes = struct.pack(f"<{len(shape)}Q", *reversed(shape))
        tensors.append(text(key) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", kind, offset))
        bodies.append(body + padding(len(body)))
        offset += len(bodies[-1])
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields)) + b"".join(fields) + b"".join(tensors)
    with open(path, "wb") as file:
        file.write(header + padding(len(header)))
        for body in bodies:
            file.write(body)
