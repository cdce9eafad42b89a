/* The record in the nested form of Essentia's music extractor. */
#ifndef SM_ENGINE_ESSENTIA_H
#define SM_ENGINE_ESSENTIA_H

#include "engine/record.h"

void sm_essentia_write(sm_json *j, const sm_draft *d);

#endif
