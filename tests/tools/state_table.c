/* tests/tools/state_table.c -- prints the state table that belongs into README.md */
#include <stdio.h>

#include "engine/core/decide.h"

int main(void)
{
    decide_table_print(stdout);
    return 0;
}
