/* Sounds from words on libsamplemind: makes a sound file, and tells while it does.
 *
 *     cc generate.c $(pkg-config --cflags --libs samplemind) -o generate
 *     ./generate musicgen-small "warm house loop, 124 BPM" loop.wav
 */
#include <stdio.h>

#include <samplemind.h>

/* MusicGen's sound comes while it is being made: a player would be fed here. */
static int hear(void *user, size_t index, const float *interleaved, size_t frames)
{
    size_t *heard = user;

    (void)index, (void)interleaved;
    *heard += frames;
    return 0;
}

static int watch(void *user, const sm_progress_info *p)
{
    const size_t *heard = user;

    fprintf(stderr, "\r%.0f of %.0f %s, %zu frames heard", p->done, p->total, p->unit, *heard);
    return 0; /* anything else stops */
}

int main(int argc, char **argv)
{
    sm_generator *generator = NULL;
    sm_generate_result *sound = NULL;
    sm_generate_options options;
    sm_generate_request request;
    size_t heard = 0;
    double mb = 0;

    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: generate MODEL[=FILE] WORDS OUT.wav [TEXT-ENCODER]\n");
        return 2;
    }
    sm_generate_options_init(&options);
    options.model = argv[1];
    options.text_encoder = argc > 4 ? argv[4] : NULL;
    sm_generate_request_init(&request);
    request.prompt = argv[2];
    request.seconds = 2;
    request.stream = hear;
    request.progress = watch;
    request.user = &heard;
    int err = sm_generator_open(&options, &generator);
    if (err == 0)
        err = sm_generator_memory_mb(generator, &request, &mb, NULL);
    if (err == 0)
        fprintf(stderr, "about %.0f MB; licence: %s\n", mb, sm_generator_licence(generator));
    if (err == 0)
        err = sm_generate_one(generator, &request, &sound);
    if (err == 0)
        err = sm_generate_result_write(sound, argv[3], NULL);
    if (err == 0)
        printf("\n%zu frames at %d Hz, %zu of them heard on the way\n%s\n", sound->frames, sound->sample_rate_hz, heard,
               sound->recipe);
    else
        fprintf(stderr, "\n%s\n", sm_last_error());
    sm_generate_result_free(sound);
    sm_generator_close(generator);
    return err < 0;
}
