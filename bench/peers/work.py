"""The unit of work: 10 s of audio.

work.json: frames or patches in 10 s ("items"), how many of them are timed, in one call ("timed"; the time is scaled to all), the shape
of one, and its multiply-adds by the plain definition, in millions.
"""
import json
import os

import numpy as np

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "work.json")) as _f:
    WORK = json.load(_f)


def batch(name, items=None):
    """Seeded normal noise: the networks take the same time for any input."""
    w = WORK[name]
    return np.random.default_rng(1).standard_normal([items or w["timed"]] + w["shape"], dtype=np.float32)
