/* Metadata of sound files of every kind, from any bytes: every text that comes out is UTF-8, and every loop and cue is there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sm_audio_metadata m;

    if (sm_audio_metadata_parse(data, size, &m) != 0)
        abort(); /* damage is no error here */
    for (size_t i = 0; i < m.n_tags; i++)
        if (!*m.tags[i].key || !*m.tags[i].value || !sm_utf8_valid(m.tags[i].key, strlen(m.tags[i].key)) ||
            !sm_utf8_valid(m.tags[i].value, strlen(m.tags[i].value)))
            abort();
    for (size_t i = 0; i < m.n_cues; i++)
        if (m.cues[i].frame < 0 || (m.cues[i].label && !sm_utf8_valid(m.cues[i].label, strlen(m.cues[i].label))))
            abort();
    for (size_t i = 0; i < m.smpl.n_loops; i++)
        if (m.smpl.loops[i].type < 0 || m.smpl.loops[i].type > 2)
            abort();
    if (m.has_acid && !(isfinite(m.acid.tempo) && m.acid.tempo >= 0))
        abort();
    sm_audio_metadata_free(&m);
    return 0;
}
