#!/usr/bin/python3
"""Writes the five networks as ONNX files, checked against the goldens of the originals where SM_SHARED has them.

Usage: export_torch.py FOLDER
"""
import json
import os
import struct
import sys
import warnings

import numpy as np
import torch

from nets import NETS, unit
from work import batch

OPSET = 13
# the original's answers, and where the input lies: a tensor of the same file, or (file, tensor, frames)
GOLDENS = {
    "crepe-tiny": ("crepe/made_up_tiny", "in.frames", "out.activation"),
    "crepe-full": ("crepe/made_up_full", "in.frames", "out.activation"),
    "musicnn": ("essentia/musicnn_full_made_up", ("essentia/frontend_musicnn", "out.a", 187), None),
    "effnet-discogs": ("essentia/effnet_b0_made_up_same", ("essentia/frontend_musicnn", "out.a", 128), None),
    "yamnet": ("yamnet/made_up_full", "in.patches", "out.scores"),
}


def read_safetensors(path):
    with open(path, "rb") as f:
        raw = f.read()
    size = struct.unpack("<Q", raw[:8])[0]
    kinds = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}
    tensors = {}
    for name, t in json.loads(raw[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            tensors[name] = np.frombuffer(raw[8 + size + begin:8 + size + end], kinds[t["dtype"]]).reshape(t["shape"])
    return tensors


def sampled(name, x):
    """The 256 values of a layer that a golden keeps."""
    flat = x.numpy().reshape(-1)
    if flat.size <= 256:
        return flat
    at = ((unit("indices." + name, 256, 0) + 1) / 2 * flat.size).astype(np.int64)
    return flat[np.minimum(at, flat.size - 1)]


def error(ours, theirs):
    return float(np.sqrt(np.mean((ours.astype(np.float64) - theirs) ** 2) / np.mean(theirs.astype(np.float64) ** 2)))


def check(name, net, shared):
    """Largest normalised error over the layers that the original and the restatement both name."""
    file, source, answer = GOLDENS[name]
    golden = read_safetensors(os.path.join(shared, "golden", file + ".safetensors"))
    if isinstance(source, tuple):
        mel = read_safetensors(os.path.join(shared, "golden", source[0] + ".safetensors"))[source[1]]
        x = mel[None, :source[2]]
    else:
        x = golden[source]
    net.traced = {}
    out = net(torch.from_numpy(x.copy()))
    errors = {k: error(sampled(k, v.contiguous()), golden[k + ".values"]) for k, v in net.traced.items() if k + ".values" in golden}
    net.traced = None
    if answer:
        errors[answer] = error((out[0] if isinstance(out, tuple) else out).numpy(), golden[answer])
    worst = max(errors, key=errors.get)
    print("%-15s %2d layers against the original: largest error %.1e (%s)" % (name, len(errors), errors[worst], worst))
    if errors[worst] > 1e-4:
        sys.exit("%s: is not the original network" % name)


def main():
    folder = sys.argv[1]
    shared = os.environ.get("SM_SHARED", "")
    os.makedirs(folder, exist_ok=True)
    warnings.simplefilter("ignore")  # the exporter warns of folding that it leaves to the runtime
    for name, make in NETS.items():
        net = make().eval()
        with torch.no_grad():
            if os.path.isdir(os.path.join(shared, "golden")):
                check(name, net, shared)
            else:
                print("%-15s not checked: no goldens (set SM_SHARED)" % name)
            path = os.path.join(folder, name + ".onnx")
            x = torch.from_numpy(batch(name, 2))
            torch.onnx.export(net, x, path, opset_version=OPSET, input_names=["input"], dynamic_axes={"input": {0: "batch"}})


if __name__ == "__main__":
    main()
