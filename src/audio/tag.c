/* Tags into files: what is there is asked first, the new bytes are planned, the file is written beside itself, its audio compared, and
 * only then it takes the old one's place. */
#include "audio/tag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/tag_parts.h"

static const sm_tag_writer writers[] = {
    { "wav", sm_tag_plan_chunks, sm_tag_payload_chunks }, { "rf64", sm_tag_plan_chunks, sm_tag_payload_chunks },
    { "w64", sm_tag_plan_chunks, sm_tag_payload_chunks }, { "aiff", sm_tag_plan_chunks, sm_tag_payload_chunks },
    { "flac", sm_tag_plan_flac, sm_tag_payload_flac },    { "ogg", sm_tag_plan_ogg, sm_tag_payload_ogg },
    { "mp3", sm_tag_plan_mpeg, sm_tag_payload_mpeg },
};

static const struct {
    const char *name;
    const char *keys[2]; /* as readers call it (metadata.c) */
} fields[SM_TAG_FIELDS] = {
    [SM_TAG_TITLE] = { "title", { "title" } },
    [SM_TAG_COMMENT] = { "comment", { "comment" } },
    [SM_TAG_GENRE] = { "genre", { "genre" } },
    [SM_TAG_MOOD] = { "mood", { "mood" } },
    [SM_TAG_INSTRUMENT] = { "instrument", { "instrument" } },
    [SM_TAG_BPM] = { "bpm", { "bpm" } },
    [SM_TAG_KEY] = { "key", { "initialkey", "key" } },
    [SM_TAG_KEYWORDS] = { "keywords", { "keywords" } },
};

const char *sm_tag_field_name(sm_tag_field f)
{
    return fields[f].name;
}

void sm_tag_where(sm_tag_job *j, sm_tag_field f, const char *place)
{
    char *where = j->where[f];
    const size_t n = strlen(where);
    snprintf(where + n, sizeof j->where[f] - n, "%s%s", n ? ", " : "", place);
}

bool sm_tag_any_text(const sm_tag_job *j)
{
    bool any = false;
    for (int f = 0; f < SM_TAG_FIELDS; f++)
        any = any || j->text[f];
    return any;
}

/* ---- changes ---- */

static int add_change(sm_tag_result *r, const char *field, const char *where, const char *before, const char *after,
                      bool kept)
{
    sm_tag_change c = { .field = field, .where = sm_strdup(where), .after = sm_strdup(after), .kept = kept };
    c.before = before ? sm_strdup(before) : NULL;
    if (!c.where || !c.after || (before && !c.before) || sm_grow(&r->changes, &r->capacity, r->n + 1, sizeof c) < 0) {
        sm_free(c.where);
        sm_free(c.before);
        sm_free(c.after);
        return SM_ENOMEM;
    }
    r->changes[r->n++] = c;
    r->writes = r->writes || !kept;
    return 0;
}

void sm_tag_result_free(sm_tag_result *r)
{
    for (size_t i = 0; i < r->n; i++) {
        sm_free(r->changes[i].where);
        sm_free(r->changes[i].before);
        sm_free(r->changes[i].after);
    }
    sm_free(r->changes);
    sm_splice_free(&r->back);
    *r = (sm_tag_result){ 0 };
}

/* ---- one file open ---- */

typedef struct {
    sm_source source;
    const sm_tag_writer *writer;
    struct stat st;
    char *path; /* what links lead to: the file itself is replaced, not a link to it */
} target;

static void close_target(target *t)
{
    sm_source_close(&t->source);
    free(t->path); /* of the C library */
    t->path = NULL;
}

static int find_writer(target *t, const char *path)
{
    const sm_audio_kind *kind = sm_audio_kind_find(&t->source);
    char looks[64];
    if (!kind)
        return sm_fail(SM_EFORMAT, "%s: no sound file: it begins like %s", path,
                       sm_source_looks_like(&t->source, looks));
    for (size_t i = 0; i < SM_LENGTH(writers) && !t->writer; i++)
        if (!strcmp(writers[i].container, kind->container))
            t->writer = &writers[i];
    return t->writer ? 0 : sm_fail(SM_EUNSUPPORTED, "%s: tags are not written into %s", path, kind->words);
}

/* *t is to be closed also after a failure. */
static int open_target(const char *path, target *t)
{
    *t = (target){ .source = { .fd = -1 } };
    int err = sm_source_open(path, &t->source, NULL);
    if (err < 0)
        return err;
    t->path = realpath(path, NULL);
    if (!t->path || stat(t->path, &t->st) < 0)
        return sm_fail(SM_EIO, "%s: %s", path, strerror(errno));
    return find_writer(t, path);
}

static int payload_of(target *t, char out[65])
{
    sm_hasher *h = NULL;
    bool any = false;
    int err = sm_hasher_new(SM_HASH_XXH128, &h);
    if (err == 0)
        err = t->writer->payload(&t->source, h, &any);
    if (err == 0 && !any)
        err = sm_fail(SM_EFORMAT, "there is no audio in it");
    if (err == 0)
        sm_hasher_hex(h, out);
    sm_hasher_free(h);
    return err;
}

int sm_tag_payload_hash(const char *path, char out[65])
{
    target t;
    int err = open_target(path, &t);
    if (err == 0 && (err = payload_of(&t, out)) < 0)
        sm_fail_prefix(err, "%s", path);
    close_target(&t);
    return err;
}

/* ---- what changes ---- */

static const char *value_there(const sm_audio_metadata *meta, int f)
{
    const char *there = sm_meta_find(meta, fields[f].keys[0]);
    return there || !fields[f].keys[1] ? there : sm_meta_find(meta, fields[f].keys[1]);
}

static int choose_texts(sm_tag_job *j, const sm_audio_metadata *meta, sm_tag_result *out)
{
    int err = 0;
    for (int f = 0; err == 0 && f < SM_TAG_FIELDS; f++) {
        const char *wanted = j->edit->text[f], *there = value_there(meta, f);
        if (!wanted || (there ? !strcmp(there, wanted) : !*wanted))
            continue;
        if (!sm_utf8_valid(wanted, strlen(wanted)))
            return sm_fail(SM_EUSAGE, "the %s that is to be written is no UTF-8", fields[f].name);
        if (there && !j->edit->overwrite[f])
            err = add_change(out, fields[f].name, "", there, wanted, true);
        else
            j->text[f] = wanted;
    }
    return err;
}

/* acid, smpl and inst: there or not is what counts. */
static int choose_chunks(sm_tag_job *j, const sm_audio_metadata *meta, sm_tag_result *out)
{
    const sm_tag_edit *e = j->edit;
    const bool is_riff = strcmp(j->container, "aiff") != 0 && j->source && e;
    char text[96];
    int err = 0;
    const struct {
        const char *name;
        bool wanted, there, *chosen;
    } chunks[] = { { "acid", e->acid, meta->has_acid, &j->acid },
                   { "smpl", e->smpl, meta->has_smpl, &j->smpl },
                   { "inst", e->inst, meta->has_inst, &j->inst } };
    for (size_t i = 0; err == 0 && is_riff && i < SM_LENGTH(chunks); i++) {
        if (!chunks[i].wanted ||
            (strcmp(j->container, "wav") && strcmp(j->container, "rf64") && strcmp(j->container, "w64")))
            continue;
        *chunks[i].chosen = !chunks[i].there || e->overwrite_chunks || (i == 0 && e->overwrite_acid);
        if (i == 0 && e->acid_values.one_shot)
            snprintf(text, sizeof text, "one-shot, note %d", e->acid_values.root_note);
        else if (i == 0)
            snprintf(text, sizeof text, "%u beats at %.2f BPM, note %d", e->acid_values.beats,
                     (double)e->acid_values.tempo, e->acid_values.root_note);
        else
            snprintf(text, sizeof text, "note %d %+.0f cents%s", e->unity_note, e->fine_cents,
                     i == 1 && e->loop ? ", loop" : "");
        err = add_change(out, chunks[i].name, "chunk", chunks[i].there ? "(there)" : NULL, text, !*chunks[i].chosen);
    }
    return err;
}

/* Fields for which this container has no place are no changes. */
static int tell_texts(const sm_tag_job *j, const sm_audio_metadata *meta, sm_tag_result *out)
{
    int err = 0;
    for (int f = 0; err == 0 && f < SM_TAG_FIELDS; f++)
        if (j->text[f] && *j->where[f])
            err = add_change(out, fields[f].name, j->where[f], value_there(meta, f), j->text[f], false);
    return err;
}

static int plan(target *t, const sm_tag_edit *e, sm_tag_job *j, sm_tag_result *out)
{
    sm_audio_metadata meta = { 0 };
    *j = (sm_tag_job){ .source = &t->source, .container = t->writer->container, .edit = e };
    int err = sm_meta_source(&t->source, &meta);
    if (err == 0)
        err = choose_texts(j, &meta, out);
    if (err == 0)
        err = choose_chunks(j, &meta, out);
    if (err == 0 && (sm_tag_any_text(j) || j->acid || j->smpl || j->inst))
        err = t->writer->plan(j);
    if (err == 0)
        err = tell_texts(j, &meta, out);
    if (err == 0 && !out->writes)
        sm_splice_free(&j->splice);
    sm_audio_metadata_free(&meta);
    for (size_t i = 0; i < j->splice.n; i++)
        j->splice.parts[i].at += t->source.start;
    return err;
}

/* ---- writing ---- */

static int copy_range(sm_source *s, int64_t at, int64_t n, FILE *out, uint8_t *piece, size_t size)
{
    while (n > 0) {
        const size_t now = (size_t)SM_MIN(n, (int64_t)size);
        if (sm_source_read_at(s, at, piece, now) != now)
            return sm_fail(SM_EIO, "the file ends while it is read");
        if (fwrite(piece, 1, now, out) != now)
            return sm_fail(SM_EIO, "writing failed: %s", strerror(errno));
        at += (int64_t)now;
        n -= (int64_t)now;
    }
    return 0;
}

static int apply(sm_source *s, const sm_splice *splice, FILE *out)
{
    enum { PIECE = 1 << 18 };
    uint8_t *piece = sm_alloc(PIECE, 1);
    int64_t at = 0;
    int err = piece ? 0 : SM_ENOMEM;
    for (size_t i = 0; err == 0 && i < splice->n; i++) {
        const sm_splice_part *p = &splice->parts[i];
        if (p->at < at || p->remove < 0 || p->at > s->size - p->remove)
            err = sm_fail(SM_EFORMAT, "bytes are to be replaced that are not there");
        if (err == 0)
            err = copy_range(s, at, p->at - at, out, piece, PIECE);
        if (err == 0 && fwrite(p->bytes, 1, p->n, out) != p->n)
            err = sm_fail(SM_EIO, "writing failed: %s", strerror(errno));
        at = p->at + p->remove;
    }
    if (err == 0)
        err = copy_range(s, at, s->size - at, out, piece, PIECE);
    sm_free(piece);
    return err;
}

/* What takes `splice` back, in places of the new file. */
static int invert(sm_source *s, const sm_splice *splice, sm_splice *back)
{
    int64_t shift = 0;
    int err = 0;
    for (size_t i = 0; err == 0 && i < splice->n; i++) {
        const sm_splice_part *p = &splice->parts[i];
        uint8_t *old = NULL;
        err = sm_read_block(s, p->at, p->remove, &old);
        if (err == 0)
            err = sm_splice_add(back, p->at + shift, (int64_t)p->n, old, (size_t)p->remove);
        shift += (int64_t)p->n - p->remove;
        sm_free(old);
    }
    return err;
}

static int same_file(const target *t)
{
    struct stat now;
    if (stat(t->path, &now) == 0 && now.st_ino == t->st.st_ino && now.st_size == t->st.st_size &&
        now.st_mtim.tv_sec == t->st.st_mtim.tv_sec && now.st_mtim.tv_nsec == t->st.st_mtim.tv_nsec)
        return 0;
    return sm_fail(SM_EIO, "another program changed it meanwhile");
}

/* A file that its owner protected is not replaced, though the folder would allow it. */
static int writable(const target *t)
{
    if (!(t->st.st_mode & 0222) || access(t->path, W_OK) < 0)
        return sm_fail(SM_EIO, "is read-only");
    return 0;
}

/* The new file is as accessible as the old one, and as old where that is wanted. */
static int dress(FILE *f, const struct stat *st, const int64_t *mtime_ns)
{
    const int fd = fileno(f);
    if (fflush(f) != 0)
        return sm_fail(SM_EIO, "writing failed: %s", strerror(errno));
    if (fchown(fd, st->st_uid, st->st_gid) < 0 && errno != EPERM)
        return sm_fail(SM_EIO, "its owner cannot be kept: %s", strerror(errno));
    if (fchmod(fd, st->st_mode & 07777) < 0)
        return sm_fail(SM_EIO, "its permissions cannot be kept: %s", strerror(errno));
    if (mtime_ns) {
        const struct timespec times[2] = { st->st_atim,
                                           { .tv_sec = *mtime_ns / 1000000000, .tv_nsec = *mtime_ns % 1000000000 } };
        if (futimens(fd, times) < 0)
            return sm_fail(SM_EIO, "its time cannot be kept: %s", strerror(errno));
    }
    return 0;
}

static int check_payload(target *old, const char *path)
{
    char before[65] = "", after[65] = "";
    target t;
    int err = payload_of(old, before);
    if (err == 0)
        err = open_target(path, &t);
    if (err == 0) {
        err = t.writer == old->writer ? payload_of(&t, after) : SM_EINTERNAL;
        close_target(&t);
    }
    if (err == SM_EINTERNAL || (err == 0 && strcmp(before, after) != 0))
        err = sm_fail(SM_EINTERNAL, "the audio would not have stayed as it is; nothing was written");
    return err;
}

static int hash_of(const char *path, char out[33])
{
    char hex[65];
    const int err = sm_hash_file(SM_HASH_XXH128, path, hex);
    if (err == 0)
        snprintf(out, 33, "%.32s", hex);
    return err;
}

/* The whole file as bytes, whatever tag stands before its content. */
static sm_source whole_file(const target *t)
{
    sm_source s = t->source;
    s.size += s.start;
    s.start = 0;
    s.cached = 0;
    s.n_patches = 0;
    return s;
}

static int write_new(target *t, const sm_splice *splice, const sm_tag_how *o, sm_tag_result *r)
{
    sm_source whole = whole_file(t);
    sm_outfile *out = NULL;
    r->mtime_ns = (int64_t)t->st.st_mtim.tv_sec * 1000000000 + t->st.st_mtim.tv_nsec;
    int err = writable(t);
    if (err == 0)
        err = invert(&whole, splice, &r->back);
    if (err == 0)
        err = hash_of(t->path, r->hash_before);
    if (err == 0)
        err = sm_outfile_open(t->path, &out);
    if (err == 0)
        err = apply(&whole, splice, sm_outfile_stream(out));
    if (err == 0)
        err = dress(sm_outfile_stream(out), &t->st, o->keep_mtime ? &r->mtime_ns : NULL);
    t->source.cached = 0; /* the two share a cache */
    if (err == 0)
        err = check_payload(t, sm_outfile_path(out));
    if (err == 0)
        err = hash_of(sm_outfile_path(out), r->hash_after);
    if (err == 0)
        err = same_file(t);
    if (err == 0 && o->before_commit)
        err = o->before_commit(o->user, t->path, r);
    if (err < 0) {
        sm_outfile_abandon(out);
        return err;
    }
    return sm_outfile_commit(out);
}

int sm_tag_write(const char *path, const sm_tag_edit *e, const sm_tag_how *o, sm_tag_result *out)
{
    target t;
    sm_tag_job j = { 0 };
    *out = (sm_tag_result){ 0 };
    int err = open_target(path, &t);
    if (err == 0) {
        err = plan(&t, e, &j, out);
        if (err == 0 && out->writes && !o->dry_run)
            err = write_new(&t, &j.splice, o, out);
        if (err < 0)
            sm_fail_prefix(err, "%s", path);
    }
    sm_splice_free(&j.splice);
    close_target(&t);
    return err;
}

int sm_tag_restore(const char *path, const sm_splice *back, const char *hash_before, const char *hash_after,
                   int64_t mtime_ns)
{
    char hash[33];
    target t = { .source = { .fd = -1 } };
    sm_outfile *out = NULL;
    int err = hash_of(path, hash);
    if (err < 0 || !strcmp(hash, hash_before))
        return err;
    if (strcmp(hash, hash_after) != 0)
        return sm_fail(SM_EIO, "%s: was changed since; its old tags cannot be put back", path);
    err = sm_source_open(path, &t.source, NULL);
    t.path = realpath(path, NULL);
    if (err == 0 && (!t.path || stat(t.path, &t.st) < 0))
        err = sm_fail(SM_EIO, "%s", strerror(errno));
    if (err == 0)
        err = writable(&t);
    if (err == 0)
        err = sm_outfile_open(t.path, &out);
    if (err == 0)
        err = apply(&t.source, back, sm_outfile_stream(out));
    if (err == 0)
        err = dress(sm_outfile_stream(out), &t.st, &mtime_ns);
    if (err == 0)
        err = hash_of(sm_outfile_path(out), hash);
    if (err == 0 && strcmp(hash, hash_before) != 0)
        err = sm_fail(SM_EFORMAT, "the journal does not lead back to the old bytes");
    if (err == 0)
        err = same_file(&t);
    if (err < 0) {
        sm_outfile_abandon(out);
        sm_fail_prefix(err, "%s", path);
    } else {
        err = sm_outfile_commit(out);
    }
    close_target(&t);
    return err;
}
