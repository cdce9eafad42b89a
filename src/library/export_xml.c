/* The XML of DJ programs: Rekordbox's collection, and the keywords that Live keeps of a folder. */
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "library/export_parts.h"

void sm_xml_text(sm_buffer *b, const char *text)
{
    for (const char *p = text; *p;) {
        const size_t n = sm_utf8_length(p, strlen(p));
        const char *entity = *p == '&'   ? "&amp;"
                             : *p == '<' ? "&lt;"
                             : *p == '>' ? "&gt;"
                             : *p == '"' ? "&quot;"
                                         : NULL;
        if (n == 0)
            sm_buffer_text(b, "\xef\xbf\xbd");
        else if (entity)
            sm_buffer_text(b, entity);
        else if ((unsigned char)*p >= 0x20)
            sm_buffer_add(b, p, n);
        p += n ? n : 1;
    }
}

static void attribute(sm_buffer *b, const char *name, const char *text)
{
    sm_buffer_printf(b, " %s=\"", name);
    sm_xml_text(b, text ? text : "");
    sm_buffer_text(b, "\"");
}

/* ---- Rekordbox: seconds with 3 decimals, tempo with 2 ---- */

static void location(sm_buffer *b, const char *path)
{
    sm_buffer_text(b, " Location=\"file://localhost");
    for (const unsigned char *p = (const unsigned char *)path; *p; p++)
        if (isalnum(*p) || strchr("/-_.~", *p))
            sm_buffer_add(b, p, 1);
        else
            sm_buffer_printf(b, "%%%02X", *p);
    sm_buffer_text(b, "\"");
}

static const char *kind_of(const char *container)
{
    static const char *const kinds[][2] = { { "wav", "WAV File" }, { "rf64", "WAV File" },  { "aiff", "AIFF File" },
                                            { "mp3", "MP3 File" }, { "flac", "FLAC File" }, { "m4a", "M4A File" } };
    for (size_t i = 0; container && i < SM_LENGTH(kinds); i++)
        if (!strcmp(kinds[i][0], container))
            return kinds[i][1];
    return "Unknown Format";
}

static void rekordbox_begin(sm_exporter *x)
{
    sm_buffer_printf(x->out,
                     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DJ_PLAYLISTS Version=\"1.0.0\">\n"
                     "  <PRODUCT Name=\"SampleMind\" Version=\"%s\" Company=\"\"/>\n  <COLLECTION Entries=\"%zu\">\n",
                     sm_version(), x->n);
}

static double known_or_zero(const json_t *record, const char *field)
{
    const double value = sm_known_number(record, field);
    return isfinite(value) ? value : 0;
}

static void rekordbox_file(sm_exporter *x, const char *path, const json_t *record)
{
    sm_buffer *b = x->out;
    const double bpm = known_or_zero(record, "bpm"), seconds = known_or_zero(record, "duration_s");
    const char *kind = sm_known_text(record, "kind");
    char key[8];
    sm_key_short(sm_known_text(record, "key"), key);
    sm_buffer_printf(b, "    <TRACK TrackID=\"%zu\"", x->done + 1);
    attribute(b, "Name", sm_path_name(path));
    attribute(b, "Genre", sm_known_text(record, "genre"));
    attribute(b, "Kind", kind_of(sm_known_text(record, "container")));
    sm_buffer_printf(b, " Size=\"%.0f\" TotalTime=\"%.0f\" SampleRate=\"%.0f\" BitRate=\"%.0f\" AverageBpm=\"%.2f\"",
                     known_or_zero(record, "file_bytes"), seconds, known_or_zero(record, "sample_rate_hz"),
                     known_or_zero(record, "bitrate_bps") / 1000, bpm);
    attribute(b, "Tonality", key);
    attribute(b, "Comments", sm_known_text(record, "instrument"));
    location(b, path);
    sm_buffer_text(b, ">\n");
    if (bpm > 0)
        sm_buffer_printf(b, "      <TEMPO Inizio=\"%.3f\" Bpm=\"%.2f\" Metro=\"4/4\" Battito=\"1\"/>\n",
                         known_or_zero(record, "first_beat_s"), bpm);
    if (kind && !strcmp(kind, "loop"))
        sm_buffer_printf(b, "      <POSITION_MARK Name=\"\" Type=\"4\" Start=\"0.000\" End=\"%.3f\" Num=\"-1\"/>\n",
                         seconds);
    sm_buffer_text(b, "    </TRACK>\n");
    sm_buffer_printf(&x->later, "        <TRACK Key=\"%zu\"/>\n", x->done + 1);
}

static void rekordbox_end(sm_exporter *x)
{
    sm_buffer *b = x->out;
    sm_buffer_text(b, "  </COLLECTION>\n  <PLAYLISTS>\n    <NODE Type=\"0\" Name=\"ROOT\" Count=\"1\">\n      <NODE");
    attribute(b, "Name", x->o->name ? x->o->name : "SampleMind");
    sm_buffer_printf(b, " Type=\"1\" KeyType=\"0\" Entries=\"%zu\">\n", x->done);
    sm_buffer_add(b, x->later.data, x->later.length);
    sm_buffer_text(b, "      </NODE>\n    </NODE>\n  </PLAYLISTS>\n</DJ_PLAYLISTS>\n");
}

const sm_export_form sm_export_rekordbox = { rekordbox_begin, rekordbox_file, rekordbox_end };

/* ---- Live: paths from the folder that all lie in, keywords "Group|Word" ---- */

static void ableton_begin(sm_exporter *x)
{
    sm_buffer_text(x->out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                           "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"XMP Core 5.6.0\">\n"
                           " <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
                           "  <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\"\n"
                           "    xmlns:ablFR=\"https://ns.ableton.com/xmp/fs-resources/1.0/\"\n"
                           "    xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\">\n"
                           "   <dc:format>application/vnd.ableton.folder</dc:format>\n"
                           "   <ablFR:resource>folder</ablFR:resource>\n   <ablFR:items>\n    <rdf:Bag>\n");
}

static void keyword(sm_buffer *b, const char *group, const char *word)
{
    if (!word || !*word)
        return;
    sm_buffer_printf(b, "        <rdf:li>%s|%c", group, toupper((unsigned char)*word));
    sm_xml_text(b, word + 1);
    sm_buffer_text(b, "</rdf:li>\n");
}

static void ableton_file(sm_exporter *x, const char *path, const json_t *record)
{
    sm_buffer *b = x->out;
    char key[8];
    sm_key_short(sm_known_text(record, "key"), key);
    sm_buffer_text(b, "     <rdf:li rdf:parseType=\"Resource\">\n      <ablFR:filePath>");
    sm_xml_text(b, path + x->common);
    sm_buffer_text(b, "</ablFR:filePath>\n      <ablFR:keywords>\n       <rdf:Bag>\n");
    keyword(b, "Sounds", sm_known_text(record, "instrument"));
    keyword(b, "Genres", sm_known_text(record, "genre"));
    keyword(b, "Character", sm_known_text(record, "mood"));
    keyword(b, "Type", sm_known_text(record, "kind"));
    keyword(b, "Key", key);
    sm_buffer_text(b, "       </rdf:Bag>\n      </ablFR:keywords>\n     </rdf:li>\n");
}

static void ableton_end(sm_exporter *x)
{
    sm_buffer_text(x->out, "    </rdf:Bag>\n   </ablFR:items>\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n");
}

const sm_export_form sm_export_ableton = { ableton_begin, ableton_file, ableton_end };
