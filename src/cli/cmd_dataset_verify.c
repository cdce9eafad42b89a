/* dataset verify: a screen of plain characters, and the same from a pipe; dataset autolabel, which feeds it. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cmd_dataset.h"
#include "train/dataset_verify.h"

typedef struct {
    const char *dataset, *player;
    dataset_choice choice;
    bool own_classes, mute;
} verify_args;

static const sm_option verify_options[] = {
    DATASET_OPTION(verify_args),
    { 0, "player", SM_OPT_STRING, offsetof(verify_args, player), "COMMAND",
      "plays a file (default: the first of pw-play, paplay, aplay, afplay, ffplay)", 0 },
    { 0, "mute", SM_OPT_FLAG, offsetof(verify_args, mute), NULL, "draw, and play nothing", 0 },
    { 0, "own-classes", SM_OPT_FLAG, offsetof(verify_args, own_classes), NULL, "take classes of your own too", 0 },
    DATASET_CHOICE_OPTIONS(verify_args),
    { 0 }
};

typedef struct {
    sm_cli *cli;
    const verify_args *args;
    sm_verify *v;
    bool raw; /* single keys, a screen that is drawn anew */
    struct termios before;
    char player[64];
    pid_t playing;
    bool quit;
} screen;

/* ---- playing ---- */

static bool is_on_path(const char *program)
{
    const char *path = getenv("PATH");
    char full[512];
    for (const char *at = path; at && *at;) {
        const size_t n = strcspn(at, ":");
        snprintf(full, sizeof full, "%.*s/%s", (int)n, at, program);
        if (access(full, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

/* Without a sound server a player would only complain: over ssh nothing is played unless --player asks for it. */
static void find_player(screen *s)
{
    static const char *const players[] = { "pw-play", "paplay", "aplay", "afplay", "ffplay" };
    if (s->args->mute)
        return;
    if (s->args->player) {
        snprintf(s->player, sizeof s->player, "%s", s->args->player);
        return;
    }
    if (getenv("SSH_CONNECTION") || !s->raw)
        return;
    for (size_t i = 0; i < SM_LENGTH(players) && !*s->player; i++)
        if (is_on_path(players[i]))
            snprintf(s->player, sizeof s->player, "%s", players[i]);
}

static void stop_playing(screen *s)
{
    if (s->playing <= 0)
        return;
    kill(s->playing, SIGTERM);
    waitpid(s->playing, NULL, 0);
    s->playing = 0;
}

static void play(screen *s, const char *file)
{
    stop_playing(s);
    if (!*s->player)
        return;
    s->playing = fork();
    if (s->playing != 0)
        return;
    if (!freopen("/dev/null", "r", stdin) || !freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
        _exit(127);
    if (!strcmp(s->player, "ffplay"))
        execlp("ffplay", "ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet", file, (char *)NULL);
    execlp(s->player, s->player, file, (char *)NULL);
    _exit(127);
}

/* ---- showing ---- */

static void draw_sound(const screen *s, const char *file, FILE *out)
{
    struct winsize size = { .ws_col = 80 };
    sm_floats mono = { 0 };
    sm_buffer text = { 0 };
    if (s->raw)
        ioctl(fileno(s->cli->out), TIOCGWINSZ, &size);
    const int columns = size.ws_col > 0 ? SM_CLAMP((int)size.ws_col - 2, 20, 100) : 78;
    if (sm_sound_read(file, 44100, 4, &mono, NULL) < 0) {
        fprintf(out, "  (cannot be read: %s)\n", sm_last_error());
    } else if (sm_draw_wave(mono.data, mono.length, columns, 5, &text) == 0) {
        sm_buffer_text(&text, "\n");
        if (sm_draw_spectrogram(mono.data, mono.length, 44100, columns, 8, &text) == 0)
            fputs(text.data, out);
    }
    sm_buffer_free(&text);
    sm_floats_free(&mono);
}

static void show_facts(const sm_verify_view *w, FILE *out)
{
    const sm_item *i = &w->item;
    if (i->label)
        fprintf(out, "class     %s  (%.0f %%, from %s)\n", i->label, 100 * i->confidence, i->label_from);
    else
        fprintf(out, "class     none\n");
    for (size_t k = 0; k < w->n_proposals; k++)
        fprintf(out, "%s  %s  (%.0f %%)  %s\n", k ? "        " : "proposed", w->proposals[k].label,
                100 * w->proposals[k].confidence, w->proposals[k].model);
    fprintf(out, "sound     %.2f s, %d Hz, %d channel%s;  %s;  %s\n", isnan(i->duration_s) ? 0 : i->duration_s,
            i->rate_hz, i->channels, i->channels == 1 ? "" : "s", i->source ? i->source : "no source",
            i->licence ? i->licence : "no licence");
}

static int show(screen *s)
{
    const sm_verify_view *w;
    FILE *out = s->cli->out;
    const int err = sm_verify_look(s->v, &w);
    if (err < 0)
        return err;
    if (s->raw)
        fputs("\033[2J\033[H", out);
    fprintf(out, "%zu of %zu, doubt %.2f: %s\n", sm_verify_place(s->v) + 1, sm_verify_count(s->v), w->doubt, w->file);
    show_facts(w, out);
    if (s->raw) {
        draw_sound(s, w->file, out);
        fputs("a accept   r reject   c change   n next   b back   u undo   p play   q quit\n", out);
    }
    return sm_cli_flush(s->cli);
}

/* ---- keys ---- */

/* The next key, or the next command of a pipe: its first letter, the rest into `word`. 0: the end. */
static int read_command(screen *s, char word[64])
{
    char line[256];
    *word = 0;
    if (!s->raw) {
        if (!fgets(line, sizeof line, stdin))
            return 0;
        line[strcspn(line, "\r\n")] = 0;
        const char *rest = strchr(line, ' ');
        if (rest)
            snprintf(word, 64, "%.63s", rest + 1);
        return *line ? *line : ' ';
    }
    unsigned char key = 0;
    while (read(STDIN_FILENO, &key, 1) != 1)
        if (errno != EINTR || sm_cancelled())
            return 0;
    return key == 3 || key == 4 ? 0 : key; /* Ctrl-C, Ctrl-D */
}

/* The class that is typed; "": none. */
static void ask_class(screen *s, char word[64])
{
    if (!s->raw || *word)
        return;
    fputs("class: ", s->cli->out);
    fflush(s->cli->out);
    tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
    struct termios raw = s->before;
    if (fgets(word, 64, stdin))
        word[strcspn(word, "\r\n")] = 0;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static int change(screen *s, char word[64])
{
    ask_class(s, word);
    if (!*word)
        return sm_fail(SM_EUSAGE, "no class was given");
    const char *class = sm_verify_class(s->v, word);
    return sm_verify_change(s->v, class ? class : word, s->args->own_classes);
}

static int play_again(screen *s)
{
    const sm_verify_view *w;
    const int err = sm_verify_look(s->v, &w);
    if (err == 0)
        play(s, w->file);
    return err;
}

static int act(screen *s, int key, char word[64])
{
    switch (key) {
    case 'a':
        return sm_verify_accept(s->v);
    case 'r':
        return sm_verify_reject(s->v);
    case 'c':
        return change(s, word);
    case 'n':
    case ' ':
        sm_verify_next(s->v);
        return 0;
    case 'b':
        sm_verify_back(s->v);
        return 0;
    case 'u':
        return sm_verify_undo(s->v);
    case 'p':
        return play_again(s);
    case 'q':
    case 0:
        s->quit = true;
        return 0;
    default:
        return sm_fail(SM_EUSAGE, "\"%c\" is no key: a r c n b u p q", key);
    }
}

static int session(screen *s)
{
    char word[64];
    int err = 0;
    while (!s->quit && err == 0 && sm_verify_place(s->v) < sm_verify_count(s->v)) {
        const size_t place = sm_verify_place(s->v);
        err = show(s);
        if (err == 0)
            err = play_again(s);
        while (err == 0 && !s->quit && sm_verify_place(s->v) == place) {
            const size_t decided = sm_verify_decided(s->v);
            const int key = read_command(s, word);
            err = act(s, key, word);
            if (err == SM_EUSAGE || err == SM_ENOTFOUND) { /* not understood: say so, and ask again */
                sm_cli_error(s->cli, "%s", sm_last_error());
                err = 0;
            } else if (decided != sm_verify_decided(s->v) || key == 'b') {
                break; /* undo of this very place */
            }
        }
        stop_playing(s);
    }
    return err;
}

static int verify_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const verify_args *a = args;
    const sm_dataset_filter f = dataset_filter(&a->choice);
    screen s = { .cli = cli, .args = a, .raw = isatty(STDIN_FILENO) && cli->out_is_terminal };
    sm_dataset *d = NULL;
    (void)operands, (void)n;
    int err = dataset_open(a->dataset, SM_DATASET_WRITE, &d);
    if (err == 0)
        err = sm_verify_open(d, &f, &s.v);
    if (err == 0 && s.raw && tcgetattr(STDIN_FILENO, &s.before) == 0) {
        struct termios raw = s.before;
        raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    sm_cancel_install();
    find_player(&s);
    if (err == 0)
        err = session(&s);
    if (s.raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &s.before);
    if (err == 0)
        fprintf(cli->out, "%zu decided, %zu left\n", sm_verify_decided(s.v),
                sm_verify_count(s.v) - sm_verify_decided(s.v));
    sm_verify_close(s.v);
    sm_dataset_close(d);
    return err;
}

const sm_command sm_cmd_dataset_verify = {
    .name = "verify",
    .summary = "look at doubtful sounds and say what they are",
    .description = "Most doubtful first: little confidence, or models that think otherwise (run \"autolabel\" before). "
                   "Each sound is "
                   "drawn, and\nplayed where there is a player; over ssh nothing is played unless --player says how. "
                   "Keys: a accept, r "
                   "reject, c change (type\na class, its beginning, or a word such as bd), n next, b back, u undo, p "
                   "play again, q quit. "
                   "Every answer is kept at once.\nFrom a pipe the same letters, one a line (\"c snare\").",
    .options = verify_options,
    .args_size = sizeof(verify_args),
    .examples = (const sm_example[]){ { "samplemind dataset verify", "all that nobody has verified" },
                                      { "samplemind dataset verify --label hihat-open", "one class" },
                                      { "printf 'a\\nc rim\\nq\\n' | samplemind dataset verify", "without a screen" },
                                      { 0 } },
    .run = verify_run,
};

/* ---- autolabel ---- */

typedef struct {
    const char *dataset;
    double below, take;
    bool all;
} autolabel_args;

static const sm_option autolabel_options[] = {
    DATASET_OPTION(autolabel_args),
    { 0, "below", SM_OPT_NUMBER, offsetof(autolabel_args, below), "0..1",
      "sounds whose label is at most this sure (default: 0.8)", 0 },
    { 0, "all", SM_OPT_FLAG, offsetof(autolabel_args, all), NULL, "also the sure ones, to find wrong labels", 0 },
    { 0, "take", SM_OPT_NUMBER, offsetof(autolabel_args, take), "0..1",
      "label unlabelled sounds where models are this sure (default: never)", 0 },
    { 0 }
};

static int autolabel_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const autolabel_args *a = args;
    sm_dataset *d = NULL;
    dataset_working w;
    sm_dataset_autolabel_result r;
    sm_buffer models = { 0 };
    (void)operands, (void)n;
    for (size_t i = 0; i < cli->common.models.length; i++)
        sm_buffer_printf(&models, "%s%s", i ? "," : "", cli->common.models.items[i]);
    int err = dataset_open(a->dataset, SM_DATASET_WRITE, &d);
    if (err < 0)
        goto out;
    err = dataset_work_begin(cli, "autolabel", &w);
    const sm_dataset_autolabel_options o = {
        .work = w.work, .models = models.data, .below = a->below, .all = a->all, .take = a->take
    };
    if (err == 0)
        err = sm_dataset_autolabel(d, &o, &r);
    dataset_work_end(&w);
    if (err == SM_ENOTFOUND) {
        sm_cli_error(cli, "%s", sm_last_error());
        err = SM_EXIT_NO_MODEL;
    }
    if (err == 0) {
        const dataset_figure figures[] = { { "heard", "sounds heard", r.heard, true },
                                           { "proposed", "proposals", r.proposed, true },
                                           { "agreed", "agree with the label", r.agreed, true },
                                           { "taken", "became labels", r.taken, false },
                                           { "failed", "could not be heard", r.failed, false } };
        err = dataset_print_figures(cli, "autolabel", figures, SM_LENGTH(figures));
        if (err == 0)
            err = sm_exit_of_batch((size_t)r.heard, (size_t)r.failed);
    }
out:
    sm_dataset_close(d);
    sm_buffer_free(&models);
    return err;
}

const sm_command sm_cmd_dataset_autolabel = {
    .name = "autolabel",
    .summary = "let models that are installed propose classes",
    .description =
        "Unlabelled and doubtful sounds are heard by the own classifier and by YAMNet, as far as they are installed; "
        "what they think\nis kept beside the label, feeds the order of \"verify\", and never replaces a label.",
    .options = autolabel_options,
    .common = SM_COMMON_JOBS | SM_COMMON_PROGRESS | SM_COMMON_FORMAT | SM_COMMON_MODELS,
    .args_size = sizeof(autolabel_args),
    .examples = (const sm_example[]){ { "samplemind dataset autolabel", "what is doubtful" },
                                      { "samplemind dataset autolabel --all --models yamnet", "look for wrong labels" },
                                      { 0 } },
    .run = autolabel_run,
};
