/* Folders and tables into the dataset. */
#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/engine.h"
#include "train/dataset_parts.h"
#include "train/words.h"

/* ---- folders ---- */

/* "Kick Deep 01 v2.wav" -> "kick deep": what takes of one sound have in common. */
static char *stem_of(sm_arena *a, const char *path)
{
    const char *file = sm_path_name(path), *dot = strrchr(file, '.');
    const size_t n = dot && dot > file ? (size_t)(dot - file) : strlen(file);
    char *stem = sm_arena_strndup(a, file, n);
    size_t fill = 0;
    for (size_t i = 0; stem && i < n; i++) {
        const bool letter = isalpha((unsigned char)file[i]) || (unsigned char)file[i] >= 0x80;
        if (letter)
            stem[fill++] = (char)tolower((unsigned char)file[i]);
        else if (fill > 0 && stem[fill - 1] != ' ')
            stem[fill++] = ' ';
    }
    while (fill > 0 && stem && stem[fill - 1] == ' ')
        fill--;
    if (stem)
        stem[fill] = 0;
    return stem;
}

/* The pack that a file is of: the first folder below the import, unless that names a class; then what its takes have in common. */
static const char *family_of(sm_arena *a, const sm_words *w, const char *source, const char *path)
{
    const char *slash = strchr(path, '/');
    const char *first = slash ? sm_arena_strndup(a, path, (size_t)(slash - path)) : NULL;
    if (slash && !first)
        return NULL;
    if (first && !sm_words_is_class(w, first))
        return sm_arena_printf(a, "%s/%s", source, first);
    const char *stem = stem_of(a, path);
    if (!stem)
        return NULL;
    return first ? sm_arena_printf(a, "%s/%s/%s", source, first, stem) : sm_arena_printf(a, "%s/%s", source, stem);
}

/* The nearest folder, or the root's own name: the class where classes are the user's own. */
static const char *folder_of(sm_arena *a, const char *root, const char *path)
{
    const char *file = sm_path_name(path);
    if (file == path)
        return sm_arena_strdup(a, sm_path_name(root));
    const char *end = file - 1, *start = end;
    while (start > path && start[-1] != '/')
        start--;
    return sm_arena_strndup(a, start, (size_t)(end - start));
}

static int label_item(const sm_dataset_import_options *o, const sm_words *w, sm_arena *a, sm_item *i)
{
    sm_word_label found;
    char *named;
    if (o->label || o->own_classes) {
        i->label = o->label ? o->label : folder_of(a, i->root, i->path);
        i->label_from = o->label ? "user" : "folder";
        i->confidence = 1;
        return i->label ? 0 : SM_ENOMEM;
    }
    /* the imported folder's own name counts as the outermost folder */
    named = sm_arena_printf(a, "%s/%s", sm_path_name(i->root), i->path);
    if (!named)
        return SM_ENOMEM;
    sm_words_label(w, named, &found);
    i->label = found.label;
    i->label_from = found.from;
    i->confidence = found.confidence;
    return 0;
}

static int fill_item(const sm_dataset_import_options *o, const sm_words *w, sm_arena *a, const char *root,
                     const char *path, sm_item *i)
{
    sm_item_init(i);
    i->root = root;
    i->path = sm_arena_strdup(a, path);
    i->original_name = i->path;
    i->source = o->source ? o->source : sm_path_name(root);
    i->licence = o->licence;
    i->attribution = o->attribution;
    i->url = o->url;
    i->split = o->split;
    i->split_given = o->split != NULL;
    if (!i->path || !(i->family = o->family ? o->family : family_of(a, w, i->source, i->path)))
        return SM_ENOMEM;
    return label_item(o, w, a, i);
}

static int import_files(sm_dataset *d, const char *root, const sm_strings *files, const sm_dataset_import_options *o,
                        sm_arena *a, sm_dataset_result *out)
{
    sm_words *w = NULL;
    sm_item *items = sm_arena_get(a, SM_MAX(files->length, 1), sizeof *items, 16);
    const size_t skip = strlen(root) + (strcmp(root, "/") != 0);
    int err = items ? sm_words_new(&w) : SM_ENOMEM;
    for (size_t i = 0; i < files->length && err == 0; i++)
        err = fill_item(o, w, a, root, files->items[i] + skip, &items[i]);
    if (err == 0)
        err = ds_take(d, items, files->length, &o->work, o->again, out);
    sm_words_free(w);
    return err;
}

/* A folder, or one file. */
static int import_folder(sm_dataset *d, const char *path, const sm_dataset_import_options *o, sm_dataset_result *out)
{
    sm_strings files = { 0 }, problems = { 0 };
    sm_arena *a = sm_arena_new();
    char *real = NULL, *root = NULL;
    int err = a ? ds_absolute(path, &real) : SM_ENOMEM;
    if (err == 0)
        err = sm_walk(real, &files, &problems);
    if (err == 0) {
        const char *slash = strrchr(real, '/');
        root = sm_is_directory(real) ? sm_strdup(real) : sm_strndup(real, SM_MAX((size_t)(slash - real), 1));
        err = root ? 0 : SM_ENOMEM;
    }
    for (size_t i = 0; i < problems.length && err == 0; i++)
        ds_problem(&o->work, out, path, problems.items[i]);
    if (err == 0 && files.length == 0 && problems.length == 0)
        err = sm_fail(SM_ENOTFOUND, "%s: holds no sound files", path);
    if (err == 0)
        err = import_files(d, root, &files, o, a, out);
    sm_free(root);
    sm_free(real);
    sm_strings_free(&files);
    sm_strings_free(&problems);
    sm_arena_free(a);
    return err;
}

/* ---- tables ---- */

typedef enum { CELL_TEXT, CELL_NUMBER, CELL_FLAG } cell_type;
typedef struct {
    const char *name;
    cell_type type;
    size_t offset;
} cell_rule;
static const cell_rule cells[] = {
    { "class", CELL_TEXT, offsetof(sm_item, label) },
    { "label", CELL_TEXT, offsetof(sm_item, label) },
    { "label_from", CELL_TEXT, offsetof(sm_item, label_from) },
    { "confidence", CELL_NUMBER, offsetof(sm_item, confidence) },
    { "verified", CELL_FLAG, offsetof(sm_item, verified) },
    { "rejected", CELL_FLAG, offsetof(sm_item, rejected) },
    { "split", CELL_TEXT, offsetof(sm_item, split) },
    { "random_split", CELL_TEXT, offsetof(sm_item, random_split) },
    { "family", CELL_TEXT, offsetof(sm_item, family) },
    { "source", CELL_TEXT, offsetof(sm_item, source) },
    { "licence", CELL_TEXT, offsetof(sm_item, licence) },
    { "license", CELL_TEXT, offsetof(sm_item, licence) },
    { "attribution", CELL_TEXT, offsetof(sm_item, attribution) },
    { "url", CELL_TEXT, offsetof(sm_item, url) },
    { "original_name", CELL_TEXT, offsetof(sm_item, original_name) },
    { "genre", CELL_TEXT, offsetof(sm_item, genre) },
    { "mood", CELL_TEXT, offsetof(sm_item, mood) },
    { "energy", CELL_NUMBER, offsetof(sm_item, energy) },
    { "pitch_midi", CELL_NUMBER, offsetof(sm_item, pitch_midi) },
    { "brightness", CELL_NUMBER, offsetof(sm_item, brightness) },
    { "extra", CELL_TEXT, offsetof(sm_item, extra) },
};

static int take_cell(const cell_rule *rule, const char *text, sm_item *i)
{
    void *value = (char *)i + rule->offset;
    double number;
    switch (rule->type) {
    case CELL_TEXT:
        *(const char **)value = text;
        return 0;
    case CELL_FLAG:
        *(bool *)value = !strcmp(text, "1") || !strcmp(text, "true") || !strcmp(text, "yes");
        return 0;
    case CELL_NUMBER:
        if (!sm_parse_double(text, &number))
            return sm_fail(SM_EFORMAT, "%s is \"%s\"; a number was expected", rule->name, text);
        *(double *)value = number;
        return 0;
    }
    return 0;
}

static bool is_split(const char *s)
{
    return !s || !strcmp(s, "train") || !strcmp(s, "val") || !strcmp(s, "test");
}

/* What a row says; options fill what it does not say. */
static int read_row(const sm_csv *t, size_t row, const int columns[SM_LENGTH(cells)],
                    const sm_dataset_import_options *o, sm_item *i)
{
    int err = 0;
    i->confidence = -1;
    for (size_t c = 0; c < SM_LENGTH(cells) && err == 0; c++) {
        const char *text = sm_csv_cell(t, row, columns[c]);
        if (text)
            err = take_cell(&cells[c], text, i);
    }
    if (err == 0 && !is_split(i->split))
        err = sm_fail(SM_EFORMAT, "split is \"%s\"; train, val or test was expected", i->split);
    if (err == 0 && i->label && !o->own_classes)
        err = ds_class(i->label, &i->label);
    if (!i->label)
        i->label = o->label;
    if (i->label && !i->label_from)
        i->label_from = "csv";
    if (i->confidence < 0 || !i->label)
        i->confidence = i->label ? 1 : 0;
    i->confidence = SM_MIN(i->confidence, 1);
    i->split_given = i->split != NULL;
    i->source = i->source ? i->source : o->source;
    i->licence = i->licence ? i->licence : o->licence;
    i->attribution = i->attribution ? i->attribution : o->attribution;
    i->url = i->url ? i->url : o->url;
    i->family = i->family ? i->family : o->family ? o->family : i->source;
    return err;
}

static int read_rows(const sm_csv *t, const char *root, const char *file, const sm_dataset_import_options *o,
                     sm_item *items, size_t *n, sm_dataset_result *out)
{
    int columns[SM_LENGTH(cells)];
    const int path = sm_csv_column(t, "path");
    for (size_t c = 0; c < SM_LENGTH(cells); c++)
        columns[c] = sm_csv_column(t, cells[c].name);
    if (path < 0 || (columns[0] < 0 && columns[1] < 0))
        return sm_fail(SM_EFORMAT, "%s: has no column \"%s\"; path and class are needed", file,
                       path < 0 ? "path" : "class");
    for (size_t row = 0; row < t->rows; row++) {
        sm_item *i = &items[*n];
        char where[64];
        sm_item_init(i);
        i->path = sm_csv_cell(t, row, path);
        i->root = i->path && *i->path == '/' ? "" : root;
        if (i->path && *i->path == '/')
            i->path++;
        const int err = i->path ? read_row(t, row, columns, o, i) : sm_fail(SM_EFORMAT, "has no path");
        if (err == SM_ENOMEM)
            return err;
        snprintf(where, sizeof where, "line %zu", t->lines[row]);
        if (err < 0)
            ds_problem(&o->work, out, where, sm_last_error());
        else
            ++*n;
    }
    return 0;
}

static int import_table(sm_dataset *d, const char *path, const sm_dataset_import_options *o, sm_dataset_result *out)
{
    sm_csv t = { 0 };
    char *real = NULL;
    size_t n = 0;
    sm_item *items = NULL;
    int err = ds_absolute(path, &real);
    if (err == 0)
        err = sm_csv_read(path, &t);
    if (err == 0) {
        *(strrchr(real, '/') == real ? real + 1 : strrchr(real, '/')) = 0;
        items = sm_arena_get(t.arena, SM_MAX(t.rows, 1), sizeof *items, 16);
        err = items ? read_rows(&t, real, path, o, items, &n, out) : SM_ENOMEM;
    }
    if (err == 0)
        err = ds_take(d, items, n, &o->work, o->again, out);
    sm_csv_free(&t);
    sm_free(real);
    return err;
}

int sm_dataset_import(sm_dataset *d, const char *path, const sm_dataset_import_options *o, sm_dataset_result *out)
{
    struct stat s;
    int err = 0;
    *out = (sm_dataset_result){ 0 };
    if (o->label && !o->own_classes) {
        const char *label;
        err = ds_class(o->label, &label);
    }
    if (err < 0)
        return err;
    const bool table = sm_text_has_suffix(path, ".csv") && stat(path, &s) == 0 && S_ISREG(s.st_mode);
    return table ? import_table(d, path, o, out) : import_folder(d, path, o, out);
}
