#!/usr/bin/env python3
"""Makes the fixtures of this folder: one small file a container, all holding made-up numbers (unit() below).

    python3 make.py            needs numpy; h5py for the .h5 files, torch for real*

Nothing here is used when the tests run. The writers are this file's own (except for HDF5), so that a reader of ours is held
against a second view of each format, not against itself.
"""
import bz2
import gzip
import io
import json
import os
import struct
import zipfile
import zlib

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
M, G = (1 << 64) - 1, 0x9E3779B97F4A7C15


def unit(name, *shape, dtype=np.float32):
    """The generator of made-up weights: values in [-1, 1) that depend on the name only."""
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & M
    out = []
    for i in range(int(np.prod(shape)) if shape else 1):
        x = (h + (i + 1) * G) & M
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M
        x ^= x >> 31
        out.append(2.0 * (x >> 40) / 2.0**24 - 1.0)
    return np.array(out, dtype=np.float64).astype(dtype).reshape(shape)


def ints(name, *shape, dtype=np.int8):
    info = np.iinfo(dtype)
    return (unit(name, *shape, dtype=np.float64) * min(info.max, 2**31 - 1)).astype(dtype)


def save(name, data):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data)
    print("%-28s %6d" % (name, len(data)))


# ---- safetensors ----

def bf16(a):
    bits = a.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def safetensors(tensors, meta=None, pad=8):
    header, blob = {}, b""
    if meta:
        header["__metadata__"] = meta
    for name, kind, shape, data in tensors:
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    h = json.dumps(header, separators=(",", ":")).encode()
    h += b" " * (-len(h) % pad)
    return struct.pack("<Q", len(h)) + h + blob


def all_types():
    a = unit("all", 2, 3)
    t = [("half", "F16", (2, 3), a.astype(np.float16).tobytes())]
    t.append(("odd", "I8", (3,), ints("odd", 3).tobytes()))  # what follows is not aligned
    t.append(("single", "F32", (2, 3), a.tobytes()))
    t.append(("double", "F64", (2, 3), a.astype(np.float64).tobytes()))
    t.append(("brain", "BF16", (2, 3), bf16(a).tobytes()))
    t.append(("u8", "U8", (4,), bytes([0, 1, 128, 255])))
    t.append(("i16", "I16", (2,), np.array([-32768, 1234], "<i2").tobytes()))
    t.append(("u16", "U16", (2,), np.array([65535, 7], "<u2").tobytes()))
    t.append(("i32", "I32", (2,), np.array([-7, 2**31 - 1], "<i4").tobytes()))
    t.append(("i64", "I64", (), np.array(-5, "<i8").tobytes()))
    t.append(("bool", "BOOL", (3,), bytes([1, 0, 1])))
    t.append(("empty", "F32", (0, 4), b""))
    return safetensors(t, {"model": "made up", "note": "caf\u00e9 \"quoted\""})


# ---- pickles, written opcode by opcode ----

class Pickle:
    def __init__(self, protocol=2):
        self.b = io.BytesIO()
        self.b.write(b"\x80" + bytes([protocol]))

    def raw(self, *parts):
        for p in parts:
            self.b.write(p)
        return self

    def text(self, s):
        e = s.encode()
        return self.raw(b"X", struct.pack("<I", len(e)), e)

    def int(self, i):
        return self.raw(b"J", struct.pack("<i", i))

    def glob(self, module, name):
        return self.raw(b"c", module.encode(), b"\n", name.encode(), b"\n")

    def ints(self, values):
        self.raw(b"(")
        for v in values:
            self.int(v)
        return self.raw(b"t")

    def tensor(self, key, storage, numel, size, stride, offset=0, parameter=False, view=None, legacy=False):
        if parameter:
            self.glob("torch._utils", "_rebuild_parameter").raw(b"(")
        self.glob("torch._utils", "_rebuild_tensor_v2").raw(b"((").text("storage").glob("torch", storage)
        self.text(key).text("cpu").int(numel)
        if legacy:
            if view:
                self.raw(b"(").text(view[0]).int(view[1]).int(view[2]).raw(b"t")
            else:
                self.raw(b"N")
        self.raw(b"tQ").int(offset).ints(size).ints(stride)
        self.raw(b"\x89").glob("collections", "OrderedDict").raw(b")RtR")
        if parameter:
            self.raw(b"\x88").glob("collections", "OrderedDict").raw(b")RtR")
        return self

    def done(self):
        return self.raw(b".").b.getvalue()


def torch_body(legacy=False):
    """A package like Demucs's: class, kwargs with a Fraction and nesting, a state of several types and strides."""
    p = Pickle()
    p.raw(b"}(").text("klass")
    if legacy:  # a module's class has a persistent id in this form
        p.raw(b"(").text("module").glob("demucs.htdemucs", "HTDemucs").text("htdemucs.py").text("class HTDemucs: ...").raw(b"tQ")
    else:
        p.glob("demucs.htdemucs", "HTDemucs")
    p.text("kwargs").raw(b"}(").text("sources").raw(b"](").text("drums").text("bass").raw(b"e")
    p.text("segment").glob("fractions", "Fraction").raw(b"(").text("39/5").raw(b"tR")
    p.text("channels").int(48).text("lr").raw(b"G", struct.pack(">d", 0.0003)).text("none").raw(b"N").text("on").raw(b"\x88")
    p.text("when").glob("datetime", "date").raw(b"(C\x04\x07\xe6\x01\x02tR")
    p.text("big").raw(b"\x8a\x05\x00\x00\x00\x00\x01").raw(b"u")
    p.text("state").glob("collections", "OrderedDict").raw(b")R(")
    p.text("conv.weight").tensor("0", "FloatStorage", 24, [2, 3, 4], [12, 4, 1], legacy=legacy)
    p.text("conv.turned").tensor("0", "FloatStorage", 24, [4, 3, 2], [1, 4, 12], legacy=legacy)
    p.text("conv.part").tensor("0", "FloatStorage", 24, [3, 2], [4, 2], 13, legacy=legacy)
    p.text("bias").tensor("1", "HalfStorage", 5, [5], [1], parameter=True, legacy=legacy)
    p.text("brain").tensor("2", "BFloat16Storage", 6, [2, 3], [3, 1], legacy=legacy)
    p.text("steps").tensor("3", "LongStorage", 1, [], [], legacy=legacy)
    if legacy:
        p.text("view").tensor("1", "HalfStorage", 5, [2], [1], legacy=True, view=("9", 2, 3))
    p.raw(b"u")
    # an OrderedDict's _metadata comes by BUILD
    p.raw(b"}").text("_metadata").raw(b"}sb")
    p.raw(b"u")
    return p.done()


def torch_storages():
    return [("0", unit("torch.0", 24).tobytes(), 24), ("1", unit("torch.1", 5).astype(np.float16).tobytes(), 5),
            ("2", bf16(unit("torch.2", 6)).tobytes(), 6), ("3", struct.pack("<q", 1234567890123), 1)]


def torch_zip(body, storages, name="fixture", wide=False):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_STORED) as z:
        for path, data in [("data.pkl", body), ("byteorder", b"little")] + [("data/" + k, d) for k, d, _ in storages] + [("version", b"3\n")]:
            info = zipfile.ZipInfo(f"{name}/{path}", (2020, 1, 1, 0, 0, 0))
            if wide:
                with z.open(info, "w", force_zip64=True) as f:
                    f.write(data)
            else:
                z.writestr(info, data)
    return b.getvalue()


def torch_legacy():
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    protocol = b"\x80\x02M\xe9\x03."
    system = Pickle().raw(b"}(").text("protocol_version").int(1001).text("little_endian").raw(b"\x88u").done()
    keys = Pickle().raw(b"](")
    for k, _, _ in torch_storages():
        keys.text(k)
    keys = keys.raw(b"e").done()
    return magic + protocol + system + torch_body(True) + keys + b"".join(struct.pack("<q", n) + d for _, d, n in torch_storages())


# ---- protobuf ----

def varint(v):
    v &= M
    out = b""
    while True:
        if v < 128:
            return out + bytes([v])
        out += bytes([v & 127 | 128])
        v >>= 7


def field(n, v):
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return varint(n << 3 | 2) + varint(len(v)) + v
    if isinstance(v, float):
        return varint(n << 3 | 5) + struct.pack("<f", v)
    return varint(n << 3) + varint(v)


def tf_shape(dims):
    return b"".join(field(2, field(1, d)) for d in dims)


TF = {"float32": (1, 5), "float64": (2, 6), "int32": (3, 7), "int64": (9, 10), "float16": (19, 13), "bool": (10, 11)}


def tf_tensor(a, how="content"):
    kind, number = TF[str(a.dtype)]
    t = field(1, kind) + field(2, tf_shape(a.shape))
    flat = a.reshape(-1)
    if how == "content":
        return t + field(4, a.tobytes())
    if how == "splat":
        flat = flat[:1]
    if a.dtype == np.float32:
        return t + (field(number, flat.tobytes()) if how == "packed" else b"".join(field(number, float(v)) for v in flat))
    if a.dtype == np.float16:
        flat = flat.view(np.uint16)
    return t + field(number, b"".join(varint(int(v)) for v in flat))


def tf_attr(key, value):
    if isinstance(value, bool):
        v = field(5, int(value))
    elif isinstance(value, int):
        v = field(3, value)
    elif isinstance(value, float):
        v = field(4, value)
    elif isinstance(value, str):
        v = field(2, value)
    elif isinstance(value, list) and value and isinstance(value[0], str):
        v = field(1, b"".join(field(2, s) for s in value))
    elif isinstance(value, list):
        v = field(1, field(3, b"".join(varint(i) for i in value)))
    else:
        v = value  # a finished AttrValue
    return field(5, field(1, key) + field(2, v))


FLOAT, INT32 = field(6, 1), field(6, 3)


def tf_node(name, op, inputs=(), **attrs):
    return field(1, name) + field(2, op) + b"".join(field(3, i) for i in inputs) + b"".join(tf_attr(k, v) for k, v in attrs.items())


def tf_const(name, a, how="content"):
    return tf_node(name, "Const", dtype=field(6, TF[str(a.dtype)][0]), value=field(8, tf_tensor(a, how)))


def tf_graph():
    n = []
    # not in order: what is used comes after its use
    n.append(tf_node("relu", "Relu", ["bias_add"], T=FLOAT))
    n.append(tf_node("x", "Placeholder", dtype=FLOAT, shape=field(7, tf_shape([-1, 8, 8, 2]))))
    n.append(tf_const("conv/kernel", unit("conv/kernel", 3, 3, 2, 4)))
    n.append(tf_node("conv/kernel/read", "Identity", ["conv/kernel"], T=FLOAT))
    n.append(tf_node("conv", "Conv2D", ["x:0", "conv/kernel/read", "^init"], T=FLOAT, strides=[1, 2, 2, 1], padding="SAME",
                     data_format="NHWC", dilations=[1, 1, 1, 1], use_cudnn_on_gpu=True))
    n.append(tf_node("init", "NoOp"))
    n.append(tf_const("bias", unit("bias", 4), "list"))
    n.append(tf_node("bias_add", "BiasAdd", ["conv", "bias"], T=FLOAT))
    n.append(tf_const("ones", np.ones((2, 5), np.float32), "splat"))
    n.append(tf_const("half", unit("half", 3).astype(np.float16), "packed"))
    n.append(tf_const("axes", np.array([1, 2], np.int32), "packed"))
    n.append(tf_const("scalar", np.array(7, np.int64), "packed"))
    n.append(tf_const("packed", unit("packed", 2, 2), "packed"))
    n.append(tf_node("text", "Const", dtype=field(6, 7), value=field(8, field(1, 7) + field(2, b"") + field(8, "hello"))))
    n.append(tf_node("split", "Split", ["split_axis", "relu"], T=FLOAT, num_split=2))
    n.append(tf_const("split_axis", np.array(3, np.int32), "packed"))
    n.append(tf_node("call", "StatefulPartitionedCall", ["split:1"], Tin=field(1, FLOAT), f=field(10, field(1, "head"))))
    n.append(tf_node("probabilities", "Softmax", ["call:1"], T=FLOAT))
    n.append(tf_node("scores", "Sigmoid", ["call"], T=FLOAT, alpha=0.25, names=["a", "b"]))
    inner = [tf_node("inner", "PartitionedCall", ["mean:output:0"], f=field(10, field(1, "dense"))),
             tf_node("mean", "Mean", ["features", "axes:output:0"], keep_dims=False, T=FLOAT),
             tf_const("axes", np.array([1, 2], np.int32))]
    sig = field(1, "head") + field(2, field(1, "features")) + field(3, field(1, "logits")) + field(3, field(1, "pooled"))
    head = field(1, sig) + b"".join(field(3, i) for i in inner) + field(4, field(1, "logits") + field(2, "inner:output:0"))
    head += field(4, field(1, "pooled") + field(2, "mean:output:0"))
    sig = field(1, "dense") + field(2, field(1, "v")) + field(3, field(1, "y"))
    dense = field(1, sig) + field(3, tf_const("w", unit("dense/w", 2, 3))) + field(3, tf_node("mm", "MatMul", ["v", "w:output:0"], T=FLOAT, transpose_a=False))
    dense += field(4, field(1, "y") + field(2, "mm:product:0"))
    return b"".join(field(1, x) for x in n) + field(2, field(1, head) + field(1, dense)) + field(4, field(1, 27))


ONNX = {"float32": (1, 4), "uint8": (2, 5), "int8": (3, 5), "int32": (6, 5), "int64": (7, 7), "bool": (9, 5), "float16": (10, 5), "float64": (11, 10)}


def onnx_tensor(name, a, raw=True):
    kind, number = ONNX[str(a.dtype)]
    t = b"".join(field(1, d) for d in a.shape) + field(2, kind) + (field(8, name) if name else b"")
    if raw:
        return t + field(9, a.tobytes())
    flat = a.reshape(-1)
    if a.dtype == np.float16:
        flat = flat.view(np.uint16)
    if a.dtype in (np.float32, np.float64):
        return t + field(number, flat.tobytes())
    return t + field(number, b"".join(varint(int(v)) for v in flat))


def onnx_attr(key, v):
    a = field(1, key)
    if isinstance(v, float):
        return field(5, a + field(2, v) + field(20, 1))
    if isinstance(v, int):
        return field(5, a + field(3, v) + field(20, 2))
    if isinstance(v, str):
        return field(5, a + field(4, v) + field(20, 3))
    if isinstance(v, np.ndarray):
        return field(5, a + field(5, onnx_tensor("", v)) + field(20, 4))
    if isinstance(v[0], float):
        return field(5, a + b"".join(field(7, f) for f in v) + field(20, 6))
    if isinstance(v[0], str):
        return field(5, a + b"".join(field(9, s) for s in v) + field(20, 8))
    return field(5, a + field(8, b"".join(varint(i) for i in v)) + field(20, 7))


def onnx_node(op, inputs, outputs, name="", domain="", **attrs):
    n = b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs)
    n += (field(3, name) if name else b"") + field(4, op) + b"".join(onnx_attr(k, v) for k, v in attrs.items())
    return n + (field(7, domain) if domain else b"")


def onnx_value(name, dims):
    shape = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def onnx_model():
    nodes = [onnx_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], "gemm", alpha=1.0, transB=1),
             onnx_node("Conv", ["x", "conv.weight", ""], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], auto_pad="NOTSET"),
             onnx_node("Relu", ["c"], ["r"]),
             onnx_node("Constant", [], ["shape"], value=np.array([1, -1], np.int64)),
             onnx_node("Constant", [], ["k"], value_float=0.5),
             onnx_node("Constant", [], ["ks"], value_ints=[3, -1, 4]),
             onnx_node("Reshape", ["r", "shape"], ["flat"]),
             onnx_node("ConstantOfShape", ["ks"], ["unused"], value=np.array([2.5], np.float32)),
             onnx_node("FusedThing", ["logits", "k"], ["y", ""], domain="com.example", scales=[0.5, 2.0], modes=["a", "bc"])]
    inits = [("conv.weight", unit("onnx.conv", 4, 2, 3, 3), True), ("fc.weight", unit("onnx.fc", 3, 64), True),
             ("fc.bias", unit("onnx.bias", 3), False), ("half", unit("onnx.half", 4).astype(np.float16), False),
             ("i64", np.array([-1, 2**40], np.int64), False), ("bytes", ints("onnx.i8", 5), False), ("d", unit("onnx.d", 2, dtype=np.float64), False)]
    g = b"".join(field(1, n) for n in nodes) + field(2, "graph of make.py") + b"".join(field(5, onnx_tensor(n, a, r)) for n, a, r in inits)
    g += field(11, onnx_value("x", ["batch", 2, 8, 8])) + field(11, onnx_value("fc.bias", [3])) + field(12, onnx_value("y", ["batch", 3]))
    m = field(1, 8) + field(2, "make.py") + field(3, "1") + field(7, g) + field(8, field(1, "") + field(2, 17)) + field(8, field(1, "com.example") + field(2, 1))
    return m + field(14, field(1, "note") + field(2, "made up"))


# ---- FlatBuffers, written back to front as the format wants: offsets point forward ----

class Flat:
    """Children first, at the end; everything is laid out by one pass that knows all sizes."""

    def __init__(self):
        self.parts = []  # (kind, payload)

    def build(self, root, ident=b"TFL3"):
        out = bytearray(8)
        out[4:8] = ident
        fixups = []
        at = self.place(out, root, fixups)
        struct.pack_into("<I", out, 0, at)
        while fixups:
            where, obj = fixups.pop(0)
            target = self.place(out, obj, fixups)
            struct.pack_into("<I", out, where, target - where)
        return bytes(out)

    @staticmethod
    def align(out, n, offset=0):
        while (len(out) + offset) % n:
            out.append(0)

    def place(self, out, obj, fixups):
        kind = obj[0]
        if kind == "str":
            data = obj[1].encode()
            self.align(out, 4)
            at = len(out)
            out += struct.pack("<I", len(data)) + data + b"\0"
            return at
        if kind == "vec":  # fixed-size items
            data, size, n = obj[1], obj[2], obj[3]
            self.align(out, max(4, size), 4)
            at = len(out)
            out += struct.pack("<I", n) + data
            return at
        if kind == "refs":
            self.align(out, 4)
            at = len(out)
            out += struct.pack("<I", len(obj[1])) + bytes(4 * len(obj[1]))
            for i, o in enumerate(obj[1]):
                fixups.append((at + 4 + 4 * i, o))
            return at
        fields = obj[1]  # table: {index: ("i8"|"i32"|"f32"|"ref", value)}
        size, places = 4, {}
        for i, (t, v) in sorted(fields.items()):
            width = 1 if t == "i8" else 4
            size = (size + width - 1) // width * width
            places[i] = size
            size += width
        size = (size + 3) // 4 * 4
        n = max(fields) + 1 if fields else 0
        self.align(out, 4, (4 + 2 * n) % 4)
        vt = len(out)
        out += struct.pack("<HH", 4 + 2 * n, size) + b"".join(struct.pack("<H", places.get(i, 0)) for i in range(n))
        at = len(out)
        assert at % 4 == 0
        out += bytes(size)
        struct.pack_into("<i", out, at, at - vt)
        for i, (t, v) in fields.items():
            if t == "i8":
                struct.pack_into("<b", out, at + places[i], v)
            elif t == "i32":
                struct.pack_into("<i", out, at + places[i], v)
            elif t == "f32":
                struct.pack_into("<f", out, at + places[i], v)
            else:
                fixups.append((at + places[i], v))
        return at


def i32s(*v):
    return ("ref", ("vec", struct.pack("<%di" % len(v), *v), 4, len(v)))


def tflite():
    tensors, buffers = [], [("table", {})]

    def tensor(name, shape, kind, data=None, scale=None, zero=None, axis=0, signature=None):
        t = {0: i32s(*shape), 1: ("i8", kind), 2: ("i32", 0), 3: ("ref", ("str", name))}
        if data is not None:
            t[2] = ("i32", len(buffers))
            buffers.append(("table", {0: ("ref", ("vec", data, 16, len(data)))}))
        if scale is not None:
            q = {2: ("ref", ("vec", np.array(scale, "<f4").tobytes(), 4, len(scale))),
                 3: ("ref", ("vec", np.array(zero or [0] * len(scale), "<i8").tobytes(), 8, len(scale))), 6: ("i32", axis)}
            t[4] = ("ref", ("table", q))
        if signature:
            t[7] = i32s(*signature)
        tensors.append(("table", t))

    tensor("x", [1, 8, 8, 2], 0, signature=[-1, 8, 8, 2])
    tensor("conv/w", [4, 3, 3, 2], 9, ints("tfl.conv", 4, 3, 3, 2).tobytes(), [0.5, 0.25, 0.125, 1.0], axis=0)
    tensor("conv/b", [4], 0, unit("tfl.bias", 4).tobytes())
    tensor("conv/out", [1, 4, 4, 4], 0)
    tensor("dw/w", [1, 3, 3, 4], 3, ints("tfl.dw", 1, 3, 3, 4, dtype=np.uint8).tobytes(), [0.01, 0.02, 0.03, 0.04], [128, 127, 0, 255], 3)
    tensor("conv/out", [1, 4, 4, 4], 0)  # the same name again
    tensor("shape", [2], 2, struct.pack("<ii", 1, 64))
    tensor("flat", [1, 64], 0)
    tensor("fc/w", [3, 64], 9, ints("tfl.fc", 3, 64).tobytes(), [0.0078125])
    tensor("scores", [1, 3], 0)
    codes = [("table", {0: ("i8", c), 3: ("i32", c)}) for c in (3, 4, 22, 9)]
    codes.append(("table", {0: ("i8", 32), 1: ("ref", ("str", "MyCustomOp")), 3: ("i32", 32)}))
    codes.append(("table", {0: ("i8", 127), 3: ("i32", 199)}))

    def op(code, inputs, outputs, options=None):
        o = {0: ("i32", code), 1: i32s(*inputs), 2: i32s(*outputs)}
        if options:
            o[3], o[4] = ("i8", 1), ("ref", ("table", options))
        return ("table", o)

    ops = [op(0, [0, 1, 2], [3], {0: ("i8", 0), 1: ("i32", 2), 2: ("i32", 2), 3: ("i8", 1)}),
           op(1, [3, 4, -1], [5], {0: ("i8", 1), 1: ("i32", 1), 2: ("i32", 1), 3: ("i32", 1), 4: ("i8", 3), 5: ("i32", 2), 6: ("i32", 2)}),
           op(2, [5, 6], [7], {0: i32s(1, 64)}), op(3, [7, 8, -1], [9], {0: ("i8", 0)})]
    graph = {0: ("ref", ("refs", tensors)), 1: i32s(0), 2: i32s(9), 3: ("ref", ("refs", ops)), 4: ("ref", ("str", "main"))}
    model = {0: ("i32", 3), 1: ("ref", ("refs", codes)), 2: ("ref", ("refs", [("table", graph)])), 3: ("ref", ("str", "made up")),
             4: ("ref", ("refs", buffers))}
    return Flat().build(("table", model))


# ---- HDF5, by h5py ----

def h5(name, latest=False, userblock=0):
    import h5py
    path = os.path.join(HERE, name)
    with h5py.File(path, "w", libver="latest" if latest else "earliest", userblock_size=userblock) as f:
        f.attrs["keras_version"] = np.bytes_(b"2.1.5")
        f.attrs["backend"] = "tensorflow"  # variable length
        f.attrs["layer_names"] = np.array([b"conv1", b"conv1-BN", b"long"], dtype="S8")
        f.attrs["count"] = 3
        f.attrs["ratio"] = 0.5
        g = f.create_group("conv1")
        g.attrs["weight_names"] = np.array([b"conv1_3/kernel:0", b"conv1_3/bias:0"])
        g.create_dataset("conv1_3/kernel:0", data=unit("h5.kernel", 3, 1, 2, 4))
        g.create_dataset("conv1_3/bias:0", data=unit("h5.bias", 4).astype(np.float16))
        g = f.create_group("conv1-BN")
        g.attrs["weight_names"] = ["gamma:0", "caf\u00e9:0"]  # variable length
        g.create_dataset("gamma:0", data=unit("h5.gamma", 5, dtype=np.float64))
        g.create_dataset("scalar", data=np.int64(-42))
        g.create_dataset("flags", data=np.array([True, False, True]))
        g.create_dataset("text", data=np.array([b"not a weight"]))
        if not latest:
            g = f.create_group("long")
            for i in range(20):
                g.create_dataset("w%02d" % i, data=np.full(2, i, np.int32))
            a = unit("h5.chunked", 7, 5, 3)
            g.create_dataset("chunked", data=a, chunks=(3, 2, 3))
            g.create_dataset("packed", data=a, chunks=(4, 5, 2), compression="gzip", shuffle=True, fletcher32=True)
            g.create_dataset("partly", shape=(6,), dtype="f4", chunks=(2,), fillvalue=1.5)[2:4] = 7
            g.create_dataset("never", shape=(3,), dtype="f4", fillvalue=-2)
        else:
            g = f.create_group("latest")
            g.create_dataset("one", data=unit("h5.one", 4, 4), chunks=(4, 4), compression="gzip")
            g.create_dataset("plain", data=unit("h5.one", 4, 4), chunks=(4, 4))
    print("%-28s %6d" % (name, os.path.getsize(path)))


def tfjs():
    manifest, blob = [], b""
    kernel, bias = unit("tfjs.kernel", 3, 4), unit("tfjs.bias", 4)
    q = ints("tfjs.q", 3, 4, dtype=np.uint8)
    for name, a, extra in [("kernel", q, {"quantization": {"dtype": "uint8", "min": -0.75, "scale": 0.01, "original_dtype": "float32"}}),
                           ("bias", bias, {}), ("axis", np.array([1], np.int32), {}), ("half", bias.astype(np.float16), {"quantization": {"dtype": "float16"}})]:
        dtype = "int32" if a.dtype == np.int32 else "float32"
        manifest.append(dict({"name": name, "shape": list(a.shape), "dtype": dtype}, **extra))
        blob += a.tobytes()
    b64 = lambda s: __import__("base64").b64encode(s.encode()).decode()
    node = [{"name": "y", "op": "Softmax", "input": ["mm"], "attr": {"T": {"type": "DT_FLOAT"}}},
            {"name": "x", "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"}, "shape": {"shape": {"dim": [{"size": "-1"}, {"size": "3"}]}}}},
            {"name": "mm", "op": "_FusedMatMul", "input": ["x", "kernel", "bias"],
             "attr": {"fused_ops": {"list": {"s": [b64("BiasAdd"), b64("Relu")]}}, "transpose_a": {"b": False}, "num_args": {"i": "1"}, "epsilon": {"f": 0.5},
                      "mode": {"s": b64("VALID")}, "strides": {"list": {"i": ["1", "2"]}}}}]
    node += [{"name": m["name"], "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}}} for m in manifest]
    model = {"format": "graph-model", "generatedBy": "make.py", "convertedBy": None, "modelTopology": {"node": node, "versions": {}},
             "weightsManifest": [{"paths": ["shard1.bin", "shard2.bin"], "weights": manifest}],
             "userDefinedMetadata": {"signature": {"outputs": {"y": {"name": "y:0"}}}}}
    del model["convertedBy"]
    os.makedirs(os.path.join(HERE, "tfjs"), exist_ok=True)
    save("tfjs/model.json", json.dumps(model).encode())
    save("tfjs/shard1.bin", blob[:17])  # inside the bias
    save("tfjs/shard2.bin", blob[17:])


# ---- by PyTorch itself ----

def real_torch():
    import collections
    import torch
    import torch.nn as nn
    t = lambda name, *shape: torch.from_numpy(unit(name, *shape))
    a = t("real.a", 4, 6)
    package = {"klass": nn.Linear, "state": collections.OrderedDict(
        a=a, turned=a.t(), part=a[1:3, ::2], wide=t("real.w", 1, 3).expand(2, 3), half=t("real.h", 5).half(), brain=t("real.b", 5).bfloat16(),
        parameter=nn.Parameter(t("real.p", 2)), empty=torch.zeros(0, 3), flags=torch.tensor([True, False]), count=torch.tensor(7))}
    net = nn.Linear(3, 2)
    net.weight.data, net.bias.data = t("real.lw", 2, 3), t("real.lb", 2)
    for protocol in (2, 4):
        torch.save(package, os.path.join(HERE, "real%d.pth" % protocol), pickle_protocol=protocol)
        # without the class: the older form would store PyTorch's source of it
        torch.save({"state": package["state"]}, os.path.join(HERE, "real%d_raw.pth" % protocol), pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(net), os.path.join(HERE, "real_script.pt"))
    conv = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2), nn.Softmax(1)).eval()
    with torch.no_grad():
        for name, p in conv.named_parameters():
            p.copy_(t("onnx." + name, *p.shape))
    torch.onnx.export(conv, torch.zeros(1, 2, 8, 8), os.path.join(HERE, "real.onnx"), opset_version=13, input_names=["x"], output_names=["p"],
                      dynamic_axes={"x": {0: "n"}})


def main():
    save("types.safetensors", all_types())
    save("package.th", torch_zip(torch_body(), torch_storages()))
    save("package64.th", torch_zip(torch_body(), torch_storages(), wide=True))
    save("legacy.pth", torch_legacy())
    save("frozen.pb", tf_graph())
    save("model.onnx", onnx_model())
    save("model.tflite", tflite())
    small = safetensors([("w", "F32", (2, 2), unit("w", 2, 2).tobytes())])
    save("small.safetensors.gz", gzip.compress(small, mtime=0))
    save("small.safetensors.bz2", bz2.compress(small))
    tfjs()
    try:
        h5("keras.h5")
        h5("latest.h5", latest=True)
        h5("userblock.h5", userblock=512)
    except ImportError:
        print("no h5py: the .h5 files stay as they are")
    try:
        real_torch()
    except ImportError:
        print("no torch: the real* files stay as they are")


if __name__ == "__main__":
    main()
