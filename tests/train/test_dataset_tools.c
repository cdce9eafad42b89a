/* Filling, cleaning, splitting and exporting a dataset, on small packs of generated sounds. */
#include "support/support.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "train/dataset_tools.h"
#include "train/dataset_verify.h"

typedef struct {
    test_place *place;
    sm_dataset *d;
    sm_arena *arena;
    int problems;
    char last[256];
} fixture;

static void on_problem(void *user, const char *path, const char *reason)
{
    fixture *f = user;
    f->problems++;
    snprintf(f->last, sizeof f->last, "%.100s: %.120s", path, reason);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    void *place = NULL;
    assert_non_null(f);
    test_place_make(&place);
    f->place = place;
    f->arena = sm_arena_new();
    test_ok(sm_dataset_open(f->place->path, SM_DATASET_CREATE, &f->d));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    void *place = f->place;
    sm_dataset_close(f->d);
    sm_arena_free(f->arena);
    free(f);
    return test_place_remove(&place);
}

/* A decaying, filtered noise of its own for each seed: `gain`, `rate_hz`, silence in front; 16 bit. */
static void write_sound(const char *path, unsigned seed, double gain, int rate_hz, double silence_s)
{
    sm_audio_writer *w = NULL;
    const sm_audio_write_options o = { .rate_hz = rate_hz, .channels = 1, .format = SM_SAMPLE_S16 };
    const int base = 48000, n = 30000;
    const size_t front = (size_t)(silence_s * rate_hz);
    sm_floats source = { 0 }, out = { 0 };
    sm_resampler *r = NULL;
    float state = 0;
    const uint64_t stream = sm_unit_hash("sound", seed);
    const float pole = 0.5F + 0.4F * (float)sm_unit(stream, 1 << 20);
    char *folder = sm_strndup(path, (size_t)(strrchr(path, '/') - path));
    test_ok(sm_make_directories(folder));
    sm_free(folder);
    for (int i = 0; i < n; i++) {
        state = pole * state + (float)sm_unit(stream, (uint64_t)i);
        const float x = state * expf(-(float)i / (3000 + 500 * (float)(seed % 7))) * (1 - pole) * (float)gain;
        test_ok(sm_floats_add(&source, &x, 1));
    }
    test_ok(sm_floats_add(&out, NULL, front));
    if (rate_hz != base) {
        test_ok(sm_resampler_new(SM_RESAMPLE_SOXR, base, rate_hz, 1, &r));
        test_ok(sm_resampler_push(r, source.data, source.length, &out));
        test_ok(sm_resampler_finish(r, &out));
    } else {
        test_ok(sm_floats_add(&out, source.data, source.length));
    }
    test_ok(sm_audio_writer_open(path, &o, &w));
    test_ok(sm_audio_writer_write(w, out.data, out.length));
    test_ok(sm_audio_writer_commit(w));
    sm_resampler_free(r);
    sm_floats_free(&source);
    sm_floats_free(&out);
}

static char *below(fixture *f, const char *name)
{
    return sm_arena_printf(f->arena, "%s/%s", f->place->folder, name);
}

static sm_dataset_import_options options_of(fixture *f)
{
    return (sm_dataset_import_options){ .work = { .jobs = 2, .problem = on_problem, .user = f } };
}

static void packs_get_labels_families_and_facts(void **state)
{
    fixture *f = *state;
    sm_dataset_import_options o = options_of(f);
    sm_dataset_result r;
    sm_item *items = NULL;
    size_t n = 0;
    o.licence = "CC0";
    write_sound(below(f, "in/Pack A/Kicks/Kick 01.wav"), 1, 0.5, 44100, 0);
    write_sound(below(f, "in/Pack A/Snares/one.wav"), 2, 0.5, 48000, 0);
    write_sound(below(f, "in/Pack B/xyz.wav"), 3, 0.5, 22050, 0);
    test_write_file(below(f, "in/Pack B/broken.wav"), "RIFF....WAVEjunk", 16);
    test_ok(sm_dataset_import(f->d, below(f, "in"), &o, &r));
    assert_int_equal(r.added, 3);
    assert_int_equal(r.broken, 1);
    assert_int_equal(r.unlabelled, 1);
    assert_non_null(strstr(f->last, "broken.wav"));
    test_ok(sm_dataset_list(f->d, NULL, f->arena, &items, &n));
    assert_int_equal(n, 3);
    assert_string_equal(items[0].label, "kick");
    assert_string_equal(items[0].family, "in/Pack A");
    assert_string_equal(items[0].licence, "CC0");
    assert_true(items[0].rate_hz == 44100 && items[0].channels == 1 && fabs(items[0].duration_s - 0.625) < 0.01);
    assert_int_equal(strlen(items[0].sha256), 64);
    assert_string_equal(items[1].label, "snare");
    assert_string_equal(items[1].label_from, "folder");
    assert_null(items[2].label);
    assert_string_equal(items[2].family, "in/Pack B");

    /* a second time nothing is read, and the broken one is told again */
    test_ok(sm_dataset_import(f->d, below(f, "in"), &o, &r));
    assert_true(r.added == 0 && r.unchanged == 3 && r.broken == 1 && f->problems == 2);
    /* one that changed is */
    write_sound(below(f, "in/Pack A/Kicks/Kick 01.wav"), 9, 0.5, 32000, 0);
    test_ok(sm_dataset_import(f->d, below(f, "in"), &o, &r));
    assert_true(r.updated == 1 && r.unchanged == 2);
    const char *const *paths, *const *reasons;
    test_ok(sm_dataset_broken(f->d, f->arena, &paths, &reasons, &n));
    assert_int_equal(n, 1);
    /* mended: in, and off the list */
    write_sound(below(f, "in/Pack B/broken.wav"), 4, 0.5, 44100, 0);
    test_ok(sm_dataset_import(f->d, below(f, "in"), &o, &r));
    assert_int_equal(r.added, 1);
    test_ok(sm_dataset_broken(f->d, f->arena, &paths, &reasons, &n));
    assert_int_equal(n, 0);
}

static void folders_that_are_classes_are_no_families(void **state)
{
    fixture *f = *state;
    const sm_dataset_import_options o = options_of(f);
    sm_dataset_result r;
    sm_item *items = NULL;
    size_t n = 0;
    write_sound(below(f, "in/kick/Deep 01.wav"), 1, 0.5, 44100, 0);
    write_sound(below(f, "in/kick/Deep 02.wav"), 2, 0.5, 44100, 0);
    write_sound(below(f, "in/kick/Punchy.wav"), 3, 0.5, 44100, 0);
    test_ok(sm_dataset_import(f->d, below(f, "in"), &o, &r));
    test_ok(sm_dataset_list(f->d, NULL, f->arena, &items, &n));
    assert_int_equal(n, 3);
    assert_string_equal(items[0].family, items[1].family);
    assert_string_not_equal(items[0].family, items[2].family);
}

static int kill_later(void *user, const sm_progress_info *p)
{
    (void)user;
    if (p->done >= 128)
        kill(getpid(), SIGKILL);
    return 0;
}

static void an_import_that_is_killed_goes_on(void **state)
{
    fixture *f = *state;
    sm_dataset_import_options o = options_of(f);
    sm_dataset_result r;
    for (int i = 0; i < 150; i++) {
        char name[64];
        snprintf(name, sizeof name, "in/kick %c%c.wav", 'a' + i / 26, 'a' + i % 26);
        if (i == 0)
            write_sound(below(f, name), 1, 0.5, 8000, 0);
        else
            assert_int_equal(link(below(f, "in/kick aa.wav"), below(f, name)), 0);
    }
    sm_dataset_close(f->d);
    f->d = NULL;
    const pid_t child = fork();
    if (child == 0) {
        o.work.progress = kill_later;
        o.work.jobs = 1;
        if (sm_dataset_open(f->place->path, SM_DATASET_CREATE, &f->d) == 0)
            sm_dataset_import(f->d, below(f, "in"), &o, &r);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    test_ok(sm_dataset_open(f->place->path, SM_DATASET_CREATE, &f->d));
    test_ok(sm_dataset_import(f->d, below(f, "in"), &o, &r));
    assert_int_equal(r.unchanged, 128);
    assert_int_equal(r.added, 22);
}

static void a_table_comes_back_as_it_went_out(void **state)
{
    fixture *f = *state;
    const sm_dataset_import_options o = options_of(f);
    static const char table[] =
        "path,class,split,family,source,licence,original_name,pitch_midi,extra\r\n"
        "a.wav,kick,train,\"fam, with comma\",\"a \"\"quoted\"\" source\",CC0,orig.wav,36.5,\"{\"\"x\"\":1}\"\r\n"
        "b.wav,snare,val,f2,s,MIT,,,\r\n"
        "c.wav,kik,val,f2,s,MIT,,,\r\n"
        "d.wav,tom,sideways,f2,s,MIT,,,\r\n"
        "e.wav,tom,test,f2,s,MIT,,,\r\n";
    sm_dataset_result r;
    sm_item *first = NULL, *second = NULL;
    size_t n = 0, m = 0;
    int64_t rows = 0;
    sm_dataset *copy = NULL;
    write_sound(below(f, "a.wav"), 1, 0.5, 44100, 0);
    write_sound(below(f, "b.wav"), 2, 0.5, 44100, 0);
    test_write_file(below(f, "labels.csv"), table, strlen(table));
    test_ok(sm_dataset_import(f->d, below(f, "labels.csv"), &o, &r));
    assert_int_equal(r.added, 2);
    assert_int_equal(r.broken, 3); /* no such class, no such split, no such file */
    test_ok(sm_dataset_list(f->d, NULL, f->arena, &first, &n));
    assert_string_equal(first[0].family, "fam, with comma");
    assert_string_equal(first[0].source, "a \"quoted\" source");
    assert_string_equal(first[0].extra, "{\"x\":1}");
    assert_true(first[0].pitch_midi == 36.5 && first[0].split_given && first[0].confidence == 1);

    test_ok(sm_dataset_export_csv(f->d, NULL, below(f, "out.csv"), &rows));
    assert_int_equal(rows, 2);
    test_ok(sm_dataset_open(below(f, "copy.dataset"), SM_DATASET_CREATE, &copy));
    test_ok(sm_dataset_import(copy, below(f, "out.csv"), &o, &r));
    test_ok(sm_dataset_list(copy, NULL, f->arena, &second, &m));
    assert_int_equal(m, n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(first[i].path, second[i].path);
        assert_string_equal(first[i].label, second[i].label);
        assert_string_equal(first[i].family, second[i].family);
        assert_string_equal(first[i].source, second[i].source);
        assert_string_equal(first[i].licence, second[i].licence);
        assert_string_equal(first[i].split, second[i].split);
        assert_string_equal(first[i].sha256, second[i].sha256);
    }
    sm_dataset_close(copy);
    test_fails(sm_dataset_export_csv(f->d, NULL, "/proc/nowhere/x.csv", &rows), SM_ENOTFOUND, "/proc/nowhere");
    test_write_file(below(f, "bad.csv"), "name,class\nx,kick\n", 18);
    test_fails(sm_dataset_import(f->d, below(f, "bad.csv"), &o, &r), SM_EFORMAT, "no column \"path\"");
}

static void a_tree_has_a_folder_a_class_and_names_once(void **state)
{
    fixture *f = *state;
    const sm_dataset_import_options o = options_of(f);
    sm_dataset_work work = { .problem = on_problem, .user = f };
    sm_dataset_result r;
    struct stat s;
    int64_t files = 0;
    write_sound(below(f, "in/A/kick.wav"), 1, 0.5, 44100, 0);
    write_sound(below(f, "in/B/kick.wav"), 2, 0.5, 44100, 0);
    write_sound(below(f, "in/B/snare.wav"), 3, 0.5, 44100, 0);
    test_ok(sm_dataset_import(f->d, below(f, "in"), &o, &r));
    test_ok(sm_dataset_export_folder(f->d, NULL, below(f, "out"), SM_DATASET_COPY, &work, &files));
    assert_int_equal(files, 3);
    assert_int_equal(stat(below(f, "out/kick/kick_1.wav"), &s), 0);
    assert_int_equal(stat(below(f, "out/kick/kick_2.wav"), &s), 0);
    assert_int_equal(stat(below(f, "out/snare/snare.wav"), &s), 0);
    assert_int_equal(stat(below(f, "out/ATTRIBUTION.txt"), &s), 0);
    unlink(below(f, "in/B/snare.wav"));
    test_ok(sm_dataset_export_folder(f->d, NULL, below(f, "links"), SM_DATASET_LINK, &work, &files));
    assert_int_equal(files, 2); /* one is gone, and that is told */
    assert_int_equal(f->problems, 1);
    assert_int_equal(lstat(below(f, "links/kick/kick_1.wav"), &s), 0);
    assert_true(S_ISLNK(s.st_mode));
}

/* ---- twins ---- */

static void transformed_copies_are_found_and_others_are_not(void **state)
{
    fixture *f = *state;
    const sm_dataset_import_options o = options_of(f);
    const sm_dataset_twins_options t = { .work = { .jobs = 2 } };
    sm_dataset_result r;
    sm_dataset_twins_result found;
    sm_dataset_twin *twins = NULL;
    sm_item *items = NULL;
    size_t n = 0, m = 0;
    for (unsigned i = 0; i < 12; i++)
        write_sound(below(f, sm_arena_printf(f->arena, "in/A/kick %c.wav", 'a' + (int)i)), 100 + i, 0.5, 48000, 0);
    write_sound(below(f, "in/B/quieter.wav"), 100, 0.11, 48000, 0);
    write_sound(below(f, "in/B/later.wav"), 101, 0.5, 48000, 0.8);
    write_sound(below(f, "in/C/resampled.wav"), 102, 0.4, 44100, 0.01);
    write_sound(below(f, "in/C/coded.ogg"), 103, 0.5, 48000, 0);
    test_ok(sm_dataset_import(f->d, below(f, "in"), &o, &r));
    assert_int_equal(r.added, 16);
    test_ok(sm_dataset_find_twins(f->d, &t, &found));
    assert_int_equal(found.read, 16);
    assert_int_equal(found.pairs, 4);
    assert_int_equal(found.across, 4);
    assert_int_equal(found.kept, 4);
    assert_int_equal(found.marked, 4);
    test_ok(sm_dataset_list(f->d, NULL, f->arena, &items, &n));
    test_ok(sm_dataset_twins(f->d, f->arena, &twins, &m));
    assert_int_equal(m, 4);
    for (size_t i = 0; i < m; i++) /* a is of the first 12, b is its copy: .wav a to d in that order */
        assert_true(twins[i].a <= 12 && twins[i].b > 12 && twins[i].correlation > 0.93);

    /* nothing is read twice */
    test_ok(sm_dataset_find_twins(f->d, &t, &found));
    assert_true(found.read == 0 && found.pairs == 4);

    /* families with a common twin are on one side: A, B and C are one group */
    const sm_dataset_split_options so = { .seed = 1 };
    sm_dataset_split_result split;
    test_ok(sm_dataset_split(f->d, &so, &split));
    assert_int_equal(split.families, 3);
    assert_int_equal(split.groups, 1);
}

/* ---- the split ---- */

static void put_family(fixture *f, const char *label, int family, int count, const char *split)
{
    for (int i = 0; i < count; i++) {
        sm_item item;
        sm_item_init(&item);
        item.root = "/s";
        item.path = sm_arena_printf(f->arena, "%s/%d/%d.wav", label, family, i);
        item.label = label;
        item.label_from = "csv";
        item.confidence = 1;
        item.family = sm_arena_printf(f->arena, "family %d", family);
        item.split = split;
        item.split_given = split != NULL;
        test_ok(sm_dataset_put(f->d, &item));
    }
}

static int64_t count(fixture *f, const char *label, const char *split, bool random)
{
    int64_t n = 0;
    const sm_dataset_filter filter = { .labels = label, .split = split, .by_random_split = random };
    test_ok(sm_dataset_count(f->d, &filter, &n));
    return n;
}

static void a_split_keeps_families_whole_and_shares_near(void **state)
{
    fixture *f = *state;
    const sm_dataset_split_options o = { .seed = 5, .again = true };
    static const char *const labels[] = { "kick", "snare", "tom" };
    sm_dataset_split_result r;
    sm_item *items = NULL, *again = NULL;
    size_t n = 0, m = 0;
    test_ok(sm_dataset_begin(f->d));
    for (int family = 0; family < 90; family++)
        put_family(f, labels[family % 3], family, 3 + family * 7 % 11, NULL);
    test_ok(sm_dataset_commit(f->d));
    test_ok(sm_dataset_split(f->d, &o, &r));
    assert_int_equal(r.families, 90);
    test_ok(sm_dataset_list(f->d, NULL, f->arena, &items, &n));
    for (size_t i = 1; i < n; i++) /* families were put one after the other */
        if (!strcmp(items[i].family, items[i - 1].family))
            assert_string_equal(items[i].split, items[i - 1].split);
    for (size_t c = 0; c < 3; c++) {
        const double all = (double)count(f, labels[c], NULL, false);
        for (int random = 0; random < 2; random++) {
            /* families hold up to 13 of some 240: a side is right to within half a family; the random one to within rounding */
            const double slack = random ? 1 : 7;
            assert_true(fabs((double)count(f, labels[c], "val", random) - 0.1 * all) <= slack);
            assert_true(fabs((double)count(f, labels[c], "test", random) - 0.1 * all) <= slack);
            assert_true(fabs((double)count(f, labels[c], "train", random) - 0.8 * all) <= 2 * slack);
        }
    }
    /* the same seed, the same split; another seed, another */
    test_ok(sm_dataset_split(f->d, &o, &r));
    test_ok(sm_dataset_list(f->d, NULL, f->arena, &again, &m));
    for (size_t i = 0; i < n; i++)
        assert_true(!strcmp(items[i].split, again[i].split) && !strcmp(items[i].random_split, again[i].random_split));
    test_ok(sm_dataset_split(f->d, &(sm_dataset_split_options){ .seed = 6, .again = true }, &r));
    test_ok(sm_dataset_list(f->d, NULL, f->arena, &again, &m));
    size_t moved = 0;
    for (size_t i = 0; i < n; i++)
        moved += strcmp(items[i].split, again[i].split) != 0;
    assert_true(moved > n / 20);
}

static void a_given_split_stays_and_draws_its_family_along(void **state)
{
    fixture *f = *state;
    sm_dataset_split_result r;
    put_family(f, "kick", 1, 4, "val");
    put_family(f, "snare", 1, 4, NULL); /* the same family, without a side */
    put_family(f, "tom", 2, 30, NULL);
    test_ok(sm_dataset_split(f->d, &(sm_dataset_split_options){ .seed = 1 }, &r));
    assert_true(r.kept == 4 && r.assigned == 34 && r.torn == 0);
    assert_int_equal(count(f, "snare", "val", false), 4);
    assert_int_equal(count(f, "tom", "train", false), 30);
    /* a family on two sides is told */
    put_family(f, "clap", 3, 2, "val");
    put_family(f, "rim", 3, 2, "train");
    test_ok(sm_dataset_split(f->d, &(sm_dataset_split_options){ .seed = 1 }, &r));
    assert_int_equal(r.torn, 1);
    assert_int_equal(count(f, "clap", "val", false), 2);
    test_fails(sm_dataset_split(f->d, &(sm_dataset_split_options){ .val = 0.6, .test = 0.5 }, &r), SM_EUSAGE,
               "train on");
}

/* ---- debian ---- */

static void packages_are_read_after_their_list(void **state)
{
    fixture *f = *state;
    const sm_dataset_import_options o = options_of(f);
    static const char list[] = "package,path,class,split,family,licence,files\n"
                               "kit-a,/usr/share/kit/(kick.*\\.wav)$,kick,val,Kit A,CC0,2\n"
                               "kit-a,/usr/share/kit/nothing$,snare,val,Kit A,CC0,2\n"
                               "kit-b,/usr/share/b/.*,tom,train,Kit B,MIT,1\n"
                               "../evil,/x,tom,train,Kit B,MIT,1\n"
                               "font,/usr/share/f/(x|y)\\.sf2#bank0:program3-4,keys,train,Font,MIT,\n"
                               "font,/usr/share/f/x\\.sf2#bank128,drums,train,Font,MIT,\n";
    static const char installed[] =
        "/.\n/usr\n/usr/share/kit/kick1.wav\n/usr/share/kit/kick2.wav\n/usr/share/kit/read.me\n";
    static const char fonts[] = "/usr/share/f/x.sf2\n/usr/share/f/y.sf2\n";
    sm_strings missing = { 0 };
    sm_dataset_result r;
    sm_item *items = NULL;
    sm_dataset_preset *presets = NULL;
    size_t n = 0;
    write_sound(below(f, "root/usr/share/kit/kick1.wav"), 1, 0.5, 44100, 0);
    write_sound(below(f, "root/usr/share/kit/kick2.wav"), 2, 0.5, 44100, 0);
    test_ok(sm_make_directories(below(f, "root/var/lib/dpkg/info")));
    test_write_file(below(f, "root/var/lib/dpkg/info/kit-a.list"), installed, strlen(installed));
    test_write_file(below(f, "root/var/lib/dpkg/info/font.list"), fonts, strlen(fonts));
    test_write_file(below(f, "list.csv"), list, strlen(list));
    test_ok(sm_dataset_debian(f->d, below(f, "list.csv"), below(f, "root"), &o, &missing, &r));
    assert_int_equal(r.added, 2);
    assert_int_equal(r.missing, 1);
    assert_int_equal(r.broken, 2); /* a row that matches nothing, and a package that is no name */
    assert_int_equal(missing.length, 1);
    assert_string_equal(missing.items[0], "kit-b");
    test_ok(sm_dataset_list(f->d, NULL, f->arena, &items, &n));
    assert_string_equal(items[0].label, "kick");
    assert_string_equal(items[0].split, "val");
    assert_string_equal(items[0].source, "Debian kit-a");
    test_ok(sm_dataset_debian_presets(below(f, "list.csv"), below(f, "root"), f->arena, &presets, &n));
    assert_int_equal(n, 5); /* two fonts, two programs each; one drum bank */
    assert_true(presets[0].program == 3 && presets[1].program == 4 && presets[4].bank == 128 && !presets[0].installed);
    assert_string_equal(presets[0].label, "keys");
    assert_string_equal(presets[4].label, "");
    sm_strings_free(&missing);
}

/* ---- verify ---- */

static void the_least_certain_comes_first_and_answers_can_be_taken_back(void **state)
{
    fixture *f = *state;
    const sm_verify_view *w = NULL;
    sm_verify *v = NULL;
    sm_item item;
    put_family(f, "kick", 1, 1, NULL);  /* sure */
    put_family(f, "snare", 2, 1, NULL); /* sure, but a model says clap */
    sm_item_init(&item);
    item.root = "/s", item.path = "none.wav"; /* nothing known but a proposal */
    test_ok(sm_dataset_put(f->d, &item));
    test_ok(sm_dataset_propose(f->d, &(sm_proposal){ 2, "yamnet", "clap", 0.6, NULL }));
    test_ok(sm_dataset_propose(f->d, &(sm_proposal){ 3, "yamnet", "tom", 0.3, NULL }));
    test_ok(sm_verify_open(f->d, NULL, &v));
    assert_int_equal(sm_verify_count(v), 3);
    test_ok(sm_verify_look(v, &w));
    assert_int_equal(w->item.id, 3);
    assert_true(fabs(w->doubt - 1.3) < 1e-9);
    assert_int_equal(w->n_proposals, 1);
    test_ok(sm_verify_accept(v)); /* takes the proposal */
    test_ok(sm_verify_look(v, &w));
    assert_int_equal(w->item.id, 2);
    test_fails(sm_verify_change(v, "klap", false), SM_EUSAGE, "did you mean \"clap\"");
    test_ok(sm_verify_change(v, "clap", false));
    test_ok(sm_verify_reject(v));
    test_fails(sm_verify_look(v, &w), SM_ENOTFOUND, "no sound is left");
    test_ok(sm_dataset_get(f->d, 3, f->arena, &item));
    assert_true(item.verified && !strcmp(item.label, "tom"));
    test_ok(sm_verify_undo(v)); /* the kick is back */
    test_ok(sm_verify_undo(v));
    test_ok(sm_verify_look(v, &w));
    assert_int_equal(w->item.id, 2);
    assert_string_equal(w->item.label, "snare");
    assert_false(w->item.verified);
    test_ok(sm_verify_undo(v));
    test_fails(sm_verify_undo(v), SM_ENOTFOUND, "nothing was decided");
    assert_string_equal(sm_verify_class(v, "ki"), "kick");
    assert_string_equal(sm_verify_class(v, "bd"), "kick");
    assert_string_equal(sm_verify_class(v, "hihat-o"), "hihat-open");
    assert_string_equal(sm_verify_class(v, "tambourine"), "shaker");
    assert_null(sm_verify_class(v, "s"));
    assert_null(sm_verify_class(v, ""));
    sm_verify_close(v);
}

static void a_drawing_shows_where_and_how_high_the_sound_is(void **state)
{
    float x[8000];
    sm_buffer text = { 0 };
    (void)state;
    for (int i = 0; i < 8000; i++) /* the second half: 200 Hz */
        x[i] = i < 4000 ? 0 : 0.5F * sinf(2 * (float)M_PI * 200 * (float)i / 16000);
    test_ok(sm_draw_wave(x, 8000, 10, 3, &text));
    int lines = 0, full = 0;
    for (const char *p = text.data; *p; p++)
        lines += *p == '\n';
    for (const char *p = text.data; (p = strstr(p, "█")) != NULL; p++)
        full++;
    assert_int_equal(lines, 3);
    assert_true(full >= 15); /* five columns of three rows, give or take nothing */
    assert_memory_equal(text.data, "     ", 5);
    sm_buffer_free(&text);
    test_ok(sm_draw_spectrogram(x, 8000, 16000, 10, 4, &text));
    /* four lines, highest band first; a low tone is in the last */
    const char *last = text.data;
    for (int i = 0; i < 3; i++)
        last = strchr(last, '\n') + 1;
    assert_non_null(strstr(last, "█"));
    assert_true(strstr(text.data, "█") >= last);
    sm_buffer_free(&text);
    test_ok(sm_draw_wave(x, 0, 10, 3, &text)); /* nothing to draw */
    test_ok(sm_draw_spectrogram(x, 0, 16000, 10, 3, &text));
    sm_buffer_free(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(packs_get_labels_families_and_facts),
        TEST(folders_that_are_classes_are_no_families),
        TEST(an_import_that_is_killed_goes_on),
        TEST(a_table_comes_back_as_it_went_out),
        TEST(a_tree_has_a_folder_a_class_and_names_once),
        TEST(transformed_copies_are_found_and_others_are_not),
        TEST(a_split_keeps_families_whole_and_shares_near),
        TEST(a_given_split_stays_and_draws_its_family_along),
        TEST(packages_are_read_after_their_list),
        TEST(the_least_certain_comes_first_and_answers_can_be_taken_back),
        cmocka_unit_test(a_drawing_shows_where_and_how_high_the_sound_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
