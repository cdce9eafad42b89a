#include "support/golden.h"

#include <stdlib.h>
#include <string.h>

float *test_golden_f32(const char *path, const char *name, size_t *n)
{
    FILE *f = fopen(path, "rb");
    uint64_t length = 0, begin = 0, end = 0;
    char key[256], *header = NULL, *at = NULL;
    float *values = NULL;

    if (!f || fread(&length, 8, 1, f) != 1 || length > 1 << 20 || !(header = calloc(1, length + 1)) ||
        fread(header, 1, length, f) != length)
        fail_msg("%s: cannot be read", path);
    snprintf(key, sizeof key, "\"%s\"", name);
    at = strstr(header, key);
    at = at ? strstr(at, "\"data_offsets\"") : NULL;
    at = at ? strchr(at, '[') : NULL;
    if (!at || sscanf(at, "[%lu,%lu", &begin, &end) != 2 || end < begin)
        fail_msg("%s: no tensor %s", path, name);
    *n = (end - begin) / sizeof *values;
    values = malloc(end - begin + 1);
    if (!values || fseek(f, (long)(8 + length + begin), SEEK_SET) != 0 || fread(values, 4, *n, f) != *n)
        fail_msg("%s: %s: cannot be read", path, name);
    free(header);
    fclose(f);
    return values;
}
