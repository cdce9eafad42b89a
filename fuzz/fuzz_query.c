/* Queries from anywhere: an error with a message, or a tree whose print parses to the same print again. */
#include <stdlib.h>
#include <string.h>

#include "library/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static thesaurus *shipped;

/* Before the first input: making it takes longer than a query. */
__attribute__((constructor)) static void open_thesaurus(void)
{
    if (thesaurus_open(NULL, &shipped) < 0)
        abort();
}

static void check(const char *text, const thesaurus *t)
{
    query *q = NULL, *again = NULL;
    sm_buffer first = { 0 }, second = { 0 }, said = { 0 };
    if (query_parse(text, t, &q) < 0) {
        if (!*sm_last_error())
            abort();
        return;
    }
    query_print(q, &first);
    query_explain(q, &said);
    if (query_parse(first.data ? first.data : "", t, &again) < 0)
        abort();
    query_print(again, &second);
    if (first.length != second.length || (first.length > 0 && memcmp(first.data, second.data, first.length) != 0) ||
        q->n_leaves != again->n_leaves)
        abort();
    query_free(q);
    query_free(again);
    sm_buffer_free(&first);
    sm_buffer_free(&second);
    sm_buffer_free(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = sm_strndup((const char *)data, strnlen((const char *)data, size));
    if (text) {
        check(text, shipped);
        check(text, NULL);
    }
    sm_free(text);
    return 0;
}
