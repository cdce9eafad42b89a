#!/usr/bin/env python3
"""Fits the judges of tempo and key to loops that make_loops.py composed, and writes them as C tables. Needs numpy.

Usage: fit.py tempo|key SET[,SET...] [--test SET[,SET...]] [-o src/dsp/tempo_judge.c] [--hidden N] [--epochs N] [--decay D] [--seed N]
SET is a folder with loops.csv and features.bin, or CSV:FEATURES; features are written by bench/score_loops CSV --features FILE.
tempo with --noise FEATURES[,FEATURES...], of sounds without rhythm: also the regression in tempo.c that tells rhythm from none.
"""
import argparse
import csv
import struct
from collections import Counter

import numpy as np

PITCH = {"C": 0, "C#": 1, "Db": 1, "D": 2, "D#": 3, "Eb": 3, "E": 4, "F": 5, "F#": 6, "Gb": 6, "G": 7, "G#": 8, "Ab": 8, "A": 9, "A#": 10, "Bb": 10, "B": 11}
LOOP_FIT = 6 * 18 + 3 * 9 + 14                 # where candidates.c puts loop_features
NAMES = "C C# D D# E F F# G G# A A# B".split()


def read_features(path):
    b = open(path, "rb").read()
    n_tempo, n_key = struct.unpack_from("<ii", b, 0)
    one = np.dtype([("bpm", "<f8"), ("salience", "<f8"), ("x", "<f4", (n_tempo,))])
    at, out = 8, []
    while at < len(b):
        n, onsets = struct.unpack_from("<ii", b, at)
        about = np.frombuffer(b, "<f8", 4, at + 8)
        at += 40
        c = np.frombuffer(b, one, n, at)
        at += n * one.itemsize
        key = np.frombuffer(b, "<f4", n_key, at).reshape(-1, 12)
        at += 4 * n_key
        out.append({"c": c, "onsets": onsets, "sounding": about[1], "key": key})
    return out


def read_set(name):
    table, features = name.split(":") if ":" in name else (name + "/loops.csv", name + "/features.bin")
    rows = []
    for r, f in zip(csv.DictReader(open(table)), read_features(features)):
        bpm = float(r["bpm"]) if r["bpm"] else np.nan
        if r.get("meter") == "7/8" and bpm > 200:
            bpm /= 2                              # eighths: a listener taps quarters
        key = PITCH[r["key"]] + 12 * (r["mode"] == "minor") if r["key"] else -1
        rows.append(dict(f, bpm=bpm, answer=key, name=r["path"], style=r.get("style", ""), parts=r.get("parts", ""), cut=r.get("cut", "exact")))
    return rows


def read_sets(names):
    return [r for n in names.split(",") for r in read_set(n)] if names else []


class Net:
    """One hidden layer of tanh; Adam with decoupled decay; noise and dropout on the input."""

    def __init__(self, rng, n, hidden, outputs):
        self.rng = rng
        self.p = [rng.normal(0, n ** -0.5, (n, hidden)), np.zeros(hidden), rng.normal(0, hidden ** -0.5, (hidden, outputs)), np.zeros(outputs)]
        self.p = [a.astype(np.float32) for a in self.p]
        self.m, self.v, self.t = [np.zeros_like(a) for a in self.p], [np.zeros_like(a) for a in self.p], 0

    def forward(self, x):
        h = np.tanh(x @ self.p[0] + self.p[1])
        return h, h @ self.p[2] + self.p[3]

    def disturb(self, x, noise, drop):
        x = x + self.rng.normal(0, noise, x.shape).astype(np.float32)
        return x * (self.rng.random((len(x), 1, x.shape[-1])) > drop)

    def step(self, x, h, grad, rate, decay):
        back = (grad @ self.p[2].T) * (1 - h * h)
        f = x.reshape(-1, x.shape[-1])
        g = [f.T @ back.reshape(len(f), -1), back.sum((0, 1)), h.reshape(len(f), -1).T @ grad.reshape(len(f), -1), grad.sum((0, 1))]
        self.t += 1
        for i in range(4):
            self.m[i] = 0.9 * self.m[i] + 0.1 * g[i]
            self.v[i] = 0.999 * self.v[i] + 0.001 * g[i] ** 2
            self.p[i] = self.p[i] - rate * (self.m[i] / (1 - 0.9 ** self.t) / (np.sqrt(self.v[i] / (1 - 0.999 ** self.t)) + 1e-8) + decay * self.p[i])


def softmax(s):
    e = np.exp(s - s.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def tempo_batch(rows, mean, scale):
    most = max(len(r["c"]) for r in rows)
    x = np.zeros((len(rows), most, len(mean)), np.float32)
    mask, y = np.full((len(rows), most), -1e9, np.float32), np.zeros((len(rows), most), np.float32)
    for i, r in enumerate(rows):
        n = len(r["c"])
        x[i, :n] = (r["c"]["x"] - mean) * scale
        mask[i, :n] = 0
        y[i, :n] = np.abs(np.log(r["c"]["bpm"] / r["bpm"])) < 0.02
    return x, mask, y


def key_batch(rows, mean, scale):
    x = np.stack([[np.roll(r["key"], -k, 1).reshape(-1) for k in range(12)] for r in rows]).astype(np.float32)
    return (x - mean) * scale, None, np.eye(24, dtype=np.float32)[[r["answer"] for r in rows]]


def scores_of(net, x, mask):
    h, s = net.forward(x)
    s = s[..., 0] + mask if mask is not None else np.concatenate([s[..., 0], s[..., 1]], -1)
    return h, s


def train(a, rows, batch, mean, scale, outputs, tests):
    rng = np.random.default_rng(a.seed)
    net = Net(rng, len(mean), a.hidden, outputs)
    x, mask, y = batch(rows, mean, scale)
    for epoch in range(a.epochs):
        order = rng.permutation(len(rows))
        rate = 1.5e-3 * (1 + np.cos(np.pi * epoch / a.epochs))
        for i in range(0, len(order), 64):
            ix = order[i:i + 64]
            xb = net.disturb(x[ix], a.noise, 0.1)
            h, s = scores_of(net, xb, None if mask is None else mask[ix])
            p = softmax(s)
            hit = p * y[ix]
            g = (p - hit / (hit.sum(1, keepdims=True) + 1e-9)) / len(ix)
            g = g[..., None] if mask is not None else np.stack([g[:, :12], g[:, 12:]], -1)
            net.step(xb, h, g, rate * min(1, (net.t + 1) / 50), a.decay)
        if epoch % 10 == 9:
            print("epoch %d: train %.4f" % (epoch + 1, right_of(net, batch, rows, mean, scale)[0].mean()), *["test %.4f" % right_of(net, batch, t, mean, scale)[0].mean() for t in tests])
    return net


def right_of(net, batch, rows, mean, scale):
    x, mask, y = batch(rows, mean, scale)
    p = softmax(scores_of(net, x, mask)[1])
    best = p.argmax(1)
    return y[np.arange(len(y)), best] > 0, best, p[np.arange(len(y)), best]


def number(v):
    s = "%.4g" % v
    return s + ("f" if "." in s or "e" in s else ".0f")


def write_table(path, name, what, arrays):
    with open(path, "w") as out:
        out.write("/* %s Written by scripts/loops/fit.py. */\n#include \"dsp/judge.h\"\n\n// clang-format off\n" % what)
        for k, v in arrays.items():
            flat = np.asarray(v, np.float32).reshape(-1)
            lines = ["    " + " ".join(number(f) + "," for f in flat[i:i + 24]) for i in range(0, len(flat), 24)]
            out.write("static const float %s[] = {\n%s\n};\n" % (k, "\n".join(lines)))
        f, h = arrays["w1"].shape
        out.write("// clang-format on\n\nconst judge %s = {\n    .features = %d,\n    .hidden = %d,\n    .outputs = %d,\n" % (name, f, h, len(arrays["b2"])))
        out.write("".join("    .%s = %s,\n" % (k, k) for k in arrays) + "};\n")


def report_tempo(rows, right, best, share):
    total, good = Counter(r["style"] for r in rows), Counter(r["style"] for r, ok in zip(rows, right) if ok)
    print(" ".join("%s %d/%d" % (k, good[k], total[k]) for k in sorted(total)))
    drums = np.array(["drums" in r["parts"] for r in rows])
    if drums.any():
        print("with drums %.4f, without %.4f" % (right[drums].mean(), right[~drums].mean()))
    for r, ok, b, s in zip(rows, right, best, share):
        if not ok and len(rows) < 100:
            print("  %s %.1f -> %.1f (%.2f)" % (r["name"], r["bpm"], r["c"]["bpm"][b], s))


def report_key(rows, right, best, share):
    kinds = Counter()
    for r, ok, b, s in zip(rows, right, best, share):
        up, other = (b - r["answer"]) % 12, (b >= 12) != (r["answer"] >= 12)
        kinds["right" if ok else "relative" if other and up == (3 if r["answer"] >= 12 else 9) else "parallel" if other and up == 0 else "fifth" if not other and up in (5, 7) else "other"] += 1
        if not ok and len(rows) < 100:
            print("  %s %s%s -> %s%s (%.2f)" % (r["name"], NAMES[r["answer"] % 12], "m" * int(r["answer"] >= 12), NAMES[b % 12], "m" * int(b >= 12), s))
    print(dict(kinds))
    full = np.array(["bass" in r["parts"] and "comp" in r["parts"] for r in rows])
    if full.any():
        print("with bass and chords %.4f" % right[full].mean())


def fit_judge(a):
    tempo = a.what == "tempo"
    batch, usable = (tempo_batch, lambda r: len(r["c"]) and np.isfinite(r["bpm"])) if tempo else (key_batch, lambda r: r["answer"] >= 0)
    rows = [r for r in read_sets(a.sets) if usable(r)]
    tests = [[r for r in read_set(t) if usable(r)] for t in a.test.split(",")] if a.test else []
    if tempo:
        found = [r for r in rows if (np.abs(np.log(r["c"]["bpm"] / r["bpm"])) < 0.02).any()]
        print("%d of %d have the true tempo among their candidates" % (len(found), len(rows)))
        rows = found
        flat = np.concatenate([r["c"]["x"] for r in rows])
    else:
        flat = np.stack([np.roll(r["key"], -k, 1).reshape(-1) for r in rows for k in range(12)])
    mean, scale = flat.mean(0), 1 / (flat.std(0) + (1e-3 if tempo else 0.1))
    net = train(a, rows, batch, mean, scale, 1 if tempo else 2, tests)
    for t in tests:
        right, best, share = right_of(net, batch, t, mean, scale)
        print("test: %d of %d" % (right.sum(), len(right)))
        (report_tempo if tempo else report_key)(t, right, best, share)
    if tempo and a.noise_features:
        fit_pulse(net, mean, scale, rows, a.noise_features)
    if a.o:
        what = "What was learned about tempo hypotheses; input: tempo_candidate.features." if tempo else "What was learned about keys; input: the rows of key_features, turned so that the tonic is 0."
        write_table(a.o, "judge_" + a.what, what, dict(mean=mean, scale=scale, w1=net.p[0], b1=net.p[1], w2=net.p[2].T, b2=net.p[3]))


def pulse_row(r, net, mean, scale):
    """What tempo.c (pulse_of) looks at."""
    c = r["c"]
    if not len(c):
        return None
    s = net.forward((c["x"] - mean) * scale)[1][:, 0]
    b = s.argmax()
    return [c["salience"].max(), np.log(1 + r["onsets"]), s[b], c["x"][b][LOOP_FIT], 1]


def fit_pulse(net, mean, scale, rows, noise):
    yes = [x for r in rows if (x := pulse_row(r, net, mean, scale))]
    no = [x for f in noise.split(",") for r in read_features(f) if (x := pulse_row(r, net, mean, scale))]
    x, y = np.array(yes + no), np.r_[np.ones(len(yes)), np.zeros(len(no))]
    mu, sd = np.r_[x[:, :-1].mean(0), 0], np.r_[x[:, :-1].std(0), 1]
    z, w, b = (x - mu) / sd, np.where(y > 0, 0.5 / len(yes), 0.5 / len(no)), np.zeros(x.shape[1])
    for _ in range(6000):
        b -= 2 * (z.T @ (w * (1 / (1 + np.exp(-z @ b)) - y)) + 1e-5 * b)
    p = 1 / (1 + np.exp(-z @ b))
    b /= sd
    b[-1] -= (b[:-1] * mu[:-1]).sum()
    print("pulse_of: %.2f * most + %.2f * log(1 + onsets) + %.2f * score + %.2f * fit + %.2f" % tuple(b))
    print("loops below 0.15: %.4f, others above 0.15: %.3f, 0.3: %.3f" % ((p[y > 0] < 0.15).mean(), (p[y < 1] > 0.15).mean(), (p[y < 1] > 0.3).mean()))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("what", choices=["tempo", "key"])
    a.add_argument("sets")
    a.add_argument("--test")
    a.add_argument("--noise", dest="noise_features")
    a.add_argument("-o")
    a.add_argument("--hidden", type=int, default=None)
    a.add_argument("--epochs", type=int, default=50)
    a.add_argument("--decay", type=float, default=None)
    a.add_argument("--seed", type=int, default=0)
    a = a.parse_args()
    a.hidden = a.hidden or (32 if a.what == "tempo" else 40)
    a.decay = a.decay if a.decay is not None else (3e-3 if a.what == "tempo" else 5e-3)
    a.noise = 0.15 if a.what == "tempo" else 0.15
    fit_judge(a)


if __name__ == "__main__":
    main()
