/* Fetching one official file over HTTPS: resumed, checked, there only when whole. */
#ifndef SM_ENGINE_DOWNLOAD_H
#define SM_ENGINE_DOWNLOAD_H

#include "base/base.h"

typedef struct {
    const char *name;     /* for messages: "crepe-tiny" */
    const char *url;      /* https://... */
    int64_t bytes;        /* 0: not known */
    const char *sha256;   /* hex; NULL: not known */
    const char *git_sha1; /* hex of git's blob; NULL: not known */
} sm_remote_file;

typedef struct {
    const char *mirror; /* base URL; the file is then taken from MIRROR/HOST/PATH (http is allowed there); NULL: none */
    const char *hf_token; /* sent to huggingface.co only; NULL: none */
    const char *bearer;   /* sent to the URL's own host, not where it redirects to; NULL: none */
    double retry_wait_s;  /* before the first retry, doubled each time; 0: 1 s */
    sm_progress_fn progress;
    void *user;
} sm_download_options;

/* Downloads to `path`. What has come stays in `path`.part and is gone on with by the next call. Errors: SM_ENOTFOUND (404),
 * SM_EIO (network, disk; after retries), SM_EFORMAT (another file than expected: size or hash), SM_EUNSUPPORTED (needs a login),
 * SM_ECANCELLED, SM_ENOMEM. */
int sm_download(const sm_remote_file *remote, const char *path, const sm_download_options *options);

/* Size and hash of a file against what is known of it: 0, SM_EFORMAT (says which differs), SM_EIO. */
int sm_remote_file_check(const sm_remote_file *remote, const char *path);
/* URL with the mirror applied; the caller's. NULL: no memory. */
char *sm_mirror_url(const char *url, const char *mirror);

#endif
