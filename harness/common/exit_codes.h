/* exit codes of every command; scripts and CI rely on them. */
#ifndef EXIT_CODES_H
#define EXIT_CODES_H

enum exit_code {
    EXIT_OK = 0,
    EXIT_REGRESSION = 1,   /* a regression was found */
    EXIT_USAGE = 2,        /* usage, or bad input */
    EXIT_INCONCLUSIVE = 3, /* too noisy to say; samples are missing */
    EXIT_INCOMPARABLE = 4, /* environments not comparable */
    EXIT_FAILED = 5,       /* a benchmark failed or measured nothing */
};

#endif
