/* Tags into files of any bytes: what is written keeps its audio, says what it was told, is nothing to do a second time, and leads back to the
 * old bytes; what is refused stays as it was. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audio/tag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const sm_tag_edit edit = { .text = { [SM_TAG_TITLE] = "Kick \xe2\x99\xaf"
                                                             "1",
                                            [SM_TAG_COMMENT] = "8A - 6",
                                            [SM_TAG_GENRE] = "Techno",
                                            [SM_TAG_MOOD] = "dark",
                                            [SM_TAG_INSTRUMENT] = "kick",
                                            [SM_TAG_BPM] = "128",
                                            [SM_TAG_KEY] = "C#m",
                                            [SM_TAG_KEYWORDS] = "dark; kick" },
                                  .overwrite = { true, true, true, true, true, true, true, true },
                                  .overwrite_chunks = true,
                                  .acid = true,
                                  .smpl = true,
                                  .inst = true,
                                  .acid_values = { .root_note = 49, .beats = 4, .tempo = 128 },
                                  .unity_note = 49,
                                  .fine_cents = -20,
                                  .loop = true,
                                  .frames = 1000 };

static void put(const char *path, const uint8_t *data, size_t size)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
}

static void is_as_before(const char *path, const uint8_t *data, size_t size)
{
    sm_buffer now = { 0 };
    if (sm_file_read(path, 1 << 26, &now) < 0 || now.length != size || (size > 0 && memcmp(now.data, data, size) != 0))
        abort();
    sm_buffer_free(&now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64], before[65] = "", after[65] = "";
    sm_tag_result r, again;
    snprintf(path, sizeof path, "%s/sm_fuzz_tag_%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
             (long)getpid());
    put(path, data, size);
    const bool hashed = sm_tag_payload_hash(path, before) == 0;
    const int err = sm_tag_write(path, &edit, &(sm_tag_how){ 0 }, &r);
    if (err < 0 || !r.writes)
        is_as_before(path, data, size);
    else {
        if (!hashed || sm_tag_payload_hash(path, after) != 0 || strcmp(before, after) != 0)
            abort();
        if (sm_tag_restore(path, &r.back, r.hash_before, r.hash_after, r.mtime_ns) != 0)
            abort();
        is_as_before(path, data, size);
        if (sm_tag_write(path, &edit, &(sm_tag_how){ .dry_run = true }, &again) != 0 || again.n != r.n)
            abort(); /* a rehearsal says the same and changes nothing */
        is_as_before(path, data, size);
        sm_tag_result_free(&again);
    }
    sm_tag_result_free(&r);
    unlink(path);
    return 0;
}
