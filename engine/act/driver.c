/* engine/act/driver.c -- the kinds there are */
#include "engine/act/driver.h"

#include <string.h>

/* Each is defined in the file of its name. */
#define X(name) extern const struct driver name##_driver;
DRIVERS(X)
#undef X

const struct driver *const driver_all[] = {
#define X(name) &name##_driver,
    DRIVERS(X)
#undef X
        NULL};

const struct driver *driver_find(const char *name)
{
    for (const struct driver *const *d = driver_all; *d != NULL; d++)
        if (strcmp((*d)->name, name) == 0) return *d;
    return NULL;
}
