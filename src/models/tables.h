/* Class lists that ship with the program: facts, from the publishers' lists. */
#ifndef SM_MODELS_TABLES_H
#define SM_MODELS_TABLES_H

#include "models/model.h"

extern const sm_classes sm_yamnet_classes;   /* 521, yamnet_class_map.csv */
extern const sm_classes sm_audioset_classes; /* 527, class_labels_indices.csv */
/* "danceability", "genre_discogs400", "msd" ...; NULL: no list of that name */
const sm_classes *sm_essentia_classes(const char *task);

#endif
