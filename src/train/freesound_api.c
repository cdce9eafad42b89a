/* Requests to Freesound's API: a second apart, at most 2000 a day (counted in the dataset, so that runs share them), and after "429
 * Too Many Requests" as long a wait as Retry-After says. */
#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "engine/download.h"
#include "train/dataset_parts.h"
#include "train/freesound_api.h"

enum { ATTEMPTS = 5, LARGEST_ANSWER = 16 << 20, A_DAY = 2000, LONGEST_WAIT_S = 900 };

typedef struct {
    sm_buffer body;
    double retry_after_s; /* NAN: not said */
    long status;
    char why[CURL_ERROR_SIZE];
    bool network_failed;
} answer;

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    answer *a = user;
    if (a->body.length + size * count > LARGEST_ANSWER)
        return 0;
    sm_buffer_add(&a->body, data, size * count);
    return a->body.failed ? 0 : size * count;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    static const char name[] = "retry-after:";
    answer *a = user;
    const size_t n = size * count;
    char value[32];
    if (n > sizeof name && !strncasecmp(data, name, sizeof name - 1)) {
        snprintf(value, sizeof value, "%.*s", (int)SM_MIN(n - sizeof name + 1, sizeof value - 1),
                 data + sizeof name - 1);
        a->retry_after_s = strtod(value, NULL); /* seconds; a date becomes 0 and then the default */
    }
    return n;
}

static int send_once(const freesound_api *api, const char *url, answer *a)
{
    CURL *c = curl_easy_init();
    char *header = sm_printf_new("Authorization: Token %s", api->o->token);
    struct curl_slist *headers = header ? curl_slist_append(NULL, header) : NULL;
    int err = c && headers ? 0 : SM_ENOMEM;
    *a = (answer){ .retry_after_s = (double)NAN };
    if (err == 0) {
        curl_easy_setopt(c, CURLOPT_URL, url);
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, api->o->mirror ? "http,https" : "https");
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 20L);
        curl_easy_setopt(c, CURLOPT_TIMEOUT, 120L);
        curl_easy_setopt(c, CURLOPT_USERAGENT, "samplemind");
        curl_easy_setopt(c, CURLOPT_ERRORBUFFER, a->why);
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
        curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
        const CURLcode code = curl_easy_perform(c);
        a->network_failed = code != CURLE_OK;
        if (a->network_failed && !*a->why)
            snprintf(a->why, sizeof a->why, "%s", curl_easy_strerror(code));
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a->status);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    sm_free(header);
    return err;
}

/* In pieces, so that a stop is heard. */
static int wait_s(const freesound_api *api, double seconds, const char *why)
{
    const double until = sm_now_s() + SM_MIN(seconds, LONGEST_WAIT_S);
    int err = 0;
    while (err == 0 && sm_now_s() < until) {
        const double piece = SM_MIN(until - sm_now_s(), 0.2);
        const struct timespec t = { 0, (long)(SM_MAX(piece, 0) * 1e9) };
        nanosleep(&t, NULL);
        err = why ? ds_progress(&api->o->work, why, 0, 0, "files") : 0;
    }
    return err;
}

/* One more request of today's: the count is kept as "YYYY-MM-DD N" (UTC). */
static int count_request(freesound_api *api)
{
    const int most = api->o->requests_a_day > 0 ? api->o->requests_a_day : A_DAY;
    sm_arena *a = sm_arena_new();
    const char *kept = NULL;
    char today[16], value[48];
    const time_t now = time(NULL);
    struct tm utc;
    int err = a ? ds_state_get(api->d, "freesound_requests", a, &kept) : SM_ENOMEM;
    gmtime_r(&now, &utc);
    strftime(today, sizeof today, "%Y-%m-%d", &utc);
    const long before = err == 0 && kept && !strncmp(kept, today, 10) ? strtol(kept + 10, NULL, 10) : 0;
    if (err == 0 && before >= most)
        err = sm_fail(SM_ELIMIT, "today's %d requests to Freesound are spent; the same command goes on tomorrow", most);
    snprintf(value, sizeof value, "%s %ld", today, before + 1);
    if (err == 0)
        err = ds_state_set(api->d, "freesound_requests", value);
    sm_arena_free(a);
    return err;
}

static int judge(const answer *a, const char *url, bool *again)
{
    *again = a->network_failed || a->status == 429 || a->status >= 500;
    if (a->network_failed)
        return sm_fail(SM_EIO, "freesound: %s", a->why);
    if (a->status == 401 || a->status == 403)
        return sm_fail(SM_EUNSUPPORTED,
                       "freesound: the token is refused (%ld); https://freesound.org/apiv2/apply gives one", a->status);
    if (a->status == 404)
        return sm_fail(SM_ENOTFOUND, "freesound: nothing there (404): %s", url);
    if (a->status != 200)
        return sm_fail(SM_EIO, "freesound: the server answered %ld%s%.*s", a->status, a->body.length ? ": " : "",
                       (int)SM_MIN(a->body.length, 200), a->body.length ? a->body.data : "");
    return 0;
}

static double pause_after(const freesound_api *api, const answer *a, int attempt)
{
    const double usual = api->o->retry_wait_s > 0 ? api->o->retry_wait_s : 30;
    return a->status == 429 && a->retry_after_s > 0 ? a->retry_after_s : usual * (attempt + 1);
}

int freesound_get(freesound_api *api, const char *url, json_t **out)
{
    const double gap = api->o->request_gap_s > 0 ? api->o->request_gap_s : 1;
    char *real = sm_mirror_url(url, api->o->mirror);
    json_error_t why;
    answer a = { 0 };
    bool again = true;
    int err = real ? 0 : SM_ENOMEM;
    *out = NULL;
    for (int k = 0; k < ATTEMPTS && real && again; k++) {
        err = k > 0 ? wait_s(api, pause_after(api, &a, k - 1), "waiting for Freesound") : 0;
        sm_buffer_free(&a.body);
        again = false;
        if (err == 0 && api->requests > 0)
            err = wait_s(api, gap - (sm_now_s() - api->last_s), NULL);
        if (err == 0)
            err = count_request(api);
        if (err < 0)
            break;
        api->last_s = sm_now_s();
        api->requests++;
        err = send_once(api, real, &a);
        if (err == 0)
            err = judge(&a, url, &again);
    }
    if (err == 0) {
        *out = json_loadb(a.body.data ? a.body.data : "", a.body.length, 0, &why);
        if (!*out)
            err = sm_fail(SM_EFORMAT, "freesound: an answer that is no JSON: %s", why.text);
    }
    sm_buffer_free(&a.body);
    sm_free(real);
    return err;
}
