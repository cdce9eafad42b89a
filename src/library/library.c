/* Where libraries are. */
#include "library/library.h"

char *sm_library_path(const char *given)
{
    if (given)
        return sm_strdup(given);
    char *data = sm_data_directory();
    char *path = data ? sm_printf_new("%s/library", data) : NULL;
    sm_free(data);
    return path;
}
