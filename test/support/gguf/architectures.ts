import { booleans, type Entry, float, integer, integers } from "./encode.ts";

/**
 * What llama.cpp wants of a model of each architecture: its hyperparameters and tensors (names and shapes out of
 * llama.cpp's src/models/*.cpp), of the smallest size that has every kind of layer.
 */

export const WIDTH = 64;
const HEADS = 2;
const HEAD = WIDTH / HEADS;
const FEED_FORWARD = 128;
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

export interface Architecture {
  /** llama.cpp's name of it */
  readonly name: string;
  readonly layers: number;
  /** beyond what all have; the keys without the architecture's name before them */
  readonly metadata: (at: (key: string) => string) => Entry[];
  /** of one layer, the names without `blk.N.` before them */
  readonly layer: (index: number) => TensorShape[];
  /** beside the layers and the embedding */
  readonly others: (tokens: number) => TensorShape[];
}

const shaped =
  (fill: Fill) =>
  (name: string, ...shape: number[]): TensorShape => ({ name, shape, fill });
const matrix = shaped("matrix");
const plain = shaped("plainMatrix");
const one = shaped("one");
const bias = shaped("bias");

const attention = (head = HEAD, qFactor = 1) => [
  matrix("attn_q.weight", WIDTH, HEADS * head * qFactor),
  matrix("attn_k.weight", WIDTH, HEADS * head),
  matrix("attn_v.weight", WIDTH, HEADS * head),
  matrix("attn_output.weight", HEADS * head, WIDTH),
];
const norms = (...names: string[]) => names.map((name) => one(`${name}.weight`, WIDTH));
const headNorms = (head = HEAD) => [one("attn_q_norm.weight", head), one("attn_k_norm.weight", head)];
const feedForward = () => [
  matrix("ffn_gate.weight", WIDTH, FEED_FORWARD),
  matrix("ffn_up.weight", WIDTH, FEED_FORWARD),
  matrix("ffn_down.weight", FEED_FORWARD, WIDTH),
];
const experts = () => [
  plain("ffn_gate_inp.weight", WIDTH, EXPERTS),
  matrix("ffn_gate_exps.weight", WIDTH, EXPERT_FEED_FORWARD, EXPERTS),
  matrix("ffn_up_exps.weight", WIDTH, EXPERT_FEED_FORWARD, EXPERTS),
  matrix("ffn_down_exps.weight", EXPERT_FEED_FORWARD, WIDTH, EXPERTS),
];
const outputs = (tokens: number) => [
  one("output_norm.weight", WIDTH),
  matrix("output.weight", WIDTH, tokens),
];

const rope = (at: (key: string) => string) => integer(at("rope.dimension_count"), HEAD);
const window = (at: (key: string) => string) => integer(at("attention.sliding_window"), WINDOW);
const expertCounts = (at: (key: string) => string) => [
  integer(at("expert_count"), EXPERTS),
  integer(at("expert_used_count"), 2),
  integer(at("expert_feed_forward_length"), EXPERT_FEED_FORWARD),
];
/** Which layers attend, by their heads for keys: the others are recurrent. */
const attendsAt = (at: (key: string) => string, layers: number, attends: (layer: number) => boolean) =>
  integers(
    at("attention.head_count_kv"),
    Array.from({ length: layers }, (_, i) => (attends(i) ? HEADS : 0)),
  );
const odd = (layer: number) => layer % 2 === 1;

/** Attention and feed-forward with a norm before each. */
const usual = { layers: 3, others: outputs };

/** Qwen3.5's gated delta net: two heads of keys and of values. */
const DELTA = { state: 32, heads: 2, convolution: 4 };
const deltaChannels = 3 * DELTA.state * DELTA.heads;
/** Mamba 2, of Granite: one group. */
const MAMBA = { inner: 2 * WIDTH, state: 16, heads: 4, convolution: 4 };
const mambaChannels = MAMBA.inner + 2 * MAMBA.state;

export const ARCHITECTURES: readonly Architecture[] = [
  {
    ...usual,
    name: "llama",
    metadata: (at) => [rope(at)],
    layer: () => [...norms("attn_norm", "ffn_norm"), ...attention(), ...feedForward()],
  },
  {
    ...usual,
    name: "qwen2",
    metadata: () => [],
    layer: () => [
      ...norms("attn_norm", "ffn_norm"),
      ...attention(),
      ...["attn_q", "attn_k", "attn_v"].map((name) => bias(`${name}.bias`, WIDTH)),
      ...feedForward(),
    ],
  },
  {
    ...usual,
    name: "qwen3",
    metadata: (at) => [
      integer(at("attention.key_length"), HEAD),
      integer(at("attention.value_length"), HEAD),
    ],
    layer: () => [...norms("attn_norm", "ffn_norm"), ...headNorms(), ...attention(), ...feedForward()],
  },
  {
    ...usual,
    name: "qwen3moe",
    metadata: (at) => [
      integer(at("attention.key_length"), HEAD),
      integer(at("attention.value_length"), HEAD),
      ...expertCounts(at),
    ],
    layer: () => [...norms("attn_norm", "ffn_norm"), ...headNorms(), ...attention(), ...experts()],
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
    layer: () => [
      ...norms("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"),
      ...headNorms(),
      ...attention(),
      ...feedForward(),
    ],
  },
  {
    ...usual,
    name: "gemma4",
    layers: 4,
    metadata: (at) => [
      ...["key_length", "value_length", "key_length_swa", "value_length_swa"].map((key) =>
        integer(at(`attention.${key}`), HEAD),
      ),
      integer(at("rope.dimension_count"), HEAD),
      integer(at("rope.dimension_count_swa"), HEAD),
      window(at),
      booleans(at("attention.sliding_window_pattern"), [true, true, false, true]),
      integer(at("embedding_length_per_layer_input"), 0),
    ],
    layer: () => [
      ...norms("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"),
      ...headNorms(),
      ...attention(),
      ...feedForward(),
    ],
    others: (tokens) => [...outputs(tokens), one("rope_freqs.weight", HEAD / 2)],
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
    layer: () => [...norms("attn_norm"), ...attention(), ...feedForward()],
    others: () => [one("output_norm.weight", WIDTH)],
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
    layer: () => [
      ...norms("attn_norm", "post_attention_norm"),
      ...attention(),
      ...["attn_q", "attn_k", "attn_v", "attn_output"].map((name) => bias(`${name}.bias`, WIDTH)),
      bias("attn_sinks.weight", HEADS),
      ...experts(),
      bias("ffn_gate_inp.bias", EXPERTS),
      bias("ffn_gate_exps.bias", EXPERT_FEED_FORWARD, EXPERTS),
      bias("ffn_up_exps.bias", EXPERT_FEED_FORWARD, EXPERTS),
      bias("ffn_down_exps.bias", WIDTH, EXPERTS),
    ],
  },
  {
    ...usual,
    name: "qwen35",
    layers: 4,
    metadata: (at) => [
      integer(at("attention.key_length"), HEAD),
      integer(at("attention.value_length"), HEAD),
      rope(at),
      integers(at("rope.dimension_sections"), [4, 4, 4, 4]),
      integer(at("full_attention_interval"), 2),
      integer(at("ssm.conv_kernel"), DELTA.convolution),
      integer(at("ssm.inner_size"), DELTA.state * DELTA.heads),
      integer(at("ssm.state_size"), DELTA.state),
      integer(at("ssm.time_step_rank"), DELTA.heads),
      integer(at("ssm.group_count"), DELTA.heads),
    ],
    layer: (index) => [
      ...norms("attn_norm", "post_attention_norm"),
      ...feedForward(),
      ...(odd(index) ? [...attention(HEAD, 2), ...headNorms()] : deltaNet()),
    ],
  },
  {
    name: "lfm2",
    layers: 4,
    metadata: (at) => [integer(at("shortconv.l_cache"), 3), attendsAt(at, 4, odd)],
    layer: (index) => [
      ...norms("attn_norm", "ffn_norm"),
      ...feedForward(),
      ...(odd(index)
        ? [...attention(), ...headNorms()]
        : [
            shaped("filter")("shortconv.conv.weight", 3, WIDTH),
            matrix("shortconv.in_proj.weight", WIDTH, 3 * WIDTH),
            matrix("shortconv.out_proj.weight", WIDTH, WIDTH),
          ]),
    ],
    others: (tokens) => [one("token_embd_norm.weight", WIDTH), matrix("output.weight", WIDTH, tokens)],
  },
  {
    ...usual,
    name: "granitehybrid",
    layers: 4,
    metadata: (at) => [
      rope(at),
      attendsAt(at, 4, odd),
      integer(at("ssm.conv_kernel"), MAMBA.convolution),
      integer(at("ssm.inner_size"), MAMBA.inner),
      integer(at("ssm.state_size"), MAMBA.state),
      integer(at("ssm.time_step_rank"), MAMBA.heads),
      integer(at("ssm.group_count"), 1),
    ],
    layer: (index) => [
      ...norms("attn_norm", "ffn_norm"),
      ...feedForward(),
      ...(odd(index) ? attention() : mamba()),
    ],
  },
];

function deltaNet(): TensorShape[] {
  const { state, heads, convolution } = DELTA;
  return [
    matrix("attn_qkv.weight", WIDTH, deltaChannels),
    matrix("attn_gate.weight", WIDTH, state * heads),
    shaped("filter")("ssm_conv1d.weight", convolution, deltaChannels),
    bias("ssm_dt.bias", heads),
    shaped("decay")("ssm_a", heads),
    matrix("ssm_beta.weight", WIDTH, heads),
    matrix("ssm_alpha.weight", WIDTH, heads),
    one("ssm_norm.weight", state),
    matrix("ssm_out.weight", state * heads, WIDTH),
  ];
}

function mamba(): TensorShape[] {
  const { inner, state, heads, convolution } = MAMBA;
  return [
    matrix("ssm_in.weight", WIDTH, 2 * inner + 2 * state + heads),
    shaped("filter")("ssm_conv1d.weight", convolution, mambaChannels),
    bias("ssm_conv1d.bias", mambaChannels),
    bias("ssm_dt.bias", heads),
    shaped("decay")("ssm_a", 1, heads),
    one("ssm_d", 1, heads),
    one("ssm_norm.weight", inner, 1),
    matrix("ssm_out.weight", inner, WIDTH),
  ];
}

export function architecture(name: string): Architecture {
  const found = ARCHITECTURES.find((one) => one.name === name);
  if (!found) throw new Error(`there is no maker of ${name} models`);
  return found;
}

/** Keys that all have. */
export function commonMetadata({ name, layers }: Architecture, tokens: number, context: number): Entry[] {
  const at = (key: string) => `${name}.${key}`;
  const own = architecture(name).metadata(at);
  const has = (key: string) => own.some((entry) => Buffer.from(entry).includes(`${name}.${key}`));
  return [
    integer(at("block_count"), layers),
    integer(at("context_length"), context),
    integer(at("embedding_length"), WIDTH),
    integer(at("feed_forward_length"), FEED_FORWARD),
    integer(at("attention.head_count"), HEADS),
    ...(has("attention.head_count_kv") ? [] : [integer(at("attention.head_count_kv"), HEADS)]),
    integer(at("vocab_size"), tokens),
    float(at("rope.freq_base"), 10_000),
    float(at("attention.layer_norm_rms_epsilon"), 1e-5),
    ...own,
  ];
}
