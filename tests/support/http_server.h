/* A small HTTP server on loopback that also behaves badly, for the tests of downloads. */
#ifndef SM_TEST_HTTP_SERVER_H
#define SM_TEST_HTTP_SERVER_H

#include "support/support.h"

typedef struct {
    const char *path; /* "/host/dir/file.bin" */
    const void *body;
    size_t length;
    size_t break_after;        /* close the connection after so many bytes of a response's body; 0: never */
    int breaks;                /* so often, then behave */
    int64_t lie;               /* added to Content-Length */
    bool no_ranges;            /* answer 200 and everything to a Range request */
    int status;                /* 0: 200 (or 206); else this, with an empty body */
    int status_times;          /* so often, then behave; 0: for ever */
    const char *status_header; /* sent along: "Retry-After: 1\r\n"; NULL: none */
    const char *location;      /* of a redirect */
    bool wants_token;          /* 401 without an Authorization header */
    int requests, ranged;      /* out: how many came, how many asked for a range */
} test_http_file;

typedef struct test_http_server test_http_server;
/* files stay the caller's and are written to (requests). */
test_http_server *test_http_start(test_http_file *files, size_t n);
const char *test_http_url(const test_http_server *s); /* "http://127.0.0.1:PORT" */
void test_http_stop(test_http_server *s);

#endif
