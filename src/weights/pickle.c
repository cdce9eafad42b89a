/* The machine: a stack, a memo, one byte an operation. */
#include <stdlib.h>

#include "weights/pickle.h"

enum { MEMO_SLACK = 1 << 16 };

/* ---- values ---- */

p_value *p_new(p_vm *vm, p_kind kind)
{
    p_value *v = sm_arena_get(vm->arena, 1, sizeof *v, 8);
    if (!v) {
        w_no_memory();
        return NULL;
    }
    memset(v, 0, sizeof *v);
    v->kind = kind;
    return v;
}

int p_append(p_vm *vm, p_value *list, p_value *item)
{
    if (list->list.n == list->list.cap) {
        const size_t cap = list->list.cap ? list->list.cap * 2 : 4;
        p_value **items = sm_arena_get(vm->arena, cap, sizeof(p_value *), 8);
        if (!items)
            return w_no_memory();
        if (list->list.n)
            memcpy(items, list->list.items, list->list.n * sizeof *items);
        list->list.items = items;
        list->list.cap = cap;
    }
    list->list.items[list->list.n++] = item;
    return 0;
}

bool p_is(const p_value *v, const char *text)
{
    return v && (v->kind == P_TEXT || v->kind == P_GLOBAL) && v->text.n == strlen(text) &&
           memcmp(v->text.s, text, v->text.n) == 0;
}

const p_value *p_lookup(const p_value *dict, const char *key)
{
    if (!dict || dict->kind != P_DICT)
        return NULL;
    for (size_t i = 0; i + 1 < dict->list.n; i += 2)
        if (p_is(dict->list.items[i], key))
            return dict->list.items[i + 1];
    return NULL;
}

const p_value *p_item(const p_value *list, size_t i, p_kind kind)
{
    if (!list || (list->kind != P_LIST && list->kind != P_TUPLE) || i >= list->list.n ||
        list->list.items[i]->kind != kind)
        return NULL;
    return list->list.items[i];
}

/* ---- stack, memo, bytes ---- */

static int damaged(const p_vm *vm, const char *what)
{
    return sm_fail(SM_EFORMAT, "the pickle is damaged at byte %zu: %s", (size_t)(vm->at - vm->data), what);
}

static int push(p_vm *vm, p_value *v)
{
    if (!v)
        return SM_ENOMEM;
    const int err = sm_grow(&vm->stack, &vm->cap_stack, vm->n_stack + 1, sizeof(p_value *));
    if (err == 0)
        vm->stack[vm->n_stack++] = v;
    return err;
}

static int push_new(p_vm *vm, p_kind kind)
{
    return push(vm, p_new(vm, kind));
}

/* NULL: nothing there, or a mark. */
static p_value *pop(p_vm *vm)
{
    if (vm->n_stack == 0 || vm->stack[vm->n_stack - 1]->kind == P_MARK)
        return NULL;
    return vm->stack[--vm->n_stack];
}

static p_value *top(const p_vm *vm)
{
    return vm->n_stack && vm->stack[vm->n_stack - 1]->kind != P_MARK ? vm->stack[vm->n_stack - 1] : NULL;
}

/* Index above the last mark; 0: there is none. */
static size_t above_mark(const p_vm *vm)
{
    size_t i = vm->n_stack;
    while (i && vm->stack[i - 1]->kind != P_MARK)
        i--;
    return i;
}

static bool take(p_vm *vm, size_t n, const uint8_t **out)
{
    if (n > (size_t)(vm->end - vm->at))
        return false;
    *out = vm->at;
    vm->at += n;
    return true;
}

static bool take_uint(p_vm *vm, int bytes, uint64_t *out)
{
    const uint8_t *p;
    if (!take(vm, (size_t)bytes, &p))
        return false;
    *out = 0;
    for (int i = bytes; i-- > 0;)
        *out = *out << 8 | p[i];
    return true;
}

static bool take_line(p_vm *vm, const char **s, size_t *n)
{
    const uint8_t *end = memchr(vm->at, '\n', (size_t)(vm->end - vm->at));
    if (!end)
        return false;
    *s = (const char *)vm->at;
    *n = (size_t)(end - vm->at);
    vm->at = end + 1;
    return true;
}

static int push_text(p_vm *vm, p_kind kind, const void *s, size_t n)
{
    p_value *v = p_new(vm, kind);
    if (v) {
        v->text.s = s;
        v->text.n = n;
    }
    return push(vm, v);
}

static int push_int(p_vm *vm, p_kind kind, int64_t i)
{
    p_value *v = p_new(vm, kind);
    if (v)
        v->i = i;
    return push(vm, v);
}

static int push_float(p_vm *vm, double f)
{
    p_value *v = p_new(vm, P_FLOAT);
    if (v)
        v->f = f;
    return push(vm, v);
}

static int push_counted(p_vm *vm, p_kind kind, int width)
{
    uint64_t n;
    const uint8_t *p;
    if (!take_uint(vm, width, &n) || n > SIZE_MAX || !take(vm, (size_t)n, &p))
        return damaged(vm, "a text goes beyond the end");
    return push_text(vm, kind, p, (size_t)n);
}

/* Little-endian two's complement. What does not fit 64 bits is kept as its bytes: nothing here counts that far. */
static int push_long(p_vm *vm, int width)
{
    uint64_t n;
    const uint8_t *p;
    if (!take_uint(vm, width, &n) || !take(vm, (size_t)n, &p))
        return damaged(vm, "a number goes beyond the end");
    if (n > 8)
        return push_text(vm, P_BYTES, p, (size_t)n);
    uint64_t v = n && p[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = (size_t)n; i-- > 0;)
        v = v << 8 | p[i];
    return push_int(vm, P_INT, (int64_t)v);
}

/* ---- protocol 0: lines of text ---- */

static int push_number_line(p_vm *vm, uint8_t op)
{
    const char *s;
    size_t n;
    char text[64];
    int64_t i;
    double f;
    if (!take_line(vm, &s, &n) || n >= sizeof text)
        return damaged(vm, "a number is no number");
    memcpy(text, s, n);
    text[n] = 0;
    if (op == 'I' && (strcmp(text, "00") == 0 || strcmp(text, "01") == 0))
        return push_int(vm, P_BOOL, text[1] == '1');
    if (op == 'L' && n && text[n - 1] == 'L')
        text[n - 1] = 0;
    if (op == 'F' && sm_parse_double(text, &f))
        return push_float(vm, f);
    if (op != 'F' && sm_parse_int(text, &i))
        return push_int(vm, P_INT, i);
    return damaged(vm, "a number is no number");
}

static int push_text_line(p_vm *vm, uint8_t op)
{
    const char *s;
    size_t n;
    if (!take_line(vm, &s, &n))
        return damaged(vm, "a text goes beyond the end");
    if (op == 'S') {
        if (n < 2 || (s[0] != '\'' && s[0] != '"') || s[n - 1] != s[0])
            return damaged(vm, "a text has no quotes");
        s++;
        n -= 2;
    }
    return push_text(vm, P_TEXT, s, n);
}

/* ---- containers ---- */

/* Everything above the last mark becomes a list, tuple or dict; the mark goes. */
static int gather(p_vm *vm, p_kind kind)
{
    const size_t from = above_mark(vm);
    p_value *v = p_new(vm, kind);
    int err = 0;
    if (!v)
        return SM_ENOMEM;
    if (from == 0)
        return damaged(vm, "a mark is missing");
    if (kind == P_DICT && (vm->n_stack - from) % 2)
        return damaged(vm, "a dict has a key without a value");
    for (size_t i = from; i < vm->n_stack && err == 0; i++)
        err = p_append(vm, v, vm->stack[i]);
    vm->n_stack = from - 1;
    return err < 0 ? err : push(vm, v);
}

static int short_tuple(p_vm *vm, size_t n)
{
    p_value *v = p_new(vm, P_TUPLE);
    int err = 0;
    if (!v)
        return SM_ENOMEM;
    if (vm->n_stack < n)
        return damaged(vm, "the stack is empty");
    for (size_t i = vm->n_stack - n; i < vm->n_stack && err == 0; i++)
        err = vm->stack[i]->kind == P_MARK ? damaged(vm, "the stack is empty") : p_append(vm, v, vm->stack[i]);
    vm->n_stack -= n;
    return err < 0 ? err : push(vm, v);
}

/* Where items are put: the list, set or dict itself, or what an inert object carries. */
static p_value *container_of(p_vm *vm, p_value *v, p_kind kind)
{
    if (v && v->kind == P_OBJECT) {
        if (!v->object.items)
            v->object.items = p_new(vm, kind);
        v = v->object.items;
    }
    if (!v || (v->kind != kind && !(kind == P_LIST && v->kind == P_SET)))
        return NULL;
    return v;
}

/* Adds what lies above stack index `from` to the value below it. */
static int fill(p_vm *vm, size_t from, size_t container, p_kind kind)
{
    p_value *to = container_of(vm, vm->stack[container], kind);
    int err = 0;
    if (!to)
        return damaged(vm, "items for something that holds none");
    if (kind == P_DICT && (vm->n_stack - from) % 2)
        return damaged(vm, "a dict has a key without a value");
    for (size_t i = from; i < vm->n_stack && err == 0; i++)
        err = vm->stack[i]->kind == P_MARK ? damaged(vm, "the stack is empty") : p_append(vm, to, vm->stack[i]);
    vm->n_stack = container + 1;
    return err;
}

static int fill_marked(p_vm *vm, p_kind kind)
{
    const size_t from = above_mark(vm);
    return from < 2 ? damaged(vm, "a mark is missing") : fill(vm, from, from - 2, kind);
}

static int fill_few(p_vm *vm, size_t n, p_kind kind)
{
    return vm->n_stack < n + 1 ? damaged(vm, "the stack is empty")
                               : fill(vm, vm->n_stack - n, vm->n_stack - n - 1, kind);
}

/* ---- memo ---- */

static int put(p_vm *vm, uint64_t index)
{
    p_value *v = top(vm);
    int err;
    if (!v)
        return damaged(vm, "the stack is empty");
    if (index > vm->n_puts + MEMO_SLACK) /* picklers number in order */
        return damaged(vm, "a memo out of order");
    if ((err = sm_grow(&vm->memo, &vm->cap_memo, (size_t)index + 1, sizeof(p_value *))) < 0)
        return err;
    while (vm->n_memo <= index)
        vm->memo[vm->n_memo++] = NULL;
    vm->memo[index] = v;
    vm->n_puts++;
    return 0;
}

static int get(p_vm *vm, uint64_t index)
{
    if (index >= vm->n_memo || !vm->memo[index])
        return damaged(vm, "a memo that was not made");
    return push(vm, vm->memo[index]);
}

static int memo_op(p_vm *vm, uint8_t op)
{
    uint64_t index = vm->n_puts;
    if (op == 'g' || op == 'p') {
        const char *s;
        size_t n;
        char text[24];
        int64_t i = -1;
        if (!take_line(vm, &s, &n) || n >= sizeof text)
            return damaged(vm, "a memo without a number");
        memcpy(text, s, n);
        text[n] = 0;
        if (!sm_parse_int(text, &i) || i < 0)
            return damaged(vm, "a memo without a number");
        index = (uint64_t)i;
    } else if (op != 0x94 && !take_uint(vm, op == 'h' || op == 'q' ? 1 : 4, &index)) {
        return damaged(vm, "it ends here");
    }
    return op == 'g' || op == 'h' || op == 'j' ? get(vm, index) : put(vm, index);
}

/* ---- classes and calls ---- */

static int push_global(p_vm *vm, const char *module, size_t n_module, const char *name, size_t n_name)
{
    if (n_module > 512 || n_name > 512)
        return damaged(vm, "a class with a very long name");
    char *s = sm_arena_printf(vm->arena, "%.*s.%.*s", (int)n_module, module, (int)n_name, name);
    if (!s)
        return w_no_memory();
    if (!sm_utf8_valid(s, strlen(s)))
        return damaged(vm, "a class whose name is no text");
    return push_text(vm, P_GLOBAL, s, strlen(s));
}

static int global_lines(p_vm *vm)
{
    const char *module, *name;
    size_t n_module, n_name;
    if (!take_line(vm, &module, &n_module) || !take_line(vm, &name, &n_name))
        return damaged(vm, "a class without a name");
    return push_global(vm, module, n_module, name, n_name);
}

static int global_stack(p_vm *vm)
{
    const p_value *name = pop(vm), *module = pop(vm);
    if (!name || !module || name->kind != P_TEXT || module->kind != P_TEXT)
        return damaged(vm, "a class without a name");
    return push_global(vm, module->text.s, module->text.n, name->text.s, name->text.n);
}

static int call(p_vm *vm, const p_value *class, p_value *args)
{
    p_value *v = NULL;
    if (!class || !args || args->kind != P_TUPLE)
        return damaged(vm, "a call without arguments");
    if (class->kind != P_GLOBAL)
        return damaged(vm, "a call of something that is no class");
    const int err = p_call(vm, class, args, &v);
    return err < 0 ? err : push(vm, v);
}

static int call_op(p_vm *vm, uint8_t op)
{
    int err = 0;
    if (op == 0x92) { /* NEWOBJ_EX: class, args, kwargs */
        if (!pop(vm))
            return damaged(vm, "the stack is empty");
    } else if (op == 'i' || op == 'o') { /* INST, OBJ: class and arguments after a mark */
        if (op == 'i') {
            if ((err = gather(vm, P_TUPLE)) < 0 || (err = global_lines(vm)) < 0)
                return err;
            const p_value *class = pop(vm);
            return call(vm, class, pop(vm));
        }
        if ((err = gather(vm, P_TUPLE)) < 0)
            return err;
        p_value *all = pop(vm);
        if (all->list.n == 0)
            return damaged(vm, "a call of nothing");
        p_value *args = p_new(vm, P_TUPLE);
        if (!args)
            return SM_ENOMEM;
        args->list.items = all->list.items + 1;
        args->list.n = args->list.cap = all->list.n - 1;
        return call(vm, all->list.items[0], args);
    }
    p_value *args = pop(vm);
    return call(vm, pop(vm), args);
}

static int build(p_vm *vm)
{
    p_value *state = pop(vm), *v = top(vm);
    if (!state || !v)
        return damaged(vm, "the stack is empty");
    if (v->kind == P_OBJECT)
        v->object.state = state; /* others (an OrderedDict's _metadata, a parameter's hooks) have no use for it */
    return 0;
}

static int persistent(p_vm *vm, uint8_t op)
{
    p_value *v = NULL;
    int err = op == 'P' ? push_text_line(vm, 'V') : 0;
    const p_value *id = err < 0 ? NULL : pop(vm);
    if (err < 0)
        return err;
    if (!id)
        return damaged(vm, "the stack is empty");
    if (!vm->persistent)
        return damaged(vm, "a persistent id");
    err = vm->persistent(vm, id, &v);
    return err < 0 ? err : push(vm, v);
}

/* ---- the operations ---- */

static int scalar_op(p_vm *vm, uint8_t op)
{
    uint64_t n = 0;
    const uint8_t *p;
    switch (op) {
    case 'N':
        return push_new(vm, P_NONE);
    case 0x88:
    case 0x89:
        return push_int(vm, P_BOOL, op == 0x88);
    case 'K':
    case 'M':
    case 'J':
        if (!take_uint(vm, op == 'K' ? 1 : op == 'M' ? 2 : 4, &n))
            return damaged(vm, "it ends here");
        return push_int(vm, P_INT, op == 'J' ? (int32_t)(uint32_t)n : (int64_t)n);
    case 'G': { /* big-endian */
        double f;
        if (!take(vm, 8, &p))
            return damaged(vm, "it ends here");
        for (int i = 0; i < 8; i++)
            n = n << 8 | p[i];
        memcpy(&f, &n, sizeof f);
        return push_float(vm, f);
    }
    case 0x8A:
    case 0x8B:
        return push_long(vm, op == 0x8A ? 1 : 4);
    case 'I':
    case 'L':
    case 'F':
        return push_number_line(vm, op);
    default:
        return SM_ENOTFOUND;
    }
}

static int text_op(p_vm *vm, uint8_t op)
{
    switch (op) {
    case 'S':
    case 'V':
        return push_text_line(vm, op);
    case 'U':
    case 0x8C:
        return push_counted(vm, P_TEXT, 1);
    case 'T':
    case 'X':
        return push_counted(vm, P_TEXT, 4);
    case 0x8D:
        return push_counted(vm, P_TEXT, 8);
    case 'C':
        return push_counted(vm, P_BYTES, 1);
    case 'B':
        return push_counted(vm, P_BYTES, 4);
    case 0x8E:
    case 0x96:
        return push_counted(vm, P_BYTES, 8);
    default:
        return SM_ENOTFOUND;
    }
}

static int container_op(p_vm *vm, uint8_t op)
{
    switch (op) {
    case '(':
        return push_new(vm, P_MARK);
    case '}':
        return push_new(vm, P_DICT);
    case ']':
        return push_new(vm, P_LIST);
    case ')':
        return push_new(vm, P_TUPLE);
    case 0x8F:
        return push_new(vm, P_SET);
    case 'd':
        return gather(vm, P_DICT);
    case 'l':
        return gather(vm, P_LIST);
    case 't':
        return gather(vm, P_TUPLE);
    case 0x91:
        return gather(vm, P_SET);
    case 0x85:
    case 0x86:
    case 0x87:
        return short_tuple(vm, op - 0x84u);
    case 'a':
        return fill_few(vm, 1, P_LIST);
    case 's':
        return fill_few(vm, 2, P_DICT);
    case 'e':
    case 0x90:
        return fill_marked(vm, P_LIST);
    case 'u':
        return fill_marked(vm, P_DICT);
    default:
        return SM_ENOTFOUND;
    }
}

static int stack_op(p_vm *vm, uint8_t op)
{
    const uint8_t *p;
    switch (op) {
    case 0x80:
        if (!take(vm, 1, &p))
            return damaged(vm, "it ends here");
        return *p > 5 ? sm_fail(SM_EUNSUPPORTED, "a pickle of protocol %d, known are 0 to 5", *p) : 0;
    case 0x95:
        return take(vm, 8, &p) ? 0 : damaged(vm, "it ends here");
    case '0':
        if (vm->n_stack == 0)
            return damaged(vm, "the stack is empty");
        vm->n_stack--;
        return 0;
    case '1':
        if (above_mark(vm) == 0)
            return damaged(vm, "a mark is missing");
        vm->n_stack = above_mark(vm) - 1;
        return 0;
    case '2':
        return top(vm) ? push(vm, top(vm)) : damaged(vm, "the stack is empty");
    case 'g':
    case 'h':
    case 'j':
    case 'p':
    case 'q':
    case 'r':
    case 0x94:
        return memo_op(vm, op);
    case 'c':
        return global_lines(vm);
    case 0x93:
        return global_stack(vm);
    case 'R':
    case 0x81:
    case 0x92:
    case 'i':
    case 'o':
        return call_op(vm, op);
    case 'b':
        return build(vm);
    case 'P':
    case 'Q':
        return persistent(vm, op);
    default:
        return SM_ENOTFOUND;
    }
}

static int step(p_vm *vm, uint8_t op)
{
    static int (*const kinds[])(p_vm *, uint8_t) = { scalar_op, text_op, container_op, stack_op };
    for (size_t i = 0; i < SM_LENGTH(kinds); i++) {
        const int err = kinds[i](vm, op);
        if (err != SM_ENOTFOUND)
            return err;
    }
    return sm_fail(SM_EFORMAT, "the pickle is damaged at byte %zu: no operation 0x%02X", (size_t)(vm->at - vm->data),
                   op);
}

int p_run(p_vm *vm, const uint8_t *data, size_t size, const p_value **out, size_t *used)
{
    int err = 0;
    *out = NULL;
    vm->data = vm->at = data;
    vm->end = data + size;
    vm->n_stack = vm->n_memo = vm->n_puts = 0;
    while (err == 0) {
        if (vm->at == vm->end)
            return damaged(vm, "it ends here");
        const uint8_t op = *vm->at++;
        vm->n_steps++;
        if (op == '.')
            break;
        err = step(vm, op);
    }
    if (err < 0)
        return err;
    if (!top(vm))
        return damaged(vm, "it holds nothing");
    *out = top(vm);
    *used = (size_t)(vm->at - data);
    return 0;
}

void p_free(p_vm *vm)
{
    sm_free(vm->stack);
    sm_free(vm->memo);
    vm->stack = vm->memo = NULL;
}
