/* AudioSet's classes in the order of outputs: all of them (EfficientAT), and those that YAMNet knows. */
#include "models/tables.h"

#define NAME(id, name) name,
#define ID(id, name)   id,
#define NOTHING(id, name)

static const char *const names[] = {
#define CLASS   NAME
#define BESIDES NAME
#include "models/audioset.def"
};
static const char *const ids[] = {
#define CLASS   ID
#define BESIDES ID
#include "models/audioset.def"
};
static const char *const yamnet_names[] = {
#define CLASS   NAME
#define BESIDES NOTHING
#include "models/audioset.def"
};
static const char *const yamnet_ids[] = {
#define CLASS   ID
#define BESIDES NOTHING
#include "models/audioset.def"
};

const sm_classes sm_audioset_classes = { SM_LENGTH(names), names, ids, "class map" };
const sm_classes sm_yamnet_classes = { SM_LENGTH(yamnet_names), yamnet_names, yamnet_ids, "class map" };
