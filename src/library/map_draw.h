/* A map as a picture. Private to the room. */
#ifndef SM_LIBRARY_MAP_DRAW_H
#define SM_LIBRARY_MAP_DRAW_H

#include "base/base.h"

typedef struct {
    const sm_map_point *points;
    size_t n;
    double trustworthiness;
    const char *space;
} sm_map_picture;
/* Writes it as "html", "svg" or "json". SM_EUSAGE: another word; SM_ENOMEM. */
int sm_map_draw(const sm_map_picture *p, const char *form, sm_buffer *out);

#endif
