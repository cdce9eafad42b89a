#!/usr/bin/python3
"""Times one chunk of the original HTDemucs in PyTorch: time_htdemucs.py [threads [runs]] -> {"model": "htdemucs", "ms": best}

PYTHONPATH must lead to checkouts of facebookresearch/demucs and arogozhnikov/einops (neither is in Debian). What the network itself
does not use (openunmix's Wiener filter, dora's and diffq's training helpers, julius) may be missing: empty modules stand in for it.
Weights are random: they do not change the time. Attention, convolutions and transforms are PyTorch's own.
"""
import importlib
import json
import sys
import time
import types

import torch


class Anything(types.ModuleType):
    """A module in which every name is there and does nothing."""

    __path__ = []

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


for name in ("openunmix", "openunmix.filtering", "diffq", "dora", "dora.log", "julius", "omegaconf"):
    try:
        importlib.import_module(name)
    except ImportError:
        sys.modules[name] = Anything(name)

from demucs.htdemucs import HTDemucs  # noqa: E402

threads, runs = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 1), (2, 3)))
torch.set_num_threads(threads)
torch.manual_seed(0)
net = HTDemucs(sources=["drums", "bass", "other", "vocals"], segment=39 / 5, dconv_mode=3, bottom_channels=512, t_layers=5).eval()
mix = torch.randn(1, 2, 343980)
best = float("inf")
with torch.no_grad():
    for _ in range(runs):
        start = time.perf_counter()
        net(mix)
        best = min(best, time.perf_counter() - start)
print(json.dumps({"model": "htdemucs", "threads": threads, "ms": round(1e3 * best, 1)}))
