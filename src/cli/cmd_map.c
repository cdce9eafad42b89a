/* map: the library as a picture, similar sounds near each other. */
#include <math.h>
#include <string.h>

#include "cli/command.h"
#include "library/library.h"

typedef struct {
    const char *form, *space;
    bool again;
} map_args;

static const sm_option map_options[] = { { 0, "form", SM_OPT_CHOICE, offsetof(map_args, form), "html|svg|json",
                                           "what to write (default: by the ending of -o)", 0 },
                                         { 0, "space", SM_OPT_STRING, offsetof(map_args, space), "MODEL",
                                           "whose embedding is compared (default: that of the classifier that ships)",
                                           0 },
                                         { 0, "again", SM_OPT_FLAG, offsetof(map_args, again), NULL,
                                           "lay everything out anew, as if for the first time", 0 },
                                         { 0 } };

static const char *form_of(const map_args *a, const char *out)
{
    if (a->form)
        return a->form;
    if (out && sm_text_has_suffix(out, ".svg"))
        return "svg";
    return !out || !strcmp(out, "-") || sm_text_has_suffix(out, ".json") ? "json" : "html";
}

static int write_file(const char *path, const char *text)
{
    sm_outfile *out = NULL;
    const int err = sm_outfile_open(path, &out);

    if (err < 0)
        return err;
    fputs(text, sm_outfile_stream(out));
    return sm_outfile_commit(out);
}

static int bar_moves(void *user, const sm_progress_info *p)
{
    sm_progress_set_total(user, p->total);
    sm_progress_set(user, p->done);
    return sm_cancelled();
}

static int map_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const map_args *a = args;
    const char *out = cli->common.out, *text = NULL;
    sm_map_options o;
    sm_layout *layout = NULL;
    sm_progress *bar = NULL;
    size_t sounds;

    (void)operands;
    (void)n;
    sm_map_options_init(&o);
    o.library = cli->common.library;
    o.space = a->space;
    o.again = a->again;
    o.seed = (uint64_t)cli->common.seed;
    o.jobs = (int)cli->common.jobs;
    int err = sm_progress_new(cli, "map", 100, "%", &bar);
    o.progress = bar_moves;
    o.user = bar;
    if (err == 0)
        err = sm_map_make(&o, &layout);
    sm_progress_free(bar);
    if (err == 0)
        err = sm_layout_draw(layout, form_of(a, out), &text);
    if (err == 0 && out && strcmp(out, "-") != 0)
        err = write_file(out, text);
    else if (err == 0)
        fprintf(cli->out, "%s\n", text);
    if (err == 0 && out && strcmp(out, "-") != 0) {
        sm_layout_points(layout, &sounds);
        sm_cli_warn(cli, "%zu sounds, %zu of them placed now, trustworthiness %.3f", sounds, sm_layout_placed(layout),
                    sm_layout_trustworthiness(layout));
    }
    sm_layout_free(layout);
    return err;
}

const sm_command sm_cmd_map = {
    .name = "map",
    .summary = "draw the library, similar sounds near each other",
    .description =
        "Lays the sounds of the library out in the plane, keeps their places in it, and writes a page that can be "
        "opened "
        "in a\n"
        "browser without a network (colours by instrument, names under the mouse, zoom), an SVG picture, or JSON. "
        "Sounds "
        "that\n"
        "have a place keep it when others come; where more than three of ten are new, all move as little as they can.",
    .options = map_options,
    .common = SM_COMMON_OUT | SM_COMMON_JOBS | SM_COMMON_SEED | SM_COMMON_LIBRARY | SM_COMMON_PROGRESS,
    .examples = (const sm_example[]){ { "samplemind map -o map.html", "a page to look around in" },
                                      { "samplemind map -o map.svg --again --seed 3", "a new layout" },
                                      { 0 } },
    .args_size = sizeof(map_args),
    .defaults = &(const map_args){ .form = NULL },
    .run = map_run,
};
