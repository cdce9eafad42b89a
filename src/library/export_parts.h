/* What the forms of export share. */
#ifndef SM_LIBRARY_EXPORT_PARTS_H
#define SM_LIBRARY_EXPORT_PARTS_H

#include "library/known.h"

/* Text as it may stand in XML's attributes and elements: escaped, control characters gone, what is no UTF-8 as U+FFFD. */
void sm_xml_text(sm_buffer *b, const char *text);
/* One form: before all, one file, after all. Into a buffer that is written out after each. */
typedef struct sm_exporter sm_exporter;
struct sm_exporter {
    const sm_export_options *o;
    sm_buffer *out;
    const char *const *paths; /* all that will come */
    size_t n, done;           /* done: files that are written */
    size_t common;            /* bytes of the folder that all lie in */
    sm_buffer later;          /* what stands at the end */
};
typedef struct {
    void (*begin)(sm_exporter *x);
    void (*file)(sm_exporter *x, const char *path, const json_t *record);
    void (*end)(sm_exporter *x);
} sm_export_form;
extern const sm_export_form sm_export_rekordbox, sm_export_ableton; /* export_xml.c */

#endif
