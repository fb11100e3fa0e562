/* main: subcommands only; each command lives in a file of its own. */
#include <stdio.h>

int main(void)
{
    fputs("layerbench: no command yet\n", stderr);
    return 2;
}
