#include "weights/json_in.h"

int w_json_parse(const void *text, size_t size, const char *what, json_t **out)
{
    json_error_t error;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (*out)
        return 0;
    if (json_error_code(&error) == json_error_out_of_memory)
        return w_no_memory();
    return sm_fail(SM_EFORMAT, "%s is no proper JSON: %s at byte %d", what, error.text, error.position);
}

int w_json_shape(const json_t *array, const char *what, nn_shape *out)
{
    if (!json_is_array(array))
        return sm_fail(SM_EFORMAT, "%s has no shape", what);
    const size_t n = json_array_size(array);
    if (n > NN_MAX_RANK)
        return sm_fail(SM_EUNSUPPORTED, "%s has %zu axes, at most %d are supported", what, n, NN_MAX_RANK);
    out->rank = (int)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *dim = json_array_get(array, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return sm_fail(SM_EFORMAT, "%s: its shape holds something that is no size", what);
        out->dim[i] = json_integer_value(dim);
    }
    return 0;
}
