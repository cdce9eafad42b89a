/* What commands of the library share: which sounds they work on, and small forms of output. */
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

/* ---- which sounds ---- */

typedef struct {
    const sm_strings *among; /* sorted, absolute; NULL: all */
    sm_strings *out;
} found_walk;

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int take_found(void *user, const char *path)
{
    const found_walk *w = user;
    if (w->among && !bsearch(&path, w->among->items, w->among->length, sizeof *w->among->items, by_text))
        return 0;
    return sm_strings_add(w->out, path);
}

static int absolute(const sm_strings *files, sm_strings *out)
{
    int err = 0;
    for (size_t i = 0; i < files->length && err == 0; i++) {
        char *real = realpath(files->items[i], NULL); /* memory of the C library */
        err = sm_strings_add(out, real ? real : files->items[i]);
        free(real);
    }
    if (err == 0)
        sm_strings_sort(out);
    return err;
}

int sm_cli_open_library(const sm_cli *cli, sm_library **out)
{
    const int err = sm_library_open(cli->common.library, SM_LIBRARY_WRITE, out);
    return err == SM_EIO ? sm_library_open(cli->common.library, SM_LIBRARY_READ, out) : err;
}

static int find(sm_cli *cli, const char *where, const sm_strings *among, sm_strings *out)
{
    sm_library *l = NULL;
    found_walk w = { among, out };
    int err = sm_cli_open_library(cli, &l);
    if (err == 0)
        err = sm_library_each_found(l, where, take_found, &w);
    sm_library_close(l);
    return err;
}

int sm_cli_sounds(sm_cli *cli, char *const *operands, size_t n, const char *where, sm_strings *files, size_t *problems)
{
    sm_strings walked = { 0 }, among = { 0 }, bad = { 0 };
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        const size_t before = walked.length + files->length + bad.length;
        err = sm_walk(operands[i], where ? &walked : files, &bad);
        if (err == 0 && walked.length + files->length + bad.length == before)
            sm_cli_warn(cli, "%s: no sounds in this folder", operands[i]);
    }
    for (size_t i = 0; i < bad.length; i++)
        sm_cli_error(cli, "%s", bad.items[i]);
    *problems = bad.length;
    if (err == 0 && where && n > 0)
        err = absolute(&walked, &among);
    if (err == 0 && where)
        err = find(cli, where, n > 0 ? &among : NULL, files);
    if (err == 0 && where && files->length == 0)
        sm_cli_warn(cli, "the query finds nothing%s", n > 0 ? " among these files" : "");
    sm_strings_free(&walked);
    sm_strings_free(&among);
    sm_strings_free(&bad);
    return err;
}

int sm_cli_each(sm_cli *cli, const sm_strings *files, size_t problems, sm_cli_each_fn each, void *user)
{
    size_t failed = 0;
    for (size_t i = 0; i < files->length; i++) {
        const int err = each(user, cli, files->items[i]);
        if (err == SM_ECANCELLED || err == SM_ENOMEM)
            return err;
        if (err < 0) {
            sm_cli_error(cli, "%s", sm_last_error());
            failed++;
        }
    }
    return sm_exit_of_batch(files->length - failed, failed + problems);
}

/* ---- changes ---- */

int sm_cli_change(sm_cli *cli, const sm_strings *files, size_t problems, sm_cli_change_fn change, void *user,
                  const char *done_words)
{
    sm_library *l = NULL;
    size_t done = 0, failed = problems;
    int err = sm_library_open(cli->common.library, SM_LIBRARY_WRITE, &l);
    sm_cancel_install();
    for (size_t i = 0; i < files->length && err == 0 && !sm_cancelled(); i++) {
        const int changed = change(user, l, files->items[i]);
        if (changed == SM_EUSAGE || changed == SM_ENOMEM || changed == SM_EIO)
            err = changed; /* it would be the same for all */
        else if (changed < 0) {
            sm_cli_error(cli, "%s", sm_last_error());
            failed++;
        } else
            done++;
    }
    sm_library_close(l);
    if (err < 0)
        return err;
    sm_cli_warn(cli, "%zu file%s %s", done, done == 1 ? "" : "s", done_words);
    return sm_cancelled() ? SM_EXIT_INTERRUPTED : sm_exit_of_batch(done, failed);
}

/* ---- output ---- */

void sm_cli_csv(FILE *out, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

int sm_cli_put(sm_cli *cli, sm_buffer *text)
{
    const int err = text->failed ? sm_fail(SM_ENOMEM, "no memory for the result") : 0;
    if (err == 0 && text->length > 0)
        fwrite(text->data, 1, text->length, cli->out);
    sm_buffer_free(text);
    return err;
}
