import { booleans, type Entry, float, integer, integers } from "./encode.ts";

/**
 * What llama.cpp wants of a model of each architecture: its hyperparameters and tensors (names and shapes out of
 * llama.cpp's src/models/*.cpp), of the smallest size that has every kind of layer, or larger.
 */

const HEADS = 2;
const HEAD = 32;
const EXPERTS = 4;
const EXPERT_FEED_FORWARD = 32;
/** small, so that short texts leave it behind */
export const WINDOW = 32;

/** How a tensor is filled. `matrix`: random, scaled down with its columns; the others: around a constant. */
export type Fill = "matrix" | "one" | "bias" | "decay" | "filter" | "plainMatrix";

export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
  readonly fill: Fill;
}

/** The name of a key of the metadata. */
type Key = (key: string) => string;

/** How often the heads, and the layers, of the smallest. */
export interface Growth {
  readonly heads: number;
  readonly layers: number;
}

export const SMALLEST: Growth = { heads: 1, layers: 1 };

/** What follows from it. */
interface Size {
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly feedForward: number;
  /** of Qwen3.5's gated delta net: as many heads of keys as of values */
  readonly delta: { readonly state: number; readonly heads: number };
  /** of Mamba 2, of Granite: one group */
  readonly mamba: { readonly inner: number; readonly heads: number };
}

/** Of a delta net's head in a model that is not the smallest, as it is in those that people run. */
const LARGE_STATE = 128;

function sizeOf(layers: number, growth: Growth): Size {
  const heads = HEADS * growth.heads;
  const width = heads * HEAD;
  const state = width < LARGE_STATE ? HEAD : LARGE_STATE;
  return {
    ...{ layers: layers * growth.layers, heads, width, feedForward: 2 * width },
    delta: { state, heads: width / state },
    mamba: { inner: 2 * width, heads: 2 * heads },
  };
}

export interface Architecture {
  /** llama.cpp's name of it */
  readonly name: string;
  readonly layers: number;
  /** beyond what all have; the keys without the architecture's name before them */
  readonly metadata: (at: Key, size: Size) => Entry[];
  /** of one layer, the names without `blk.N.` before them */
  readonly layer: (size: Size, index: number) => TensorShape[];
  /** beside the layers and the embedding */
  readonly others: (size: Size, tokens: number) => TensorShape[];
}

const shaped =
  (fill: Fill) =>
  (name: string, ...shape: number[]): TensorShape => ({ name, shape, fill });
const matrix = shaped("matrix");
const plain = shaped("plainMatrix");
const one = shaped("one");
const bias = shaped("bias");

const attention = ({ width, heads }: Size, head = HEAD, qFactor = 1) => [
  matrix("attn_q.weight", width, heads * head * qFactor),
  matrix("attn_k.weight", width, heads * head),
  matrix("attn_v.weight", width, heads * head),
  matrix("attn_output.weight", heads * head, width),
];
const norms = ({ width }: Size, ...names: string[]) => names.map((name) => one(`${name}.weight`, width));
const headNorms = (head = HEAD) => [one("attn_q_norm.weight", head), one("attn_k_norm.weight", head)];
const feedForward = ({ width, feedForward }: Size) => [
  matrix("ffn_gate.weight", width, feedForward),
  matrix("ffn_up.weight", width, feedForward),
  matrix("ffn_down.weight", feedForward, width),
];
const experts = ({ width }: Size) => [
  plain("ffn_gate_inp.weight", width, EXPERTS),
  matrix("ffn_gate_exps.weight", width, EXPERT_FEED_FORWARD, EXPERTS),
  matrix("ffn_up_exps.weight", width, EXPERT_FEED_FORWARD, EXPERTS),
  matrix("ffn_down_exps.weight", EXPERT_FEED_FORWARD, width, EXPERTS),
];
const outputs = ({ width }: Size, tokens: number) => [
  one("output_norm.weight", width),
  matrix("output.weight", width, tokens),
];

const rope = (at: Key) => integer(at("rope.dimension_count"), HEAD);
const window = (at: Key) => integer(at("attention.sliding_window"), WINDOW);
const expertCounts = (at: Key) => [
  integer(at("expert_count"), EXPERTS),
  integer(at("expert_used_count"), 2),
  integer(at("expert_feed_forward_length"), EXPERT_FEED_FORWARD),
];
/** Which layers attend, by their heads for keys: the others are recurrent. */
const attendsAt = (at: Key, { layers, heads }: Size, attends: (layer: number) => boolean) =>
  integers(
    at("attention.head_count_kv"),
    Array.from({ length: layers }, (_, i) => (attends(i) ? heads : 0)),
  );
const odd = (layer: number) => layer % 2 === 1;

/** Attention and feed-forward with a norm before each. */
const usual = { layers: 3, others: outputs };

/** Tokens that a recurrent layer's convolution sees. */
const CONVOLUTION = 4;
const MAMBA_STATE = 16;

export const ARCHITECTURES: readonly Architecture[] = [
  {
    ...usual,
    name: "llama",
    metadata: (at) => [rope(at)],
    layer: (size) => [...norms(size, "attn_norm", "ffn_norm"), ...attention(size), ...feedForward(size)],
  },
  {
    ...usual,
    name: "qwen2",
    metadata: () => [],
    layer: (size) => [
      ...norms(size, "attn_norm", "ffn_norm"),
      ...attention(size),
      ...["attn_q", "attn_k", "attn_v"].map((name) => bias(`${name}.bias`, size.width)),
      ...feedForward(size),
    ],
  },
  {
    ...usual,
    name: "qwen3",
    metadata: (at) => [
      integer(at("attention.key_length"), HEAD),
      integer(at("attention.value_length"), HEAD),
    ],
    layer: (size) => [
      ...norms(size, "attn_norm", "ffn_norm"),
      ...headNorms(),
      ...attention(size),
      ...feedForward(size),
    ],
  },
  {
    ...usual,
    name: "qwen3moe",
    metadata: (at) => [
      integer(at("attention.key_length"), HEAD),
      integer(at("attention.value_length"), HEAD),
      ...expertCounts(at),
    ],
    layer: (size) => [
      ...norms(size, "attn_norm", "ffn_norm"),
      ...headNorms(),
      ...attention(size),
      ...experts(size),
    ],
  },
  {
    ...usual,
    name: "gemma3",
    metadata: (at) => [
      integer(at("attention.key_length"), HEAD),
      integer(at("attention.value_length"), HEAD),
      window(at),
    ],
    layers: 7,
    layer: (size) => [
      ...norms(size, "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"),
      ...headNorms(),
      ...attention(size),
      ...feedForward(size),
    ],
  },
  {
    ...usual,
    name: "gemma4",
    layers: 4,
    metadata: (at, size) => [
      ...["key_length", "value_length", "key_length_swa", "value_length_swa"].map((key) =>
        integer(at(`attention.${key}`), HEAD),
      ),
      integer(at("rope.dimension_count"), HEAD),
      integer(at("rope.dimension_count_swa"), HEAD),
      window(at),
      booleans(
        at("attention.sliding_window_pattern"),
        Array.from({ length: size.layers }, (_, i) => i % 4 !== 2),
      ),
      integer(at("embedding_length_per_layer_input"), 0),
    ],
    layer: (size) => [
      ...norms(size, "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"),
      ...headNorms(),
      ...attention(size),
      ...feedForward(size),
    ],
    others: (size, tokens) => [...outputs(size, tokens), one("rope_freqs.weight", HEAD / 2)],
  },
  {
    name: "cohere2",
    layers: 4,
    metadata: (at) => [
      window(at),
      rope(at),
      float(at("logit_scale"), 0.25),
      float(at("attention.layer_norm_epsilon"), 1e-5),
    ],
    layer: (size) => [...norms(size, "attn_norm"), ...attention(size), ...feedForward(size)],
    others: (size) => [one("output_norm.weight", size.width)],
  },
  {
    ...usual,
    name: "gpt-oss",
    layers: 4,
    metadata: (at) => [
      integer(at("attention.key_length"), HEAD),
      integer(at("attention.value_length"), HEAD),
      rope(at),
      window(at),
      ...expertCounts(at),
    ],
    layer: (size) => [
      ...norms(size, "attn_norm", "post_attention_norm"),
      ...attention(size),
      ...["attn_q", "attn_k", "attn_v", "attn_output"].map((name) => bias(`${name}.bias`, size.width)),
      bias("attn_sinks.weight", size.heads),
      ...experts(size),
      bias("ffn_gate_inp.bias", EXPERTS),
      bias("ffn_gate_exps.bias", EXPERT_FEED_FORWARD, EXPERTS),
      bias("ffn_up_exps.bias", EXPERT_FEED_FORWARD, EXPERTS),
      bias("ffn_down_exps.bias", size.width, EXPERTS),
    ],
  },
  {
    ...usual,
    name: "qwen35",
    layers: 4,
    metadata: (at, size) => [
      integer(at("attention.key_length"), HEAD),
      integer(at("attention.value_length"), HEAD),
      rope(at),
      integers(at("rope.dimension_sections"), [4, 4, 4, 4]),
      integer(at("full_attention_interval"), 2),
      integer(at("ssm.conv_kernel"), CONVOLUTION),
      integer(at("ssm.inner_size"), size.width),
      integer(at("ssm.state_size"), size.delta.state),
      integer(at("ssm.time_step_rank"), size.delta.heads),
      integer(at("ssm.group_count"), size.delta.heads),
    ],
    layer: (size, index) => [
      ...norms(size, "attn_norm", "post_attention_norm"),
      ...feedForward(size),
      ...(odd(index) ? [...attention(size, HEAD, 2), ...headNorms()] : deltaNet(size)),
    ],
  },
  {
    name: "lfm2",
    layers: 4,
    metadata: (at, size) => [integer(at("shortconv.l_cache"), 3), attendsAt(at, size, odd)],
    layer: (size, index) => [
      ...norms(size, "attn_norm", "ffn_norm"),
      ...feedForward(size),
      ...(odd(index)
        ? [...attention(size), ...headNorms()]
        : [
            shaped("filter")("shortconv.conv.weight", 3, size.width),
            matrix("shortconv.in_proj.weight", size.width, 3 * size.width),
            matrix("shortconv.out_proj.weight", size.width, size.width),
          ]),
    ],
    others: (size, tokens) => [
      one("token_embd_norm.weight", size.width),
      matrix("output.weight", size.width, tokens),
    ],
  },
  {
    ...usual,
    name: "granitehybrid",
    layers: 4,
    metadata: (at, size) => [
      rope(at),
      attendsAt(at, size, odd),
      integer(at("ssm.conv_kernel"), CONVOLUTION),
      integer(at("ssm.inner_size"), size.mamba.inner),
      integer(at("ssm.state_size"), MAMBA_STATE),
      integer(at("ssm.time_step_rank"), size.mamba.heads),
      integer(at("ssm.group_count"), 1),
    ],
    layer: (size, index) => [
      ...norms(size, "attn_norm", "ffn_norm"),
      ...feedForward(size),
      ...(odd(index) ? attention(size) : mamba(size)),
    ],
  },
];

function deltaNet({ width, delta: { state, heads } }: Size): TensorShape[] {
  return [
    matrix("attn_qkv.weight", width, 3 * width),
    matrix("attn_gate.weight", width, width),
    shaped("filter")("ssm_conv1d.weight", CONVOLUTION, 3 * width),
    bias("ssm_dt.bias", heads),
    shaped("decay")("ssm_a", heads),
    matrix("ssm_beta.weight", width, heads),
    matrix("ssm_alpha.weight", width, heads),
    one("ssm_norm.weight", state),
    matrix("ssm_out.weight", width, width),
  ];
}

function mamba({ width, mamba: { inner, heads } }: Size): TensorShape[] {
  const channels = inner + 2 * MAMBA_STATE;
  return [
    matrix("ssm_in.weight", width, 2 * inner + 2 * MAMBA_STATE + heads),
    shaped("filter")("ssm_conv1d.weight", CONVOLUTION, channels),
    bias("ssm_conv1d.bias", channels),
    bias("ssm_dt.bias", heads),
    shaped("decay")("ssm_a", 1, heads),
    one("ssm_d", 1, heads),
    one("ssm_norm.weight", inner, 1),
    matrix("ssm_out.weight", inner, width),
  ];
}

export function architecture(name: string): Architecture {
  const found = ARCHITECTURES.find((one) => one.name === name);
  if (!found) throw new Error(`there is no maker of ${name} models`);
  return found;
}

/** A model's metadata beside its name and its tokenizer, and its tensors. */
export function partsOf(
  { name, layers, metadata, layer, others }: Architecture,
  growth: Growth,
  tokens: number,
  context: number,
): { readonly metadata: Entry[]; readonly tensors: TensorShape[] } {
  const size = sizeOf(layers, growth);
  const at = (key: string) => `${name}.${key}`;
  const own = metadata(at, size);
  const has = (key: string) => own.some((entry) => Buffer.from(entry).includes(`${name}.${key}`));
  const common = [
    integer(at("block_count"), size.layers),
    integer(at("context_length"), context),
    integer(at("embedding_length"), size.width),
    integer(at("feed_forward_length"), size.feedForward),
    integer(at("attention.head_count"), size.heads),
    ...(has("attention.head_count_kv") ? [] : [integer(at("attention.head_count_kv"), size.heads)]),
    integer(at("vocab_size"), tokens),
    float(at("rope.freq_base"), 10_000),
    float(at("attention.layer_norm_rms_epsilon"), 1e-5),
  ];
  const tensors = Array.from({ length: size.layers }, (_, index) =>
    layer(size, index).map((tensor) => ({ ...tensor, name: `blk.${index}.${tensor.name}` })),
  );
  const embedding = matrix("token_embd.weight", size.width, tokens);
  return { metadata: [...common, ...own], tensors: [embedding, ...others(size, tokens), ...tensors.flat()] };
}
