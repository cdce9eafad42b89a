/* All but the keepers out of the way, into a folder. */
#include <stdlib.h>
#include <string.h>

#include "library/dupes.h"
#include "library/moves.h"

/* Bytes of the folder that all of them lie in, with its last "/". */
static size_t common_folder(const sm_strings *paths)
{
    const char *first = paths->items[0];
    size_t n = (size_t)(sm_path_name(first) - first);
    for (size_t i = 1; i < paths->length; i++) {
        size_t same = 0;
        while (same < n && paths->items[i][same] == first[same])
            same++;
        while (same > 0 && first[same - 1] != '/')
            same--;
        n = same;
    }
    return n;
}

/* Absolute, as the file system names it. The folder need not be there yet. */
static int absolute_path(const char *path, sm_strings *out)
{
    char *real = realpath(path, NULL); /* memory of the C library */
    const int err = real ? sm_strings_add(out, real) : sm_fail(SM_ENOTFOUND, "%s: is not there any more", path);
    free(real);
    return err;
}

static int list_moves(const sm_dupes *d, const char *folder, sm_strings *from, sm_strings *to)
{
    sm_strings root = { 0 };
    int err = absolute_path(folder, &root);
    for (size_t i = 0, n = 0; err == 0 && i < sm_dupes_groups(d); i++) {
        const sm_dupe_file *f = sm_dupes_group(d, i, &n);
        for (size_t k = 1; err == 0 && k < n; k++) {
            err = absolute_path(f[k].path, from);
            if (err == SM_ENOTFOUND)
                err = 0;
        }
    }
    const size_t common = err == 0 && from->length > 0 ? common_folder(from) : 0;
    for (size_t i = 0; err == 0 && i < from->length; i++) {
        char *target = sm_printf_new("%s/%s", strcmp(root.items[0], "/") ? root.items[0] : "", from->items[i] + common);
        err = target ? sm_strings_add(to, target) : SM_ENOMEM;
        sm_free(target);
    }
    sm_strings_free(&root);
    return err;
}

int sm_dupes_move(const sm_dupes *d, const char *library, const char *folder, int plan, sm_moves *m)
{
    sm_strings from = { 0 }, to = { 0 };
    sm_store *s = NULL;
    m->moved = m->failed = 0;
    int err = sm_make_directories(folder);
    if (err == 0)
        err = list_moves(d, folder, &from, &to);
    for (size_t i = 0; plan && err == 0 && m->told && i < from.length; i++)
        m->told(m->user, from.items[i], to.items[i]);
    if (err == 0 && !plan)
        err = sm_store_open(library, SM_STORE_CREATE, &s);
    if (err == 0 && !plan)
        err = sm_moves_run(s, "dupes", &from, &to, m);
    sm_store_close(s);
    sm_strings_free(&from);
    sm_strings_free(&to);
    return err;
}
