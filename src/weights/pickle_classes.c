/* The list of what a pickle may call, and what the calls stand for. */
#include "weights/pickle.h"

static int bad_arguments(const p_value *class)
{
    return sm_fail(SM_EFORMAT, "the pickle calls %.*s with arguments that make no sense", (int)class->text.n,
                   class->text.s);
}

/* Kept as it is: name, arguments, later state. */
static int inert(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    p_value *v = p_new(vm, P_OBJECT);
    if (!v)
        return SM_ENOMEM;
    v->object.class = class;
    v->object.args = args;
    *out = v;
    return 0;
}

/* dict(), OrderedDict([(k, v), ...]); a defaultdict's factory is left out */
static int dict(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    p_value *v = p_new(vm, P_DICT);
    int err = 0;
    (void)class;
    if (!v)
        return SM_ENOMEM;
    const p_value *pairs = p_item(args, 0, P_LIST);
    for (size_t i = 0; pairs && i < pairs->list.n && err == 0; i++) {
        const p_value *pair = pairs->list.items[i];
        if ((pair->kind != P_TUPLE && pair->kind != P_LIST) || pair->list.n != 2)
            return bad_arguments(class);
        err = p_append(vm, v, pair->list.items[0]);
        if (err == 0)
            err = p_append(vm, v, pair->list.items[1]);
    }
    *out = v;
    return err;
}

/* list(x), tuple(x), set(x), torch.Size(x): the items of x */
static int items(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    static const struct {
        const char *end;
        p_kind kind;
    } kinds[] = { { "set", P_SET }, { "list", P_LIST } };
    p_value *v = p_new(vm, P_TUPLE);
    if (!v)
        return SM_ENOMEM;
    for (size_t i = 0; i < SM_LENGTH(kinds); i++)
        if (class->text.n > 4 && sm_text_has_suffix(class->text.s, kinds[i].end))
            v->kind = kinds[i].kind;
    if (args->list.n) {
        const p_value *from = args->list.items[0];
        if (from->kind != P_LIST && from->kind != P_TUPLE && from->kind != P_SET)
            return bad_arguments(class);
        v->list = from->list;
        v->list.cap = from->list.n; /* a copy on the first append */
    }
    *out = v;
    return 0;
}

/* _codecs.encode(text, "latin1"): how old protocols spell bytes */
static int encode(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    const p_value *text = p_item(args, 0, P_TEXT);
    if (!text)
        return bad_arguments(class);
    char *bytes = sm_arena_get(vm->arena, text->text.n, 1, 1);
    p_value *v = p_new(vm, P_BYTES);
    if (!bytes || !v)
        return w_no_memory();
    size_t n = 0;
    for (size_t i = 0; i < text->text.n; i++) {
        const uint8_t c = (uint8_t)text->text.s[i];
        if (c < 0x80) {
            bytes[n++] = (char)c;
        } else if ((c == 0xC2 || c == 0xC3) && i + 1 < text->text.n) {
            bytes[n++] = (char)((c & 3) << 6 | ((uint8_t)text->text.s[++i] & 0x3F));
        } else {
            return bad_arguments(class);
        }
    }
    v->text.s = bytes;
    v->text.n = n;
    *out = v;
    return 0;
}

/* numpy.dtype("f8", ...): its code; the byte order that BUILD adds later is '<' on every machine that trains */
static int dtype(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    return p_item(args, 0, P_TEXT) ? inert(vm, class, args, out) : bad_arguments(class);
}

/* numpy's scalar(dtype, bytes): a plain number */
static int scalar(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    static const struct {
        const char *code;
        nn_type type;
    } codes[] = { { "f8", NN_F64 }, { "f4", NN_F32 }, { "f2", NN_F16 }, { "i8", NN_I64 }, { "i4", NN_I32 },
                  { "i2", NN_I16 }, { "i1", NN_I8 },  { "u1", NN_U8 },  { "u2", NN_U16 }, { "b1", NN_BOOL } };
    const p_value *type = p_item(args, 0, P_OBJECT), *bytes = p_item(args, 1, P_BYTES);
    if (!type || !bytes)
        return inert(vm, class, args, out);
    const p_value *code = p_item(type->object.args, 0, P_TEXT);
    for (size_t i = 0; i < SM_LENGTH(codes); i++) {
        if (!p_is(code, codes[i].code) || bytes->text.n != nn_type_size(codes[i].type))
            continue;
        const uint8_t *b = (const uint8_t *)bytes->text.s;
        p_value *v = p_new(vm, P_FLOAT);
        float f;
        if (!v)
            return SM_ENOMEM;
        w_to_f32(codes[i].type, b, 1, &f);
        v->f = codes[i].type == NN_F64 ? w_f64(b) : (double)f;
        if (codes[i].code[0] == 'i' || codes[i].code[0] == 'u') {
            v->kind = P_INT;
            v->i = codes[i].type == NN_I64   ? (int64_t)w_u64(b)
                   : codes[i].type == NN_I32 ? (int32_t)w_u32(b)
                                             : (int64_t)f;
        }
        *out = v;
        return 0;
    }
    return inert(vm, class, args, out);
}

/* ---- torch ---- */

static const struct {
    const char *storage, *dtype;
    nn_type type;
} torch_types[] = {
    { "torch.FloatStorage", "torch.float32", NN_F32 },
    { "torch.DoubleStorage", "torch.float64", NN_F64 },
    { "torch.HalfStorage", "torch.float16", NN_F16 },
    { "torch.BFloat16Storage", "torch.bfloat16", NN_BF16 },
    { "torch.CharStorage", "torch.int8", NN_I8 },
    { "torch.ByteStorage", "torch.uint8", NN_U8 },
    { "torch.ShortStorage", "torch.int16", NN_I16 },
    { "torch.IntStorage", "torch.int32", NN_I32 },
    { "torch.LongStorage", "torch.int64", NN_I64 },
    { "torch.BoolStorage", "torch.bool", NN_BOOL },
    { "torch.UntypedStorage", "-", NN_U8 },
    { "torch.storage.UntypedStorage", "-", NN_U8 },
    { "-", "torch.uint16", NN_U16 },
};

bool p_storage_type(const p_value *class, nn_type *out)
{
    for (size_t i = 0; i < SM_LENGTH(torch_types); i++) {
        if (p_is(class, torch_types[i].storage)) {
            *out = torch_types[i].type;
            return true;
        }
    }
    return false;
}

static int rebuild(p_vm *vm, const p_value *class, const p_value *args, p_value **out)
{
    const p_value *storage = p_item(args, 0, P_STORAGE);
    p_value *v = p_new(vm, P_TENSOR);
    if (!v)
        return SM_ENOMEM;
    v->tensor.offset = p_item(args, 1, P_INT);
    v->tensor.size = p_item(args, 2, P_TUPLE);
    v->tensor.stride = p_item(args, 3, P_TUPLE);
    if (!storage || !v->tensor.offset || !v->tensor.size || !v->tensor.stride)
        return bad_arguments(class);
    v->tensor.storage = storage->storage;
    *out = v;
    return 0;
}

static int tensor(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    return rebuild(vm, class, args, out);
}

/* _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype): bytes with a type beside them */
static int tensor_v3(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    const p_value *type = p_item(args, 6, P_GLOBAL);
    const int err = rebuild(vm, class, args, out);
    if (err < 0)
        return err;
    for (size_t i = 0; type && i < SM_LENGTH(torch_types); i++) {
        if (p_is(type, torch_types[i].dtype)) {
            (*out)->tensor.typed = true;
            (*out)->tensor.type = torch_types[i].type;
            return 0;
        }
    }
    return bad_arguments(class);
}

/* _rebuild_parameter(tensor, requires_grad, hooks): the tensor */
static int first(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    (void)vm;
    if (args->list.n == 0)
        return bad_arguments(class);
    *out = args->list.items[0];
    return 0;
}

/* _rebuild_from_type_v2(function, type, args, state): function(*args) */
static int from_type(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    const p_value *function = p_item(args, 0, P_GLOBAL);
    if (!function || !p_item(args, 2, P_TUPLE) || p_is(function, "torch._tensor._rebuild_from_type_v2"))
        return bad_arguments(class);
    return p_call(vm, function, args->list.items[2], out);
}

/* ---- the list ---- */

static const struct {
    const char *name;
    int (*call)(p_vm *, const p_value *, p_value *, p_value **);
} calls[] = {
    { "collections.OrderedDict", dict },
    { "collections.defaultdict", dict },
    { "collections.Counter", dict },
    { "builtins.dict", dict },
    { "__builtin__.dict", dict },
    { "builtins.list", items },
    { "builtins.tuple", items },
    { "builtins.set", items },
    { "builtins.frozenset", items },
    { "__builtin__.list", items },
    { "__builtin__.tuple", items },
    { "__builtin__.set", items },
    { "__builtin__.frozenset", items },
    { "torch.Size", items },
    { "torch._utils._rebuild_tensor", tensor },
    { "torch._utils._rebuild_tensor_v2", tensor },
    { "torch._utils._rebuild_tensor_v3", tensor_v3 },
    { "torch._utils._rebuild_parameter", first },
    { "torch._utils._rebuild_parameter_with_state", first },
    { "torch._tensor._rebuild_from_type_v2", from_type },
    { "torch.nn.parameter.Parameter", first },
    { "torch.device", first },
    { "_codecs.encode", encode },
    { "numpy.dtype", dtype },
    { "numpy.core.multiarray.scalar", scalar },
    { "numpy._core.multiarray.scalar", scalar },
    { "fractions.Fraction", inert },
    { "decimal.Decimal", inert },
    { "datetime.datetime", inert },
    { "datetime.date", inert },
    { "datetime.timedelta", inert },
    { "datetime.timezone", inert },
    { "argparse.Namespace", inert },
    { "types.SimpleNamespace", inert },
    { "copy_reg._reconstructor", inert },
    { "copyreg._reconstructor", inert },
    { "pathlib.PosixPath", inert },
    { "pathlib.PurePosixPath", inert },
    { "pathlib.WindowsPath", inert },
    { "numpy.core.multiarray._reconstruct", inert },
    { "numpy._core.multiarray._reconstruct", inert },
};

/* Packages whose objects appear in checkpoints of models that we read. They stay inert, whatever they are. */
static const char *const inert_packages[] = { "demucs.", "audiocraft.", "omegaconf.",         "typing.",   "dora.",
                                              "torch.",  "__torch__.",  "pytorch_lightning.", "lightning." };

int p_call(p_vm *vm, const p_value *class, p_value *args, p_value **out)
{
    for (size_t i = 0; i < SM_LENGTH(calls); i++)
        if (p_is(class, calls[i].name))
            return calls[i].call(vm, class, args, out);
    for (size_t i = 0; i < SM_LENGTH(inert_packages); i++)
        if (strncmp(class->text.s, inert_packages[i], strlen(inert_packages[i])) == 0)
            return inert(vm, class, args, out);
    return sm_fail(SM_EUNSUPPORTED, "the pickle wants to call %.*s, which is not on the list of what weights may hold",
                   (int)class->text.n, class->text.s);
}
