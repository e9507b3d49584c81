"""A LLaMA-architecture network as a function of its parameters, which have the names that GGUF gives them."""

import torch
from torch.nn import functional

NORM_EPSILON = 1e-5
ROPE_BASE = 10000.0


def shapes(config):
    """Name and shape of each parameter, in the order of the file."""
    width, ff, vocabulary = config["width"], config["ff"], config["vocabulary"]
    all_heads = config["heads"] * config["head_width"]
    yield "token_embd.weight", (vocabulary, width)
    for layer in range(config["layers"]):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", (width,)
        for name in ("attn_q", "attn_k", "attn_v"):
            yield f"{block}{name}.weight", (all_heads, width)
        yield block + "attn_output.weight", (width, all_heads)
        yield block + "ffn_norm.weight", (width,)
        yield block + "ffn_gate.weight", (ff, width)
        yield block + "ffn_up.weight", (ff, width)
        yield block + "ffn_down.weight", (width, ff)
    yield "output_norm.weight", (width,)
    if not config["tied"]:
        yield "output.weight", (vocabulary, width)


def initial(config, seed):
    """Blocks begin as the identity: what they add to the stream is zero."""
    generator = torch.Generator().manual_seed(seed)
    parameters = {}
    for name, shape in shapes(config):
        if len(shape) == 1:
            parameters[name] = torch.ones(shape)
        elif name.endswith(("attn_output.weight", "ffn_down.weight")):
            parameters[name] = torch.zeros(shape)
        else:
            scale = 0.8 * shape[1] ** -0.5
            if name == "token_embd.weight":
                scale = 0.04 if config["tied"] else 0.5
            elif name == "output.weight":
                scale = 0.02
            parameters[name] = torch.randn(shape, generator=generator) * scale
    return parameters


def with_heads(parameters, config, heads, seed):
    """The same function with more heads in each layer: the output of the new ones begins as zero."""
    generator = torch.Generator().manual_seed(seed)
    width, new = config["width"], (heads - config["heads"]) * config["head_width"]
    out = {}
    for name, value in parameters.items():
        if name.endswith(("attn_q.weight", "attn_k.weight", "attn_v.weight")):
            value = torch.cat([value, torch.randn((new, width), generator=generator) * 0.8 * width**-0.5])
        elif name.endswith("attn_output.weight"):
            value = torch.cat([value, torch.zeros((width, new))], 1)
        out[name] = value
    return out


def with_layers(parameters, layers, new_layers):
    """The same function with more layers: after each block come copies that begin as the identity."""
    times = new_layers // layers
    out = {name: value for name, value in parameters.items() if not name.startswith("blk.")}
    for layer in range(new_layers):
        source, copy = f"blk.{layer // times}.", layer % times > 0
        for name, value in parameters.items():
            if name.startswith(source):
                zero = copy and name.endswith(("attn_output.weight", "ffn_down.weight"))
                out[f"blk.{layer}." + name[len(source) :]] = torch.zeros_like(value) if zero else value.clone()
    return out


def rotations(length, head_width):
    """Angles of RoPE as (cos, sin), each [length, head_width / 2]; pairs are neighbours, as in llama.cpp's LLaMA."""
    rates = ROPE_BASE ** (-torch.arange(0, head_width, 2).float() / head_width)
    angles = torch.arange(length).float()[:, None] * rates[None]
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """x [n, heads, head_width]; cos and sin [n, 1, head_width / 2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON) * weight


def copied(parameters, config, layer, normed, scale):
    """
    What a layer's last head says of tokens that it attends to, as logits [n, vocabulary], where nobody else speaks:
    normed [n, width] is what the layer sees of them, scale a number, that of the last norm.
    """
    last = slice((config["heads"] - 1) * config["head_width"], None)
    values = functional.linear(normed, parameters[f"blk.{layer}.attn_v.weight"][last])
    said = functional.linear(values, parameters[f"blk.{layer}.attn_output.weight"][:, last])
    return functional.linear(said * scale * parameters["output_norm.weight"], parameters["output.weight"])


def attention(q, k, v):
    """One document's: q, k and v [n, heads, head_width]. Also returns whom the last head attends to, [n, n]."""
    length, _, head_width = q.shape
    q, k, v = (x.transpose(0, 1) for x in (q, k, v))
    scores = torch.bmm(q, k.transpose(1, 2)) * head_width**-0.5
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    attended = scores.masked_fill(later, float("-inf")).softmax(-1)
    return torch.bmm(attended, v).transpose(0, 1), attended[-1]


def logits(parameters, config, ids, spans, angles, watched=None):
    """
    ids [n] of documents behind one another, spans their (start, end): a document sees nothing of another, and no row
    is padded. Returns [n, vocabulary]. Each watched layer's place in a dictionary receives what the layer sees,
    [n, width], and whom its last head attends to in each document; the place "scale" receives that of the last norm.
    """
    heads, head_width = config["heads"], config["head_width"]
    positions = torch.cat([torch.arange(end - start) for start, end in spans])
    cos, sin = (angle[positions][:, None] for angle in angles)
    x = functional.embedding(ids, parameters["token_embd.weight"])
    for layer in range(config["layers"]):
        weight = lambda name: parameters[f"blk.{layer}.{name}.weight"]  # noqa: E731, B023
        normed = norm(x, weight("attn_norm"))
        q, k, v = (
            functional.linear(normed, weight(name)).view(-1, heads, head_width)
            for name in ("attn_q", "attn_k", "attn_v")
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mixed, attended = zip(*(attention(q[start:end], k[start:end], v[start:end]) for start, end in spans))
        if watched is not None and layer in watched:
            watched[layer] = (normed, attended)
        x = x + functional.linear(torch.cat(mixed).reshape(len(ids), -1), weight("attn_output"))
        normed = norm(x, weight("ffn_norm"))
        gated = functional.silu(functional.linear(normed, weight("ffn_gate"))) * functional.linear(
            normed, weight("ffn_up")
        )
        x = x + functional.linear(gated, weight("ffn_down"))
    if watched is not None:
        watched["scale"] = torch.rsqrt(x.detach().square().mean() + NORM_EPSILON)
    head = parameters["token_embd.weight" if config["tied"] else "output.weight"]
    return functional.linear(norm(x, parameters["output_norm.weight"]), head)
