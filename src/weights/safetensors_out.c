/* Writing safetensors. The header comes first in the file but is known last: data are written from byte 0 on, and commit moves
 * them up by the header's length, from the end, in place. */
#include <errno.h>
#include <unistd.h>

#include "weights/store.h"

enum { ALIGN = 64, MOVE = 1 << 20 };

struct sm_safetensors_writer {
    sm_outfile *file;
    sm_buffer tensors, meta; /* members of the JSON header, without braces */
    uint64_t size;           /* of the data so far */
    sm_weights *names;       /* only its index is used: no name twice */
};

int sm_safetensors_writer_open(const char *path, sm_safetensors_writer **out)
{
    *out = NULL;
    sm_safetensors_writer *w = sm_alloc_zero(1, sizeof *w);
    if (!w)
        return w_no_memory();
    int err = 0;
    w->names = w_new(path);
    if (!w->names)
        err = w_no_memory();
    else
        err = sm_outfile_open(path, &w->file);
    if (err < 0) {
        sm_safetensors_writer_abandon(w);
        return err;
    }
    *out = w;
    return 0;
}

void sm_safetensors_writer_abandon(sm_safetensors_writer *w)
{
    if (!w)
        return;
    sm_outfile_abandon(w->file);
    sm_buffer_free(&w->tensors);
    sm_buffer_free(&w->meta);
    sm_weights_close(w->names);
    sm_free(w);
}

/* "text" with JSON's escapes, through the one JSON writer there is */
static void quote(sm_buffer *out, const char *text)
{
    sm_json j;
    sm_json_init(&j, out, false);
    sm_json_string(&j, text);
}

int sm_safetensors_writer_meta(sm_safetensors_writer *w, const char *key, const char *value)
{
    if (sm_weights_meta(w->names, key))
        return sm_fail(SM_EUSAGE, "%s: metadata \"%s\" was given twice", w->names->label, key);
    const int err = w_meta(w->names, key, "");
    if (err < 0)
        return err;
    if (w->meta.length)
        sm_buffer_text(&w->meta, ",");
    quote(&w->meta, key);
    sm_buffer_text(&w->meta, ":");
    quote(&w->meta, value);
    return w->meta.failed ? w_no_memory() : 0;
}

static int add_plain(sm_safetensors_writer *w, const char *name, const nn_tensor *t)
{
    w_tensor entry = { .type = t->type, .shape = t->shape, .bytes = (const uint8_t *)"", .scale_axis = -1 };
    const char *type = w_safetensors_type(t->type);
    int err;
    if (!type)
        return sm_fail(SM_EUSAGE, "tensor \"%s\" has no proper type", name);
    if ((err = w_text(w->names, name, strlen(name), "a tensor's name", &entry.name)) < 0 ||
        (err = w_add(w->names, &entry)) < 0)
        return err;
    const size_t bytes = w_tensor_bytes(&entry);
    if (w->tensors.length)
        sm_buffer_text(&w->tensors, ",");
    quote(&w->tensors, name);
    sm_buffer_printf(&w->tensors, ":{\"dtype\":\"%s\",\"shape\":[", type);
    for (int i = 0; i < t->shape.rank; i++)
        sm_buffer_printf(&w->tensors, "%s%lld", i ? "," : "", (long long)t->shape.dim[i]);
    sm_buffer_printf(&w->tensors, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)w->size,
                     (unsigned long long)(w->size + bytes));
    if (w->tensors.failed)
        return w_no_memory();
    if (bytes && fwrite(t->data, 1, bytes, sm_outfile_stream(w->file)) != bytes)
        return sm_fail(SM_EIO, "%s: %s", w->names->label, strerror(errno));
    w->size += bytes;
    return 0;
}

int sm_safetensors_writer_add(sm_safetensors_writer *w, const char *name, const nn_tensor *t)
{
    char key[512], axis[16];
    int err = add_plain(w, name, t);
    if (err < 0 || !t->scale)
        return err;
    const nn_shape n = NN_SHAPE(t->scale_axis < 0 ? 1 : t->shape.dim[t->scale_axis]);
    if (snprintf(key, sizeof key, "%s@scale", name) >= (int)sizeof key)
        return sm_fail(SM_ELIMIT, "a tensor's name has %zu bytes", strlen(name));
    if ((err = add_plain(w, key, &(nn_tensor){ .type = NN_F32, .shape = n, .data = t->scale })) < 0)
        return err;
    snprintf(key, sizeof key, "%s@zero", name);
    if (t->zero && (err = add_plain(w, key, &(nn_tensor){ .type = NN_I32, .shape = n, .data = t->zero })) < 0)
        return err;
    snprintf(key, sizeof key, "%s@axis", name);
    snprintf(axis, sizeof axis, "%d", t->scale_axis);
    return sm_safetensors_writer_meta(w, key, axis);
}

static int whole(ssize_t got, size_t wanted, const char *path)
{
    if (got == (ssize_t)wanted)
        return 0;
    return sm_fail(SM_EIO, "%s: %s", path, got < 0 ? strerror(errno) : "no room on the disk");
}

/* Moves the data up by `by` bytes, last part first. */
static int move_up(sm_safetensors_writer *w, int fd, uint64_t by)
{
    const char *path = w->names->label;
    uint8_t *chunk = sm_alloc(1, MOVE);
    int err = chunk ? 0 : w_no_memory();
    for (uint64_t end = w->size; end && err == 0;) {
        const size_t n = (size_t)SM_MIN(end, (uint64_t)MOVE);
        err = whole(pread(fd, chunk, n, (off_t)(end - n)), n, path);
        if (err == 0)
            err = whole(pwrite(fd, chunk, n, (off_t)(end - n + by)), n, path);
        end -= n;
    }
    sm_free(chunk);
    return err;
}

static int write_header(sm_safetensors_writer *w, sm_buffer *header)
{
    static const uint8_t zero[8];
    sm_buffer_add(header, zero, 8);
    sm_buffer_text(header, "{");
    if (w->meta.length) {
        sm_buffer_text(header, "\"__metadata__\":{");
        sm_buffer_add(header, w->meta.data, w->meta.length);
        sm_buffer_text(header, w->tensors.length ? "}," : "}");
    }
    sm_buffer_add(header, w->tensors.length ? w->tensors.data : "", w->tensors.length);
    sm_buffer_text(header, "}");
    while (header->length % ALIGN && !header->failed)
        sm_buffer_text(header, " ");
    if (header->failed)
        return w_no_memory();
    const uint64_t n = header->length - 8;
    for (int i = 0; i < 8; i++)
        header->data[i] = (char)(n >> (8 * i));
    const int fd = fileno(sm_outfile_stream(w->file));
    int err = move_up(w, fd, header->length);
    for (size_t at = 0; at < header->length && err == 0; at += SM_MIN(header->length - at, (size_t)MOVE)) {
        const size_t part = SM_MIN(header->length - at, (size_t)MOVE);
        err = whole(pwrite(fd, header->data + at, part, (off_t)at), part, w->names->label);
    }
    return err;
}

int sm_safetensors_writer_commit(sm_safetensors_writer *w)
{
    sm_buffer header = { 0 };
    int err = 0;
    if (fflush(sm_outfile_stream(w->file)) != 0)
        err = sm_fail(SM_EIO, "%s: %s", w->names->label, strerror(errno));
    else
        err = write_header(w, &header);
    sm_buffer_free(&header);
    if (err == 0) {
        err = sm_outfile_commit(w->file);
        w->file = NULL;
    }
    sm_safetensors_writer_abandon(w);
    return err;
}
