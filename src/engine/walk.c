/* Which files a path means: itself, or every sound below a folder. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/engine.h"

enum { WALK_DEPTH = 64 };

/* Endings that a folder is searched for. A file that is named directly is always tried: content decides, not the name. */
static const char *const endings[] = { ".wav",  ".wave", ".w64",  ".rf64", ".bwf", ".aif", ".aiff",
                                       ".aifc", ".caf",  ".flac", ".mp3",  ".ogg", ".oga", ".opus",
                                       ".m4a",  ".mp4",  ".aac",  ".alac", ".au",  ".snd" };

bool sm_is_sound_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < SM_LENGTH(endings); i++)
        if (!strcasecmp(dot, endings[i]))
            return true;
    return false;
}

/* The folders between the root and here, so that a loop of symbolic links ends. */
typedef struct folder {
    const struct folder *parent;
    dev_t device;
    ino_t inode;
    int depth;
} folder;

static bool is_ancestor(const folder *f, const struct stat *s)
{
    for (; f; f = f->parent)
        if (f->device == s->st_dev && f->inode == s->st_ino)
            return true;
    return false;
}

static int note(sm_strings *problems, const char *path, const char *reason)
{
    char *line = sm_printf_new("%s: %s", path, reason);
    const int err = line ? sm_strings_add(problems, line) : SM_ENOMEM;
    sm_free(line);
    return err;
}

static int walk_folder(const char *path, const folder *here, sm_strings *files, sm_strings *problems);

static int walk_entry(const char *path, const folder *parent, sm_strings *files, sm_strings *problems)
{
    struct stat s;
    if (stat(path, &s) < 0)
        return sm_is_sound_name(path) ? note(problems, path, strerror(errno)) : 0;
    if (S_ISREG(s.st_mode))
        return sm_is_sound_name(path) ? sm_strings_add(files, path) : 0;
    if (!S_ISDIR(s.st_mode) || is_ancestor(parent, &s))
        return 0;
    if (parent->depth >= WALK_DEPTH)
        return note(problems, path, "folders are nested deeper than 64");
    const folder here = { parent, s.st_dev, s.st_ino, parent->depth + 1 };
    return walk_folder(path, &here, files, problems);
}

static int walk_folder(const char *path, const folder *here, sm_strings *files, sm_strings *problems)
{
    sm_strings names = { 0 };
    int err = sm_list_directory(path, &names);
    if (err < 0) {
        if (err != SM_ENOMEM)
            err = sm_strings_add(problems, sm_last_error());
        goto out;
    }
    const size_t length = strlen(path);
    const char *slash = length > 0 && path[length - 1] == '/' ? "" : "/";
    for (size_t i = 0; i < names.length && err == 0; i++) {
        if (names.items[i][0] == '.')
            continue; /* hidden, and the "._x.wav" that macOS leaves beside files */
        char *entry = sm_printf_new("%s%s%s", path, slash, names.items[i]);
        err = entry ? walk_entry(entry, here, files, problems) : SM_ENOMEM;
        sm_free(entry);
    }
out:
    sm_strings_free(&names);
    return err;
}

int sm_walk(const char *path, sm_strings *files, sm_strings *problems)
{
    struct stat s;
    if (stat(path, &s) < 0 || !S_ISDIR(s.st_mode))
        return sm_strings_add(files, path); /* whoever reads it says what is wrong */
    const folder root = { NULL, s.st_dev, s.st_ino, 0 };
    return walk_folder(path, &root, files, problems);
}
