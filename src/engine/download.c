/* Downloads with libcurl: resume, retries, size and hash checks, atomic appearance. */
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/download.h"

enum { ATTEMPTS = 5 };

/* One transfer into PATH.part. */
typedef struct {
    const sm_remote_file *remote;
    const sm_download_options *options;
    CURL *curl;
    FILE *part;
    const char *part_path;
    int64_t had;   /* bytes that were there before this attempt */
    int64_t limit; /* more than so many bytes are too many */
    bool started;  /* the first bytes of this attempt came */
    bool too_large, disk_error, cancelled;
    double last_report_s;
    char range[32];
} transfer;

char *sm_mirror_url(const char *url, const char *mirror)
{
    if (!mirror || !*mirror)
        return sm_strdup(url);
    const char *rest = strstr(url, "://");
    rest = rest ? rest + 3 : url;
    const size_t n = strlen(mirror);
    return sm_printf_new("%.*s/%s", (int)(mirror[n - 1] == '/' ? n - 1 : n), mirror, rest);
}

/* A server that does not know ranges answers 200 and the whole file: then what was there is dropped. */
static bool start_of_body(transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->started = true;
    if (t->had > 0 && status != 206) {
        if (fflush(t->part) != 0 || ftruncate(fileno(t->part), 0) < 0 || fseek(t->part, 0, SEEK_SET) < 0)
            return false;
        t->had = 0;
    }
    return true;
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
    transfer *t = user;
    const size_t n = size * count;
    if (!t->started && !start_of_body(t)) {
        t->disk_error = true;
        return 0;
    }
    if (t->had + (int64_t)n > t->limit) {
        t->too_large = true;
        return 0;
    }
    if (fwrite(data, 1, n, t->part) != n) {
        t->disk_error = true;
        return 0;
    }
    t->had += (int64_t)n;
    return n;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    transfer *t = user;
    (void)now, (void)up_total, (void)up_now;
    const double clock = sm_now_s();
    if (!t->options->progress || clock - t->last_report_s < 0.1)
        return 0;
    t->last_report_s = clock;
    const double expected = t->remote->bytes > 0 ? (double)t->remote->bytes : total > 0 ? (double)total : 0;
    const sm_progress_info p = { .what = t->remote->name, .done = (double)t->had, .total = expected, .unit = "bytes" };
    t->cancelled = t->options->progress(t->options->user, &p) != 0;
    return t->cancelled;
}

static bool is_hugging_face(const char *url)
{
    return strncmp(url, "https://huggingface.co/", 23) == 0;
}

static void set_options(transfer *t, const char *url, char error_text[CURL_ERROR_SIZE])
{
    CURL *c = t->curl;
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, t->options->mirror ? "http,https" : "https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, t->options->mirror ? "http,https" : "https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 20L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 100L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "samplemind");
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error_text);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    /* not CURLOPT_RESUME_FROM: that gives up where a server answers with the whole file */
    snprintf(t->range, sizeof t->range, "%lld-", (long long)t->had);
    if (t->had > 0)
        curl_easy_setopt(c, CURLOPT_RANGE, t->range);
    if (t->options->hf_token && is_hugging_face(t->remote->url)) {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, t->options->hf_token);
    } else if (t->options->bearer) {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, t->options->bearer);
    }
}

static int http_failure(const transfer *t, const char *url, long status)
{
    const char *name = t->remote->name;
    if (status == 404)
        return sm_fail(SM_ENOTFOUND, "%s: the server has no such file (404): %s", name, url);
    if (status == 401 || status == 403)
        return sm_fail(SM_EUNSUPPORTED, "%s: the server wants a login (%ld); for gated files set HF_TOKEN: %s", name,
                       status, url);
    return sm_fail(SM_EIO, "%s: the server answered %ld: %s", name, status, url);
}

/* The code of a finished attempt; *again: another attempt may help. */
static int judge(const transfer *t, CURLcode code, const char *url, const char *error_text, bool *again)
{
    const char *name = t->remote->name;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    *again = false;
    if (code == CURLE_OK)
        return 0;
    if (t->cancelled)
        return sm_fail(SM_ECANCELLED, "%s: stopped; the next pull goes on where this one was", name);
    if (t->too_large)
        return sm_fail(SM_EFORMAT, "%s: the server sends more than the %lld bytes that were expected: %s", name,
                       (long long)t->limit, url);
    if (t->disk_error)
        return sm_fail(SM_EIO, "%s: %s", t->part_path, strerror(errno));
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        *again = status >= 500 || status == 429 || status == 416;
        return http_failure(t, url, status);
    }
    *again =
        code != CURLE_URL_MALFORMAT && code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_PEER_FAILED_VERIFICATION;
    return sm_fail(SM_EIO, "%s: %s (%lld bytes came): %s", name, *error_text ? error_text : curl_easy_strerror(code),
                   (long long)t->had, url);
}

static int attempt(const sm_remote_file *remote, const char *url, const char *part_path,
                   const sm_download_options *options, bool *again)
{
    char error_text[CURL_ERROR_SIZE] = "";
    transfer t = { .remote = remote, .options = options, .part_path = part_path };
    t.limit = remote->bytes > 0 ? remote->bytes : (int64_t)64 << 30;
    int err = 0;
    *again = false;
    t.part = fopen(part_path, "ab");
    if (!t.part)
        return sm_fail(SM_EIO, "%s: %s", part_path, strerror(errno));
    struct stat s;
    if (fstat(fileno(t.part), &s) == 0)
        t.had = s.st_size;
    if (remote->bytes > 0 && t.had >= remote->bytes) {
        fclose(t.part); /* whole already (or too much: the check of size and hash will say) */
        return 0;
    }
    t.curl = curl_easy_init();
    if (!t.curl) {
        err = sm_fail(SM_ENOMEM, "%s: no memory for a download", remote->name);
    } else {
        set_options(&t, url, error_text);
        const CURLcode code = curl_easy_perform(t.curl);
        err = judge(&t, code, url, error_text, again);
        long status = 0;
        curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &status);
        if (status == 416 && ftruncate(fileno(t.part), 0) < 0) /* what we have is no part of what the server has */
            *again = false;
        curl_easy_cleanup(t.curl);
    }
    if (fclose(t.part) != 0 && err == 0)
        err = sm_fail(SM_EIO, "%s: %s", part_path, strerror(errno));
    return err;
}

/* git's name of a blob: SHA-1 over "blob SIZE\0" and the content. */
static int git_blob_sha1(const char *path, char out[65])
{
    sm_map *map = NULL;
    sm_hasher *hasher = NULL;
    int err = sm_map_open(path, &map);
    if (err == 0)
        err = sm_hasher_new(SM_HASH_SHA1, &hasher);
    if (err == 0) {
        char head[40];
        const int n = snprintf(head, sizeof head, "blob %zu", sm_map_size(map));
        sm_hasher_add(hasher, head, (size_t)n + 1);
        sm_hasher_add(hasher, sm_map_data(map), sm_map_size(map));
        sm_hasher_hex(hasher, out);
    }
    sm_hasher_free(hasher);
    sm_map_close(map);
    return err;
}

int sm_remote_file_check(const sm_remote_file *remote, const char *path)
{
    struct stat s;
    char hex[65];
    if (stat(path, &s) < 0)
        return sm_fail(SM_EIO, "%s: %s", path, strerror(errno));
    if (remote->bytes > 0 && s.st_size != remote->bytes)
        return sm_fail(SM_EFORMAT, "%s: %s has %lld bytes, the official file has %lld", remote->name, path,
                       (long long)s.st_size, (long long)remote->bytes);
    if (remote->sha256) {
        const int err = sm_hash_file(SM_HASH_SHA256, path, hex);
        if (err < 0)
            return err;
        if (strcmp(hex, remote->sha256) != 0)
            return sm_fail(SM_EFORMAT, "%s: %s has SHA-256 %.12s..., the official file has %.12s...", remote->name,
                           path, hex, remote->sha256);
    }
    if (remote->git_sha1) {
        const int err = git_blob_sha1(path, hex);
        if (err < 0)
            return err;
        if (strcmp(hex, remote->git_sha1) != 0)
            return sm_fail(SM_EFORMAT, "%s: %s is git blob %.12s..., the official file is %.12s...", remote->name, path,
                           hex, remote->git_sha1);
    }
    return 0;
}

static void wait_s(double seconds)
{
    const struct timespec t = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    nanosleep(&t, NULL);
}

/* All attempts, until the part is whole and right. A part of a wrong file is thrown away once and fetched anew. */
static int fetch_part(const sm_remote_file *remote, const char *url, const char *part,
                      const sm_download_options *options)
{
    double wait = options->retry_wait_s > 0 ? options->retry_wait_s : 1;
    bool fresh = access(part, F_OK) != 0;
    int err = 0;
    for (int i = 0; i < ATTEMPTS; i++) {
        bool again = false;
        err = attempt(remote, url, part, options, &again);
        if (err == 0) {
            err = sm_remote_file_check(remote, part);
            if (err == SM_EFORMAT)
                unlink(part);
            if (err != SM_EFORMAT || fresh)
                return err;
            fresh = true; /* an old part may have been of another file */
            continue;
        }
        if (!again)
            break;
        if (i + 1 < ATTEMPTS)
            wait_s(wait);
        wait *= 2;
    }
    if (err == SM_EFORMAT)
        unlink(part);
    return err;
}

int sm_download(const sm_remote_file *remote, const char *path, const sm_download_options *options)
{
    static const sm_download_options none = { 0 };
    char *part = sm_printf_new("%s.part", path);
    char *url = sm_mirror_url(remote->url, options ? options->mirror : NULL);
    int err = part && url ? 0 : SM_ENOMEM;
    if (err == 0)
        err = fetch_part(remote, url, part, options ? options : &none);
    if (err == 0 && rename(part, path) < 0)
        err = sm_fail(SM_EIO, "%s: %s", path, strerror(errno));
    sm_free(part);
    sm_free(url);
    return err;
}
