/* Opens FFmpeg's libraries by the names that belong to the headers we were built with; see ffmpeg.h. */
#include "ext/ffmpeg.h"

#include <dlfcn.h>

#define TEXT_(x)    #x
#define TEXT(x)     TEXT_(x)
#define FORMAT_NAME "libavformat.so." TEXT(LIBAVFORMAT_VERSION_MAJOR)
#define CODEC_NAME  "libavcodec.so." TEXT(LIBAVCODEC_VERSION_MAJOR)
#define UTIL_NAME   "libavutil.so." TEXT(LIBAVUTIL_VERSION_MAJOR)
#define PACKAGES    "libavformat" TEXT(LIBAVFORMAT_VERSION_MAJOR) " and libavcodec" TEXT(LIBAVCODEC_VERSION_MAJOR)

/* Structures are read by the headers' layout: it holds within a major version, and only grows with the minor one. */
static int check_version(void *library, const char *file, const char *function, unsigned built)
{
    unsigned (*version)(void) = NULL;

    *(void **)&version = dlsym(library, function);
    if (!version)
        return sm_fail(SM_EUNSUPPORTED, "%s has no %s", file, function);
    if (version() >> 16 != built >> 16 || version() < built)
        return sm_fail(SM_EUNSUPPORTED, "%s is version %u.%u; this program was built for %u.%u", file, version() >> 16,
                       version() >> 8 & 0xff, built >> 16, built >> 8 & 0xff);
    return 0;
}

static int open_library(const char *file, void **out)
{
    /* NODELETE: closing and opening them again for each file would cost more than decoding it */
    *out = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!*out) {
        const char *why = dlerror();
        return sm_fail(SM_EUNSUPPORTED, "needs FFmpeg's libraries, Debian packages " PACKAGES ": %s",
                       why ? why : "cannot be opened");
    }
    return 0;
}

#define LOAD(name)                                                                                                     \
    *(void **)&out->name = dlsym(library, #name);                                                                      \
    if (!out->name)                                                                                                    \
        return sm_fail(SM_EUNSUPPORTED, "%s has no function %s", file, #name);

static int load_format(void *library, const char *file, sm_ffmpeg *out)
{
    SM_FFMPEG_FORMAT(LOAD)
    return 0;
}
static int load_codec(void *library, const char *file, sm_ffmpeg *out)
{
    SM_FFMPEG_CODEC(LOAD)
    return 0;
}
static int load_util(void *library, const char *file, sm_ffmpeg *out)
{
    SM_FFMPEG_UTIL(LOAD)
    return 0;
}

int sm_ffmpeg_load(sm_ffmpeg *out)
{
    static const struct {
        const char *file, *version;
        unsigned built;
        int (*load)(void *library, const char *file, sm_ffmpeg *out);
    } libraries[] = {
        { UTIL_NAME, "avutil_version", LIBAVUTIL_VERSION_INT, load_util },
        { CODEC_NAME, "avcodec_version", LIBAVCODEC_VERSION_INT, load_codec },
        { FORMAT_NAME, "avformat_version", LIBAVFORMAT_VERSION_INT, load_format },
    };
    int err = 0;

    for (size_t i = 0; err == 0 && i < SM_LENGTH(libraries); i++) {
        void *library = NULL;
        err = open_library(libraries[i].file, &library);
        if (err == 0)
            err = check_version(library, libraries[i].file, libraries[i].version, libraries[i].built);
        if (err == 0)
            err = libraries[i].load(library, libraries[i].file, out);
        if (library)
            dlclose(library);
    }
    return err;
}
