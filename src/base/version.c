/* The one place that knows the version; the Makefile reads it from here. */
#include "base/base.h"

const char *sm_version(void)
{
    return "0.1.0";
}
