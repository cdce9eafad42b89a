/* Makes a folder of N tiny, distinct sounds, named and nested as sample packs are: what bench/library.sh lists and scans.
 *   cc -O2 tools/make_tree.c -lm -o make_tree && ./make_tree DIR N [FRAMES]
 * FRAMES: of 16 bits at 44.1 kHz, each file has that many and up to a quarter more (default 8: 60 bytes). The same N and FRAMES give
 * the same tree, but for the times of the files. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

enum { RATE = 44100, HEAD = 44, MOST_FRAMES = 1 << 20, A_FOLDER = 96 };

static const char *const makers[] = { "Analog Garden", "Basement Tapes", "Cold Cuts", "Dust & Needles", "Echo Park" };
static const char *const kinds[] = {
    "Kicks", "Snares", "Claps", "Hats", "Toms", "Bass", "Leads", "Pads", "FX", "Loops"
};
static const char *const words[] = {
    "Dark", "Deep", "Dirty", "Fat", "Hard", "Lofi", "Punchy", "Soft", "Tight", "Warm"
};
static const char *const keys[] = { "A", "Bm", "C#m", "Dm", "E", "F#", "G", "Am" };
#define PICK(list, n) list[(n) % (sizeof(list) / sizeof *(list))]

static uint32_t mix(uint32_t x) /* splitmix's finaliser */
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

static void le(uint8_t *p, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(value >> 8 * i);
}

/* A decaying tone and noise, both by the number of the file. */
static size_t make_wav(uint32_t n, uint32_t frames, uint8_t *out)
{
    const uint32_t seed = mix(n + 1);
    const double step = 2 * M_PI * (50 + seed % 2000) / RATE, fall = exp(-3.0 / frames);
    double level = 12000;
    frames += mix(seed) % (frames / 4 + 1);
    memcpy(out, "RIFF....WAVEfmt ", 16);
    le(out + 4, HEAD - 8 + 2 * frames, 4);
    le(out + 16, 16, 4), le(out + 20, 1, 2), le(out + 22, 1, 2), le(out + 24, RATE, 4);
    le(out + 28, 2 * RATE, 4), le(out + 32, 2, 2), le(out + 34, 16, 2);
    memcpy(out + 36, "data", 4);
    le(out + 40, 2 * frames, 4);
    for (uint32_t i = 0; i < frames; i++, level *= fall) {
        const int noise = (int)(mix(seed + i) % 4000) - 2000;
        le(out + HEAD + 2 * (size_t)i, (uint32_t)(uint16_t)(int16_t)(level * sin(step * i) + noise), 2);
    }
    return HEAD + 2 * (size_t)frames;
}

static void die(const char *path)
{
    fprintf(stderr, "make_tree: %s: %s\n", path, strerror(errno));
    exit(1);
}

static void folder(const char *path)
{
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        die(path);
}

int main(int argc, char **argv)
{
    const long n = argc > 2 ? atol(argv[2]) : 0, frames = argc > 3 ? atol(argv[3]) : 8;
    static uint8_t bytes[HEAD + 4 * MOST_FRAMES];
    char path[4096], in[4096];
    if (n < 1 || frames < 1 || frames > MOST_FRAMES || strlen(argv[1]) > 3000) {
        fprintf(stderr, "usage: make_tree DIR N [FRAMES]\n");
        return 2;
    }
    folder(argv[1]);
    for (long i = 0; i < n; i++) {
        const uint32_t place = (uint32_t)(i / A_FOLDER), pack = place / 10;
        if (i % A_FOLDER == 0) { /* the next kind of the pack */
            snprintf(path, sizeof path, "%s/%s", argv[1], PICK(makers, pack));
            folder(path);
            snprintf(in, sizeof in, "%.3800s/Pack %03u", path, pack);
            folder(in);
            snprintf(path, sizeof path, "%.3800s/%s", in, PICK(kinds, place));
            folder(path);
            strcpy(in, path);
        }
        const uint32_t h = mix((uint32_t)i);
        snprintf(path, sizeof path, "%.3900s/%s_%s_%02ld_%ubpm_%s.wav", in, PICK(words, h), PICK(kinds, place),
                 i % A_FOLDER, 80 + h % 97, PICK(keys, h >> 8));
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        const size_t size = make_wav((uint32_t)i, (uint32_t)frames, bytes);
        if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd) < 0)
            die(path);
    }
    return 0;
}
