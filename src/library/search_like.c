/* like: ranks what the query leaves by how much it sounds like something. */
#include <math.h>

#include "library/search_internal.h"

int search_likeness(search *r)
{
    (void)r;
    return sm_fail(SM_EUNSUPPORTED, "like: is not in this version");
}
