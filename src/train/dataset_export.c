/* The dataset handed on: as a table, or as a tree of files. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "train/dataset_parts.h"

/* ---- tables ---- */

static void csv_text(FILE *out, const char *text, char before)
{
    if (before)
        putc(before, out);
    if (!text)
        return;
    if (!text[strcspn(text, ",\"\r\n")] && *text != ' ') {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void csv_number(FILE *out, double value)
{
    char text[32] = "";
    if (isfinite(value))
        sm_format_f64(value, text);
    fprintf(out, ",%s", text);
}

static const char heading[] = "path,class,split,family,source,licence,original_name,attribution,url,label_from,"
                              "confidence,verified,random_split,genre,mood,energy,pitch_midi,brightness,extra\n";

static void csv_row(FILE *out, const sm_item *i, const char *path)
{
    const char *const first[] = { i->label,         i->split,       i->family, i->source,    i->licence,
                                  i->original_name, i->attribution, i->url,    i->label_from };
    csv_text(out, path, 0);
    for (size_t k = 0; k < SM_LENGTH(first); k++)
        csv_text(out, first[k], ',');
    csv_number(out, i->label ? i->confidence : (double)NAN);
    fprintf(out, ",%d", i->verified);
    csv_text(out, i->random_split, ',');
    csv_text(out, i->genre, ',');
    csv_text(out, i->mood, ',');
    csv_number(out, i->energy);
    csv_number(out, i->pitch_midi);
    csv_number(out, i->brightness);
    csv_text(out, i->extra, ',');
    putc('\n', out);
}

typedef struct {
    FILE *out;
    char *folder; /* of the table, absolute; paths below it are written without it */
    int64_t rows;
} table;

static int write_row(void *user, const sm_item *i)
{
    table *t = user;
    char *file = sm_item_file(i);
    const size_t n = t->folder ? strlen(t->folder) : 0;
    if (!file)
        return SM_ENOMEM;
    const bool below = n > 0 && !strncmp(file, t->folder, n) && file[n] == '/';
    csv_row(t->out, i, below ? file + n + 1 : file);
    sm_free(file);
    t->rows++;
    return ferror(t->out) ? sm_fail(SM_EIO, "the table could not be written: %s", strerror(errno)) : 0;
}

/* The folder that a file will lie in, absolute, or NULL. */
static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *folder = slash ? sm_strndup(file, SM_MAX((size_t)(slash - file), 1)) : sm_strdup(".");
    char *real = NULL;
    if (folder && ds_absolute(folder, &real) < 0)
        sm_clear_error();
    sm_free(folder);
    return real;
}

int sm_dataset_export_csv(sm_dataset *d, const sm_dataset_filter *f, const char *file, int64_t *rows)
{
    sm_outfile *out = NULL;
    table t = { 0 };
    int err = sm_outfile_open(file, &out);
    *rows = 0;
    if (err == 0) {
        t.out = sm_outfile_stream(out);
        t.folder = folder_of(file);
        fputs(heading, t.out);
        err = sm_dataset_each(d, f, write_row, &t);
    }
    if (err == 0)
        err = sm_outfile_commit(out);
    else
        sm_outfile_abandon(out);
    sm_free(t.folder);
    *rows = err == 0 ? t.rows : 0;
    return err;
}

/* ---- trees ---- */

static int copy_file(const char *from, const char *to)
{
    sm_map *map = NULL;
    sm_outfile *out = NULL;
    int err = sm_map_open(from, &map);
    if (err == 0)
        err = sm_outfile_open(to, &out);
    if (err == 0 && sm_map_size(map) > 0 &&
        fwrite(sm_map_data(map), 1, sm_map_size(map), sm_outfile_stream(out)) != sm_map_size(map)) {
        err = sm_fail(SM_EIO, "%s: %s", to, strerror(errno));
        sm_outfile_abandon(out);
    } else if (err == 0) {
        err = sm_outfile_commit(out);
    }
    sm_map_close(map);
    return err;
}

static int place_file(const char *from, const char *to, sm_dataset_export_kind kind)
{
    if (access(from, R_OK) != 0)
        return sm_fail(SM_ENOTFOUND, "%s: %s", from, strerror(errno));
    if (kind == SM_DATASET_COPY)
        return copy_file(from, to);
    if ((kind == SM_DATASET_LINK ? symlink(from, to) : link(from, to)) == 0)
        return 0;
    if (kind == SM_DATASET_HARDLINK && errno == EXDEV)
        return sm_fail(SM_EUSAGE, "%s: lies on another disk; a hard link cannot reach it: use a copy or a link", from);
    return sm_fail(SM_EIO, "%s: %s", to, strerror(errno));
}

/* "CLASS/NAME.wav", with the id where another has taken the name: ids do not change, so neither do names. */
static char *name_in_tree(sm_arena *a, const sm_item *i, const char *folder, bool with_id)
{
    const char *file = sm_path_name(i->path), *dot = strrchr(file, '.');
    const int n = (int)(dot && dot > file ? (size_t)(dot - file) : strlen(file));
    const char *class = i->label ? i->label : "unlabelled";
    return with_id ? sm_arena_printf(a, "%s/%s/%.*s_%lld%s", folder, class, n, file, (long long)i->id, file + n)
                   : sm_arena_printf(a, "%s/%s/%s", folder, class, file);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct {
    sm_item *items;
    char **names; /* [n] in the tree; NULL: the file is gone */
    size_t n;
    sm_arena *arena;
} tree;

/* Every name once: those that several would take get their ids. */
static int name_all(tree *t, const char *folder)
{
    char **sorted = sm_arena_get(t->arena, SM_MAX(t->n, 1), sizeof *sorted, 16);
    t->names = sm_arena_zero(t->arena, SM_MAX(t->n, 1), sizeof *t->names);
    if (!sorted || !t->names)
        return SM_ENOMEM;
    for (size_t i = 0; i < t->n; i++)
        if (!(sorted[i] = t->names[i] = name_in_tree(t->arena, &t->items[i], folder, false)))
            return SM_ENOMEM;
    if (t->n > 0)
        qsort(sorted, t->n, sizeof *sorted, by_name);
    for (size_t i = 0; i < t->n; i++) {
        char *const *found = bsearch(&t->names[i], sorted, t->n, sizeof *sorted, by_name);
        const size_t at = (size_t)(found - sorted);
        const bool shared =
            (at > 0 && !strcmp(sorted[at - 1], *found)) || (at + 1 < t->n && !strcmp(sorted[at + 1], *found));
        if (shared && !(t->names[i] = name_in_tree(t->arena, &t->items[i], folder, true)))
            return SM_ENOMEM;
    }
    return 0;
}

static int write_table(const tree *t, const char *folder, int64_t *rows)
{
    char *path = sm_printf_new("%s/labels.csv", folder);
    sm_outfile *out = NULL;
    int err = path ? sm_outfile_open(path, &out) : SM_ENOMEM;
    if (err == 0) {
        fputs(heading, sm_outfile_stream(out));
        for (size_t i = 0; i < t->n; i++)
            if (t->names[i]) {
                csv_row(sm_outfile_stream(out), &t->items[i], t->names[i] + strlen(folder) + 1);
                ++*rows;
            }
        err = sm_outfile_commit(out);
    }
    sm_free(path);
    return err;
}

static int write_attribution(sm_dataset *d, const sm_dataset_filter *f, const char *folder)
{
    char *path = sm_printf_new("%s/ATTRIBUTION.txt", folder);
    sm_buffer text = { 0 };
    sm_outfile *out = NULL;
    int err = path ? sm_dataset_attribution(d, f, &text) : SM_ENOMEM;
    if (err == 0)
        err = sm_outfile_open(path, &out);
    if (err == 0) {
        if (text.length)
            fwrite(text.data, 1, text.length, sm_outfile_stream(out));
        err = sm_outfile_commit(out);
    }
    sm_buffer_free(&text);
    sm_free(path);
    return err;
}

static int place_all(tree *t, char *const *sources, sm_dataset_export_kind kind, const sm_dataset_work *work)
{
    int err = 0;
    for (size_t i = 0; i < t->n && err == 0; i++) {
        if (i % 16 == 0)
            err = ds_progress(work, sources[i], (double)i, (double)t->n, "files");
        char *folder = err == 0 ? sm_strndup(t->names[i], (size_t)(strrchr(t->names[i], '/') - t->names[i])) : NULL;
        if (err == 0)
            err = folder ? sm_make_directories(folder) : SM_ENOMEM;
        sm_free(folder);
        if (err == 0 && access(t->names[i], F_OK) != 0 &&
            (err = place_file(sources[i], t->names[i], kind)) == SM_ENOTFOUND) {
            ds_problem(work, NULL, sources[i], "is not there any more");
            t->names[i] = NULL;
            err = 0;
        }
    }
    return err;
}

int sm_dataset_export_folder(sm_dataset *d, const sm_dataset_filter *f, const char *folder, sm_dataset_export_kind kind,
                             const sm_dataset_work *work, int64_t *files)
{
    tree t = { .arena = sm_arena_new() };
    char **sources = NULL;
    int err = t.arena ? sm_dataset_list(d, f, t.arena, &t.items, &t.n) : SM_ENOMEM;
    *files = 0;
    if (err == 0)
        err = sm_make_directories(folder);
    if (err == 0 && !(sources = sm_arena_zero(t.arena, SM_MAX(t.n, 1), sizeof *sources)))
        err = SM_ENOMEM;
    for (size_t i = 0; i < t.n && err == 0; i++)
        err = (sources[i] = sm_arena_printf(t.arena, "%s/%s", t.items[i].root, t.items[i].path)) ? 0 : SM_ENOMEM;
    if (err == 0)
        err = name_all(&t, folder);
    if (err == 0)
        err = place_all(&t, sources, kind, work);
    if (err == 0)
        err = write_table(&t, folder, files);
    if (err == 0)
        err = write_attribution(d, f, folder);
    sm_arena_free(t.arena);
    return err;
}
