/* Sounds that Debian packages carry, after a list of package, path, class, split, family, licence. What a package installed is
 * read from dpkg's own list (/var/lib/dpkg/info/PACKAGE.list), so that no folder is searched. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/dataset_parts.h"

enum { LARGEST_LIST = 64 << 20 };

typedef struct {
    sm_csv table;
    int package, path, label, split, family, licence;
} listing;

static int open_listing(const char *path, listing *out)
{
    static const char *const names[] = { "package", "path", "class", "split", "family", "licence" };
    int *const columns[] = { &out->package, &out->path, &out->label, &out->split, &out->family, &out->licence };
    const int err = sm_csv_read(path, &out->table);
    for (size_t i = 0; i < SM_LENGTH(names) && err == 0; i++)
        if ((*columns[i] = sm_csv_column(&out->table, names[i])) < 0 && i < 3)
            return sm_fail(SM_EFORMAT, "%s: has no column \"%s\"; package, path and class are needed", path, names[i]);
    return err;
}

/* A preset of a soundfont or of a synthesizer: left to the renderers. */
static bool is_preset(const char *path)
{
    return path && (strstr(path, "#bank") || strstr(path, "to be rendered"));
}

static bool is_package_name(const char *name)
{
    return name && *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == strlen(name) && *name != '.';
}

/* ---- what a package installed ---- */

typedef struct {
    char *name;
    sm_buffer text; /* its list, lines ended by zero bytes */
    bool installed;
} package;

static int read_package(const char *prefix, const char *name, package *out)
{
    /* packages of one architecture have it in the name of their list */
    static const char *const forms[] = { "%s/var/lib/dpkg/info/%s.list", "%s/var/lib/dpkg/info/%s:amd64.list",
                                         "%s/var/lib/dpkg/info/%s:arm64.list" };
    int err = SM_ENOTFOUND;
    *out = (package){ .name = sm_strdup(name) };
    if (!out->name)
        return SM_ENOMEM;
    for (size_t i = 0; i < SM_LENGTH(forms) && err == SM_ENOTFOUND; i++) {
        char *list = sm_printf_new(forms[i], prefix, name);
        err = list ? sm_file_read(list, LARGEST_LIST, &out->text) : SM_ENOMEM;
        sm_free(list);
    }
    out->installed = err == 0;
    for (size_t i = 0; i < out->text.length; i++)
        if (out->text.data[i] == '\n')
            out->text.data[i] = 0;
    return err == SM_ENOTFOUND || err == SM_EIO ? 0 : err;
}

static void free_package(package *p)
{
    sm_free(p->name);
    sm_buffer_free(&p->text);
    *p = (package){ 0 };
}

/* ---- rows to items ---- */

typedef struct {
    sm_dataset *d;
    const char *prefix;
    const sm_dataset_import_options *o;
    sm_dataset_result *out;
    sm_strings *missing;
    sm_arena *arena;
    sm_item *items;
    size_t n, capacity;
    package current;
} reading;

static int add_item(reading *r, const listing *l, size_t row, const char *label, const char *file)
{
    sm_item *i;
    if (sm_grow(&r->items, &r->capacity, r->n + 1, sizeof *r->items) < 0)
        return SM_ENOMEM;
    i = &r->items[r->n++];
    sm_item_init(i);
    i->root = *r->prefix ? r->prefix : "";
    i->path = sm_arena_strdup(r->arena, file + 1);
    i->original_name = i->path;
    i->label = label;
    i->label_from = "debian";
    i->confidence = 1;
    i->split = sm_csv_cell(&l->table, row, l->split);
    i->split_given = i->split != NULL;
    i->family = sm_csv_cell(&l->table, row, l->family);
    i->licence = sm_csv_cell(&l->table, row, l->licence);
    i->licence = i->licence ? i->licence : r->o->licence;
    i->source = sm_arena_printf(r->arena, "Debian %s", sm_csv_cell(&l->table, row, l->package));
    i->url = sm_arena_printf(r->arena, "https://packages.debian.org/%s", sm_csv_cell(&l->table, row, l->package));
    return i->path && i->source && i->url ? 0 : SM_ENOMEM;
}

static int match_row(reading *r, const listing *l, size_t row, const char *label)
{
    const char *pattern = sm_csv_cell(&l->table, row, l->path);
    const size_t before = r->n;
    regex_t expression;
    char why[128];
    int err = regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB);
    if (err != 0) {
        regerror(err, &expression, why, sizeof why);
        return sm_fail(SM_EFORMAT, "\"%s\" is no regular expression: %s", pattern, why);
    }
    const char *at = r->current.text.data, *end = at ? at + r->current.text.length : NULL;
    for (; at < end && err == 0; at += strlen(at) + 1)
        if (*at == '/' && regexec(&expression, at, 0, NULL, 0) == 0)
            err = add_item(r, l, row, label, at);
    regfree(&expression);
    if (err == 0 && r->n == before)
        err = sm_fail(SM_ENOTFOUND, "no file of %s matches \"%s\"", r->current.name, pattern);
    return err;
}

static int add_missing(sm_strings *missing, const char *name)
{
    for (size_t i = 0; i < missing->length; i++)
        if (!strcmp(missing->items[i], name))
            return 0;
    return sm_strings_add(missing, name);
}

static int read_row(reading *r, const listing *l, size_t row)
{
    const char *name = sm_csv_cell(&l->table, row, l->package);
    const char *path = sm_csv_cell(&l->table, row, l->path);
    const char *text = sm_csv_cell(&l->table, row, l->label), *label = NULL;
    int err = 0;
    if (is_preset(path))
        return 0;
    if (!is_package_name(name) || !path || !text)
        return sm_fail(SM_EFORMAT, "package, path and class are needed");
    if (!r->current.name || strcmp(r->current.name, name) != 0) {
        free_package(&r->current);
        err = read_package(r->prefix, name, &r->current);
    }
    if (err == 0 && !r->current.installed) {
        r->out->missing++;
        return add_missing(r->missing, name);
    }
    if (err == 0)
        err = ds_class(text, &label);
    return err < 0 ? err : match_row(r, l, row, label);
}

int sm_dataset_debian(sm_dataset *d, const char *list, const char *prefix, const sm_dataset_import_options *o,
                      sm_strings *missing, sm_dataset_result *out)
{
    listing l = { 0 };
    reading r = { .d = d, .o = o, .out = out, .missing = missing, .arena = sm_arena_new() };
    int err = r.arena ? ds_writable(d) : SM_ENOMEM;
    *out = (sm_dataset_result){ 0 };
    r.prefix = prefix && strcmp(prefix, "/") != 0 ? prefix : "";
    if (err == 0)
        err = open_listing(list, &l);
    for (size_t row = 0; err == 0 && row < l.table.rows; row++) {
        char where[64];
        err = read_row(&r, &l, row);
        if (err == SM_EFORMAT || err == SM_EUSAGE || err == SM_ENOTFOUND) {
            snprintf(where, sizeof where, "line %zu", l.table.lines[row]);
            ds_problem(&o->work, out, where, sm_last_error());
            err = 0;
        }
    }
    if (err == 0)
        err = ds_take(d, r.items, r.n, &o->work, o->again, out);
    free_package(&r.current);
    sm_free(r.items);
    sm_csv_free(&l.table);
    sm_arena_free(r.arena);
    return err;
}

/* ---- presets ---- */

typedef struct {
    sm_arena *arena;
    sm_dataset_preset *list;
    size_t n, capacity;
    const char *prefix;
    package current;
} preset_list;

/* Adds one preset of each program of "16-21,23". */
static int add_programs(preset_list *l, const sm_dataset_preset *like, const char *programs)
{
    for (const char *at = programs; *at;) {
        char *end = NULL;
        const long first = strtol(at, &end, 10);
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        if (end == at || first < 0 || last < first || last > 127 || (*end && *end != ','))
            return sm_fail(SM_EFORMAT, "\"%s\" are no programs: 0-127 were expected, as 16-21,23", programs);
        for (long program = first; program <= last; program++) {
            if (sm_grow(&l->list, &l->capacity, l->n + 1, sizeof *l->list) < 0)
                return SM_ENOMEM;
            l->list[l->n] = *like;
            l->list[l->n++].program = (int)program;
        }
        at = *end ? end + 1 : end;
    }
    return 0;
}

/* Every soundfont that the part before "#" means: files of the package that match it as an expression, or, of a package that is
 * not installed, the expression itself. */
static int add_fonts(preset_list *l, sm_dataset_preset *like, const char *pattern, const char *programs)
{
    regex_t expression;
    size_t found = 0;
    int err = regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB);
    if (err != 0)
        return sm_fail(SM_EFORMAT, "\"%s\" is no regular expression", pattern);
    const char *at = l->current.text.data, *end = at ? at + l->current.text.length : NULL;
    for (; at < end && err == 0; at += strlen(at) + 1) {
        if (*at != '/' || regexec(&expression, at, 0, NULL, 0) != 0)
            continue;
        like->file = sm_arena_printf(l->arena, "%s%s", l->prefix, at);
        like->installed = like->file && access(like->file, R_OK) == 0;
        err = like->file ? add_programs(l, like, programs) : SM_ENOMEM;
        found++;
    }
    regfree(&expression);
    if (err == 0 && found == 0) {
        like->file = sm_arena_strdup(l->arena, pattern);
        err = like->file ? add_programs(l, like, programs) : SM_ENOMEM;
    }
    return err;
}

static int add_preset_row(preset_list *l, const listing *t, size_t row, const char *path)
{
    const char *mark = strstr(path, "#bank");
    const char *name = sm_csv_cell(&t->table, row, t->package);
    const char *const cells[] = { name, sm_csv_cell(&t->table, row, t->label), sm_csv_cell(&t->table, row, t->split),
                                  sm_csv_cell(&t->table, row, t->family), sm_csv_cell(&t->table, row, t->licence) };
    sm_dataset_preset like = { 0 };
    const char **const to[] = { &like.package, &like.label, &like.split, &like.family, &like.licence };
    char *rest = NULL;
    int err = is_package_name(name) ? 0 : sm_fail(SM_EFORMAT, "has no package");
    for (size_t i = 0; i < SM_LENGTH(cells) && err == 0; i++)
        if (cells[i] && !(*to[i] = sm_arena_strdup(l->arena, cells[i])))
            err = SM_ENOMEM;
    like.bank = (int)strtol(mark + 5, &rest, 10);
    /* the drum bank has a note for each sound, and the note says the class */
    const bool drums = like.bank == 128;
    if (drums || !like.label)
        like.label = "";
    else if (err == 0)
        err = ds_class(like.label, &like.label);
    if (err == 0 && strncmp(rest, ":program", 8) != 0 && !(drums && !*rest))
        err = sm_fail(SM_EFORMAT, "\"%s\": FILE.sf2#bankN:programN was expected", path);
    if (err == 0 && (!l->current.name || strcmp(l->current.name, name) != 0)) {
        free_package(&l->current);
        err = read_package(l->prefix, name, &l->current);
    }
    char *pattern = err == 0 ? sm_arena_strndup(l->arena, path, (size_t)(mark - path)) : NULL;
    if (err == 0)
        err = pattern ? add_fonts(l, &like, pattern, *rest ? rest + 8 : "0") : SM_ENOMEM;
    return err;
}

int sm_dataset_debian_presets(const char *list, const char *prefix, sm_arena *a, sm_dataset_preset **out, size_t *n)
{
    listing t = { 0 };
    preset_list l = { .arena = a, .prefix = prefix && strcmp(prefix, "/") != 0 ? prefix : "" };
    int err = open_listing(list, &t);
    *out = NULL;
    *n = 0;
    for (size_t row = 0; err == 0 && row < t.table.rows; row++) {
        const char *path = sm_csv_cell(&t.table, row, t.path);
        if (!path || !strstr(path, "#bank"))
            continue;
        err = add_preset_row(&l, &t, row, path);
        if (err < 0 && err != SM_ENOMEM)
            err = sm_fail_prefix(err, "%s: line %zu", list, t.table.lines[row]);
    }
    if (err == 0 && !(*out = sm_arena_get(a, SM_MAX(l.n, 1), sizeof **out, 16)))
        err = SM_ENOMEM;
    if (err == 0) {
        if (l.n > 0)
            memcpy(*out, l.list, l.n * sizeof **out);
        *n = l.n;
    }
    sm_free(l.list);
    free_package(&l.current);
    sm_csv_free(&t.table);
    return err;
}
