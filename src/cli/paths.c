/* Operands that are paths: lists of them, and folders. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"

/* Adds the records of a text: ended by zero bytes if there is one, else lines (CR LF too). Empty ones are left out. */
static int add_records(const char *text, size_t length, sm_strings *out)
{
    const bool zeros = length > 0 && memchr(text, 0, length) != NULL;
    int err = 0;

    for (size_t at = 0; err == 0 && at < length;) {
        const char *end = memchr(text + at, zeros ? 0 : '\n', length - at);
        const size_t next = end ? (size_t)(end - text) + 1 : length;
        size_t n = next - at - (end ? 1 : 0);
        if (!zeros && n > 0 && text[at + n - 1] == '\r')
            n--;
        if (n > 0)
            err = sm_strings_add_n(out, text + at, n);
        at = next;
    }
    return err;
}

#define LARGEST_LIST ((size_t)256 << 20)

static int add_list(const char *path, sm_strings *out)
{
    sm_buffer text = { 0 };
    int err = sm_file_read(path, LARGEST_LIST, &text);

    if (err == 0)
        err = add_records(text.data, text.length, out);
    sm_buffer_free(&text);
    return err;
}

int sm_cli_expand(char *const *operands, size_t n, sm_strings *out)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < n; i++) {
        if (strcmp(operands[i], "-") == 0)
            err = add_list("/dev/stdin", out);
        else if (operands[i][0] == '@')
            err = add_list(operands[i] + 1, out);
        else
            err = sm_strings_add(out, operands[i]);
    }
    return err;
}

/* One folder: its files go to *out, its folders to *folders, both sorted. */
static int walk_folder(const char *path, bool (*wanted)(const char *name), sm_strings *out, sm_strings *folders)
{
    const char *slash = path[strlen(path) - 1] == '/' ? "" : "/";
    sm_strings names = { 0 };
    int err = sm_list_directory(path, &names);

    for (size_t i = 0; err == 0 && i < names.length; i++) {
        const char *name = names.items[i];
        struct stat link, target;
        char *whole;

        if (name[0] == '.')
            continue;
        whole = sm_printf_new("%s%s%s", path, slash, name);
        if (!whole) {
            err = SM_ENOMEM;
            break;
        }
        /* what vanished meanwhile, and dangling links, are left out */
        if (lstat(whole, &link) == 0 && stat(whole, &target) == 0) {
            if (S_ISDIR(link.st_mode))
                err = sm_strings_add(folders, whole);
            else if (S_ISREG(target.st_mode) && wanted(name))
                err = sm_strings_add(out, whole);
        }
        sm_free(whole);
    }
    sm_strings_free(&names);
    return err;
}

int sm_cli_walk(const char *path, bool (*wanted)(const char *name), sm_strings *out)
{
    const size_t first = out->length;
    sm_strings folders = { 0 }, found = { 0 };
    int err = 0;

    if (!sm_is_directory(path))
        return sm_strings_add(out, path);
    err = sm_strings_add(&folders, path);
    /* a list, not recursion: a tree may be deeper than a stack; it grows while it is walked */
    for (size_t i = 0; err == 0 && i < folders.length; i++) {
        err = walk_folder(folders.items[i], wanted, &found, &folders);
        if (err < 0 && err != SM_ENOMEM && i > 0)
            err = 0; /* a folder below that may not be read does not hide the rest */
    }
    sm_strings_sort(&found);
    if (err == 0)
        err = sm_grow(&out->items, &out->capacity, first + found.length, sizeof *out->items);
    if (err == 0) {
        if (found.length)
            memcpy(out->items + first, found.items, found.length * sizeof *found.items);
        out->length = first + found.length;
        found.length = 0; /* moved */
    }
    sm_strings_free(&found);
    sm_strings_free(&folders);
    return err;
}
