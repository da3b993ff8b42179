/* tests/tools/state_table.c -- prints the state table that belongs into README.md */
#include <stdio.h>

#include "engine/core/decide.h"

int main(void)
{
    static char text[DECIDE_TABLE];
    decide_table(text);
    return fputs(text, stdout) < 0;
}
