#!/usr/bin/env python3
"""Makes efficientat_made_up_{small,full}.safetensors and ../dsp/frontend_efficientat.safetensors: what EfficientAT's network and front end
answer, restated here in PyTorch from the papers (double precision), with the made-up weights of src/weights/generated.c under the official
names and generated signals. With the official weights, make_efficientat.py mn04_as_mAP_432.pt, also efficientat_real.safetensors. Needs
numpy and torch; nothing here runs in tests."""
import json, math, os, struct, sys
import numpy as np
import torch
F = torch.nn.functional
HERE = os.path.dirname(os.path.abspath(__file__))
GAMMA, M64 = 0x9E3779B97F4A7C15, (1 << 64) - 1


def unit(name, seed, i):
    """v(i) in [-1, 1) of base/hash.c; i: array."""
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001B3 & M64
    h ^= seed * GAMMA & M64
    with np.errstate(over='ignore'):
        x = np.uint64(h) + (i.astype(np.uint64) + np.uint64(1)) * np.uint64(GAMMA)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return 2.0 * (x >> np.uint64(40)).astype(np.float64) / 16777216.0 - 1.0


OFFICIAL = {}  # names to tensors; empty: made-up weights


def weight(name, *shape):
    if OFFICIAL:
        assert OFFICIAL[name].shape == shape
        return OFFICIAL[name].double()
    n, fan_in = math.prod(shape), math.prod(shape[1:])
    offset = 1.0 if name.endswith(('running_var', '.1.weight')) else 0.0
    scale = math.sqrt(6 / fan_in) if len(shape) > 1 else 0.2
    v = (offset + scale * unit(name, 0, np.arange(n))).astype(np.float32)
    return torch.from_numpy(v.astype(np.float64)).reshape(shape)


# ---- the network: kernel, expanded, out, squeeze and excite, hard-swish, stride ----
BLOCKS = [(3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
          (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
          (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)]


def divisible(v):
    n = max(8, int(v + 4) // 8 * 8)
    return n + 8 if n < 0.9 * v else n


def conv_norm(x, path, out, k, stride, groups):
    x = F.conv2d(x, weight(path + '.0.weight', out, x.shape[1] // groups, k, k), None, stride, k // 2, 1, groups)
    row = [weight('%s.1.%s' % (path, p), out).reshape(1, -1, 1, 1) for p in ('weight', 'bias', 'running_mean', 'running_var')]
    return (x - row[2]) / torch.sqrt(row[3] + 1e-3) * row[0] + row[1]


def linear(x, path, out):
    return x @ weight(path + '.weight', out, x.shape[1]).T + weight(path + '.bias', out)


def network(x, share, classes, taps):
    act = lambda x, hard: F.hardswish(x) if hard else F.relu(x)
    x = taps['layer1'] = act(conv_norm(x, 'features.0', divisible(16 * share), 3, 2, 1), True)
    for i, (k, e, o, se, hard, stride) in enumerate(BLOCKS):
        path, j, y = 'features.%d.block.' % (i + 1), 0, x
        e, o = divisible(e * share), divisible(o * share)
        if e != x.shape[1]:
            y = act(conv_norm(y, path + '0', e, 1, 1, 1), hard)
            j = 1
        y = act(conv_norm(y, path + str(j), e, k, stride, e), hard)
        if se:
            j += 1
            gate = path + '%d.conc_se_layers.0.fc' % j
            s = F.relu(linear(y.mean((2, 3)), gate + '1', divisible(e // 4)))
            y = y * torch.sigmoid(linear(s, gate + '2', e))[:, :, None, None]
        y = conv_norm(y, path + str(j + 1), o, 1, 1, 1)
        x = taps['layer%d' % (i + 2)] = x + y if stride == 1 and o == x.shape[1] else y
    x = taps['layer17'] = act(conv_norm(x, 'features.16', 6 * x.shape[1], 1, 1, 1), True)
    x = taps['embedding'] = x.mean((2, 3))
    taps['logits'] = linear(F.hardswish(linear(x, 'classifier.2', divisible(1280 * share))), 'classifier.5', classes)
    taps['scores'] = torch.sigmoid(taps['logits'])


# ---- the front end ----
def signal(name, n):
    t = np.arange(n, dtype=np.float64)
    y = 0.1 * unit(name + '.0', 0, np.arange(n))
    for k, cycles in enumerate((0.0125, 0.031, 0.0873)):
        y += 0.25 / (k + 1) * np.sin(2 * np.pi * cycles * t + k) * np.exp(-t / (n * (0.2 + 0.3 * k)))
    return y.astype(np.float32).astype(np.float64)


def mel_bands(n=128, bins=512, rate=32000, high=15000.0):
    mel = lambda f: 1127 * np.log1p(f / 700)
    at, width, first = mel(rate / 1024 * np.arange(bins)), mel(high) / (n + 1), np.arange(n)[:, None]
    up, down = at / width - first, first + 2 - at / width
    return np.pad(np.maximum(0, np.minimum(up, down)), ((0, 0), (0, 1)))


def front_end(x):
    x = torch.from_numpy(x[1:] - 0.97 * x[:-1])
    window = torch.hann_window(800, periodic=False, dtype=torch.float64)
    s = torch.stft(x, 1024, 320, 800, window, center=True, pad_mode='reflect', return_complex=True).abs() ** 2
    return (torch.log(torch.from_numpy(mel_bands()) @ s + 1e-5) + 4.5).T / 5


# ---- files ----
def save(path, meta, tensors):
    head, data = {'__metadata__': meta}, b''
    for name in sorted(tensors):
        raw = np.ascontiguousarray(tensors[name], dtype='<f4')
        head[name] = {'dtype': 'F32', 'shape': list(raw.shape), 'data_offsets': [len(data), len(data) + raw.nbytes]}
        data += raw.tobytes()
    text = json.dumps(head).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text + data)


def picked(name, x):
    flat, n = x.reshape(-1).numpy(), x.numel()
    at = np.arange(n) if n <= 256 else ((unit('indices.' + name, 0, np.arange(256)) + 1) / 2 * n).astype(np.int64)
    return flat[np.minimum(at, n - 1)]


def made_up(file, share, classes, frames, bands, whole):
    x = unit('efficientat.patches', 0, np.arange(2 * frames * bands)).astype(np.float32).reshape(2, frames, bands)
    taps, out = {}, {'in.patches': x}
    network(torch.from_numpy(x.astype(np.float64)).transpose(1, 2)[:, None], share, classes, taps)
    for name, t in taps.items():
        if whole or t.numel() <= 1024:
            out['out.' + name] = t.numpy()
        else:
            out[name + '.values'] = picked(name, t)
    save(os.path.join(HERE, file), {'model': 'efficientat', 'seed': '0', 'original': 'PyTorch restatement, double'}, out)


made_up('efficientat_made_up_small.safetensors', 0.2, 13, 33, 30, True)
made_up('efficientat_made_up_full.safetensors', 0.4, 527, 128, 128, False)
save(os.path.join(HERE, '../dsp/frontend_efficientat.safetensors'),
     {'original': 'torch.stft, double; Kaldi mel bands', 'in.a': "signal('efficientat.a', 20000) at 32 kHz"},
     {'out.a': front_end(signal('efficientat.a', 20000)).numpy()})

if len(sys.argv) > 1:
    OFFICIAL.update(torch.load(sys.argv[1], map_location='cpu'))
    taps, rows = {}, front_end(signal('efficientat.real', 128 * 320))[:128]
    network(rows.T[None, None], 0.4, 527, taps)
    save(os.path.join(HERE, 'efficientat_real.safetensors'),
         {'model': 'mn04_as_mAP_432', 'in.audio': "signal('efficientat.real', 40960) at 32 kHz", 'original': 'PyTorch restatement, double'},
         {'real.' + name: taps[name].numpy() for name in ('embedding', 'logits', 'scores')})
