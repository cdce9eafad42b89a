/* The smallest whole program on libsamplemind: says what is known about each sound on the command line.
 *
 *     cc analyze.c $(pkg-config --cflags --libs samplemind) -o analyze
 *     ./analyze kick.wav loop.flac
 */
#include <math.h>
#include <stdio.h>

#include <samplemind.h>

static void show(const sm_record *record)
{
    const sm_summary *s = sm_record_summary(record);

    printf("%s: %s of %.2f s", sm_record_path(record), s->kind, s->duration_s);
    if (isfinite(s->bpm))
        printf(", %.1f BPM", s->bpm);
    if (s->key)
        printf(", %s", s->key);
    if (s->note_name)
        printf(", note %s", s->note_name);
    if (isfinite(s->loudness_lufs))
        printf(", %.1f LUFS", s->loudness_lufs);
    printf("\n%s\n", sm_record_json(record));
}

int main(int argc, char **argv)
{
    sm_engine *engine = NULL;
    sm_options options;
    int failed = 0;

    sm_options_init(&options);
    if (sm_engine_open(&options, &engine) < 0) {
        fprintf(stderr, "%s\n", sm_last_error());
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        sm_record *record = NULL;
        if (sm_analyze_file(engine, argv[i], &record) < 0) {
            fprintf(stderr, "%s\n", sm_last_error());
            failed = 1;
        } else {
            show(record);
        }
        sm_record_free(record);
    }
    sm_engine_close(engine);
    return failed;
}
