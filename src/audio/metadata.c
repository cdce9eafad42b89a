/* Metadata: text to UTF-8, tags, and the walk to the parser of each kind of file. */
#include <ctype.h>
#include <string.h>

#include "audio/reader.h"

/* Windows-1252, 0x80 to 0x9f: what programs write where "Latin-1" is asked for. 0: not a character. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
};

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static size_t latin1_to_utf8(const uint8_t *bytes, size_t n, char *out)
{
    size_t length = 0;
    for (size_t i = 0; i < n && bytes[i]; i++) {
        const uint32_t c = bytes[i] >= 0x80 && bytes[i] < 0xa0 ? windows_1252[bytes[i] - 0x80] : bytes[i];
        length += put_utf8(c ? c : 0xfffd, out + length);
    }
    return length;
}

static size_t utf16_to_utf8(const uint8_t *bytes, size_t n, bool big, char *out)
{
    size_t length = 0;

    if (n >= 2 && ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == 0xfe && bytes[1] == 0xff))) {
        big = bytes[0] == 0xfe;
        bytes += 2;
        n -= 2;
    }
    for (size_t i = 0; i + 1 < n; i += 2) {
        uint32_t c = big ? sm_be16(bytes + i) : sm_le16(bytes + i);
        if (c == 0)
            break;
        if (c >= 0xd800 && c < 0xdc00 && i + 3 < n) {
            const uint32_t low = big ? sm_be16(bytes + i + 2) : sm_le16(bytes + i + 2);
            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                i += 2;
            }
        }
        length += put_utf8(c >= 0xd800 && c < 0xe000 ? 0xfffd : c, out + length);
    }
    return length;
}

int sm_meta_text(sm_text_encoding encoding, const uint8_t *bytes, size_t n, char **out)
{
    char *text;
    size_t length = 0, start = 0;

    *out = NULL;
    n = SM_MIN(n, (size_t)SM_META_TEXT);
    text = sm_alloc(3 * n + 1, 1); /* the longest: a Windows-1252 byte or a UTF-16 unit becomes three */
    if (!text)
        return SM_ENOMEM;
    if (encoding == SM_TEXT_ANY || encoding == SM_TEXT_UTF8) {
        size_t end = strnlen((const char *)bytes, n);
        for (int cut = 0; cut < 4 && n == SM_META_TEXT && end > 0 && !sm_utf8_valid((const char *)bytes, end); cut++)
            end--; /* our own cut may have gone through a character */
        encoding = sm_utf8_valid((const char *)bytes, end) ? SM_TEXT_UTF8 : SM_TEXT_LATIN1;
        if (encoding == SM_TEXT_UTF8)
            memcpy(text, bytes, length = end);
    }
    if (encoding == SM_TEXT_LATIN1)
        length = latin1_to_utf8(bytes, n, text);
    else if (encoding != SM_TEXT_UTF8)
        length = utf16_to_utf8(bytes, n, encoding == SM_TEXT_UTF16_BE, text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    while (start < length && isspace((unsigned char)text[start]))
        start++;
    memmove(text, text + start, length - start);
    text[length - start] = 0;
    *out = text;
    return 0;
}

const char *sm_meta_find(const sm_audio_metadata *meta, const char *key)
{
    for (size_t i = 0; i < meta->n_tags; i++)
        if (strcmp(meta->tags[i].key, key) == 0)
            return meta->tags[i].value;
    return NULL;
}

static bool has_tag(const sm_audio_metadata *meta, const char *key, const char *value)
{
    for (size_t i = 0; i < meta->n_tags; i++)
        if (strcmp(meta->tags[i].key, key) == 0 && strcmp(meta->tags[i].value, value) == 0)
            return true;
    return false;
}

int sm_meta_tag(sm_audio_metadata *meta, const char *key, sm_text_encoding encoding, const uint8_t *value, size_t n)
{
    sm_audio_tag tag = { NULL, NULL };
    sm_audio_tag *grown;
    int err;

    if (meta->n_tags >= SM_META_TAGS || !*key)
        return 0;
    err = sm_meta_text(encoding, value, n, &tag.value);
    if (err == 0)
        err = sm_meta_text(SM_TEXT_ANY, (const uint8_t *)key, strlen(key), &tag.key);
    if (err < 0)
        goto out;
    for (char *c = tag.key; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    if (!*tag.value || !*tag.key || has_tag(meta, tag.key, tag.value))
        goto out;
    grown = sm_realloc(meta->tags, meta->n_tags + 1, sizeof *grown);
    if (!grown) {
        err = SM_ENOMEM;
        goto out;
    }
    meta->tags = grown;
    meta->tags[meta->n_tags++] = tag;
    return 0;

out:
    sm_free(tag.key);
    sm_free(tag.value);
    return err;
}

const char *sm_meta_rename(const sm_meta_name *names, size_t n, const char *native)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(names[i].native, native) == 0)
            return names[i].key;
    return native;
}

static const struct {
    const char *container;
    int (*parse)(sm_source *s, sm_audio_metadata *meta);
} parsers[] = {
    { "wav", sm_meta_riff }, { "rf64", sm_meta_riff }, { "w64", sm_meta_riff },     { "aiff", sm_meta_aiff },
    { "caf", sm_meta_caf },  { "flac", sm_meta_flac }, { "ogg", sm_meta_ogg },      { "mp3", sm_meta_mpeg },
    { "aac", sm_meta_mpeg }, { "ape", sm_meta_mpeg },  { "wavpack", sm_meta_mpeg },
};

int sm_meta_source(sm_source *s, sm_audio_metadata *meta)
{
    sm_source inside = *s; /* the caller's source keeps its place; the cache is shared and forgotten afterwards */
    const int64_t tag = sm_id3_length(&inside, 0);
    const sm_audio_kind *kind = sm_audio_kind_find(&inside);
    int err = 0;

    inside.read_errno = 0;
    for (size_t i = 0; kind && err == 0 && i < SM_LENGTH(parsers); i++)
        if (strcmp(kind->container, parsers[i].container) == 0)
            err = parsers[i].parse(&inside, meta);
    if (err == 0 && tag > 0 && inside.start > s->start) { /* a tag before a kind that has none */
        inside = *s;
        inside.cached = 0;
        err = sm_meta_id3v2(&inside, 0, tag, meta);
    }
    s->cached = 0;
    return err;
}

int sm_audio_metadata_parse(const void *data, size_t size, sm_audio_metadata *out)
{
    sm_source s;

    *out = (sm_audio_metadata){ 0 };
    sm_source_memory(data, size, &s);
    return sm_meta_source(&s, out);
}

void sm_audio_metadata_free(sm_audio_metadata *m)
{
    for (size_t i = 0; i < m->n_tags; i++) {
        sm_free(m->tags[i].key);
        sm_free(m->tags[i].value);
    }
    for (size_t i = 0; i < m->n_cues; i++)
        sm_free(m->cues[i].label);
    sm_free(m->tags);
    sm_free(m->cues);
    sm_free(m->smpl.loops);
    *m = (sm_audio_metadata){ 0 };
}
