/* FFmpeg's libraries, opened when the first file comes that needs them: linking them costs 43 ms and 135 libraries at every
 * start. The functions keep FFmpeg's own names and types. */
#ifndef SM_EXT_FFMPEG_H
#define SM_EXT_FFMPEG_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "base/base.h"

/* name, as X(name) */
#define SM_FFMPEG_FORMAT(X)                                                                                            \
    X(avformat_alloc_context)                                                                                          \
    X(avformat_open_input)                                                                                             \
    X(avformat_find_stream_info)                                                                                       \
    X(avformat_close_input)                                                                                            \
    X(av_find_best_stream)                                                                                             \
    X(av_read_frame)                                                                                                   \
    X(av_seek_frame)                                                                                                   \
    X(avio_alloc_context)                                                                                              \
    X(avio_context_free)
#define SM_FFMPEG_CODEC(X)                                                                                             \
    X(avcodec_alloc_context3)                                                                                          \
    X(avcodec_parameters_to_context)                                                                                   \
    X(avcodec_get_name)                                                                                                \
    X(avcodec_descriptor_get)                                                                                          \
    X(avcodec_open2)                                                                                                   \
    X(avcodec_free_context)                                                                                            \
    X(avcodec_flush_buffers)                                                                                           \
    X(avcodec_send_packet)                                                                                             \
    X(avcodec_receive_frame)                                                                                           \
    X(av_packet_alloc)                                                                                                 \
    X(av_packet_unref)                                                                                                 \
    X(av_packet_free)
#define SM_FFMPEG_UTIL(X)                                                                                              \
    X(av_malloc)                                                                                                       \
    X(av_freep)                                                                                                        \
    X(av_frame_alloc)                                                                                                  \
    X(av_frame_free)                                                                                                   \
    X(av_strerror)                                                                                                     \
    X(av_log_set_level)                                                                                                \
    X(av_rescale_q)                                                                                                    \
    X(av_dict_get)

typedef struct {
#define SM_FFMPEG_MEMBER(name) __typeof__(&name) name;
    SM_FFMPEG_FORMAT(SM_FFMPEG_MEMBER)
    SM_FFMPEG_CODEC(SM_FFMPEG_MEMBER)
    SM_FFMPEG_UTIL(SM_FFMPEG_MEMBER)
#undef SM_FFMPEG_MEMBER
} sm_ffmpeg;

/* SM_EUNSUPPORTED: not installed, or not of the version that this program was built for; the message names the package.
 * The libraries stay in the process once they are opened; there is nothing to close. */
int sm_ffmpeg_load(sm_ffmpeg *out);

#endif
