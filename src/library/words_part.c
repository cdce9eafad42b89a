/* What the scan does for searching: nothing while it runs, and words and columns of all that changed at its end. */
#include "library/columns.h"
#include "library/scan.h"
#include "library/search.h"

static int keep(sm_store *s, int64_t content, const sm_record *record, const sm_buffer *computed)
{
    (void)s;
    (void)content;
    (void)record;
    (void)computed;
    return 0; /* the triggers have noted it */
}

static int finish(sm_store *s)
{
    thesaurus *t = NULL;
    int err = search_thesaurus(s, &t);
    if (err == 0)
        err = sm_store_columns_refresh(s, t, true);
    thesaurus_free(t);
    return err;
}

const sm_scan_part sm_scan_words = { .name = "words", .version = 1, .keep = keep, .finish = finish };
