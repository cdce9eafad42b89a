"""Writes the two files of AudioCraft's layout by PyTorch's own writer, from ../pipeline: /usr/bin/python3 make.py"""
import collections, json, struct
import torch

LM_CONFIG = """solver: musicgen
sample_rate: 32000
channels: 1
transformer_lm:
  dim: 32
  num_heads: 4
  num_layers: 2
  hidden_scale: 4
  n_q: 4
  card: 16
  dropout: 0.0
  activation: gelu
  norm_first: true
  bias_ff: false
  bias_attn: false
  bias_proj: false
  causal: true
  qk_layer_norm: false
  kv_repeat: 1
  positional_embedding: sin
  layer_scale: null
codebooks_pattern:
  modeling: delay
  delay:
    delays:
    - 0
    - 1
    - 2
    - 3
dataset:
  segment_duration: 2
"""
CODEC_CONFIG = """solver: compression
sample_rate: 32000
channels: 1
seanet:
  dimension: 8
  n_filters: 2
  ratios:
  - 8
  - 5
  - 4
  - 4
  pad_mode: constant
rvq:
  n_q: 4
  bins: 16
"""


def read(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    header.pop("__metadata__", None)
    state = collections.OrderedDict()
    for name, t in header.items():
        a, b = t["data_offsets"]
        assert t["dtype"] == "F16"
        state[name] = torch.frombuffer(bytearray(data[8 + n + a:8 + n + b]), dtype=torch.float16).reshape(t["shape"])
    return state


def write(path, state, config):
    torch.save({"best_state": state, "xp.cfg": config, "version": "1.4.0a2", "exported": True}, path)


if __name__ == "__main__":
    write("state_dict.bin", read("../pipeline/musicgen.safetensors"), LM_CONFIG)
    codec = read("../pipeline/encodec.safetensors")
    for q in range(4):  # what training leaves there
        codec["quantizer.vq.layers.%d._codebook.inited" % q] = torch.ones(1)
        codec["quantizer.vq.layers.%d._codebook.cluster_size" % q] = torch.ones(16)
    write("compression_state_dict.bin", codec, CODEC_CONFIG)
    torch.save({"pretrained": "facebook/encodec_32khz", "exported": True, "version": "1.4.0a2"}, "pretrained.bin")
