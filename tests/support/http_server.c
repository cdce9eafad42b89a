#include "support/http_server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct test_http_server {
    int socket;
    char url[64];
    pthread_t thread;
    test_http_file *files;
    size_t n;
    atomic_bool stop;
};

static void send_all(int to, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        const ssize_t sent = send(to, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

static void send_head(int to, int status, int64_t length, const char *more)
{
    char head[512];
    const int n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %lld\r\nConnection: close\r\n%s\r\n",
                           status, (long long)length, more);
    send_all(to, head, (size_t)n);
}

static void answer(int to, test_http_file *f, const char *request)
{
    char more[256] = "";
    const char *range = strstr(request, "\r\nRange: bytes=");
    size_t from = range ? strtoul(range + 15, NULL, 10) : 0;
    f->requests++;
    f->ranged += range != NULL;
    if (f->location) {
        snprintf(more, sizeof more, "Location: %s\r\n", f->location);
        send_head(to, 302, 0, more);
        return;
    }
    if (f->wants_token && !strstr(request, "\r\nAuthorization: ")) {
        send_head(to, 401, 0, "");
        return;
    }
    if (f->status && (f->status_times == 0 || f->requests <= f->status_times)) {
        send_head(to, f->status, 0, f->status_header ? f->status_header : "");
        return;
    }
    if (f->no_ranges)
        range = NULL, from = 0;
    if (range && from >= f->length) {
        send_head(to, 416, 0, "");
        return;
    }
    size_t n = f->length - from;
    if (range)
        snprintf(more, sizeof more, "Content-Range: bytes %zu-%zu/%zu\r\n", from, f->length - 1, f->length);
    send_head(to, range ? 206 : 200, (int64_t)n + f->lie, more);
    if (f->break_after > 0 && f->breaks > 0) {
        f->breaks--;
        n = SM_MIN(n, f->break_after);
    }
    send_all(to, (const char *)f->body + from, n);
}

static void serve(test_http_server *s, int to)
{
    char request[4096];
    size_t n = 0;
    while (n + 1 < sizeof request) {
        const ssize_t got = recv(to, request + n, sizeof request - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        request[n] = 0;
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    request[n] = 0;
    char path[1024] = "";
    sscanf(request, "GET %1023s", path);
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(path, s->files[i].path)) {
            answer(to, &s->files[i], request);
            return;
        }
    send_head(to, 404, 0, "");
}

static void *run(void *user)
{
    test_http_server *s = user;
    while (!atomic_load(&s->stop)) {
        const int to = accept(s->socket, NULL, NULL);
        if (to < 0)
            break;
        if (!atomic_load(&s->stop))
            serve(s, to);
        shutdown(to, SHUT_WR);
        close(to);
    }
    return NULL;
}

test_http_server *test_http_start(test_http_file *files, size_t n)
{
    test_http_server *s = calloc(1, sizeof *s);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    assert_non_null(s);
    s->files = files;
    s->n = n;
    s->socket = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(s->socket >= 0);
    assert_int_equal(bind(s->socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s->socket, 8), 0);
    assert_int_equal(getsockname(s->socket, (struct sockaddr *)&address, &size), 0);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
    return s;
}

const char *test_http_url(const test_http_server *s)
{
    return s->url;
}

void test_http_stop(test_http_server *s)
{
    atomic_store(&s->stop, true);
    shutdown(s->socket, SHUT_RDWR); /* ends accept */
    close(s->socket);
    pthread_join(s->thread, NULL);
    free(s);
}
