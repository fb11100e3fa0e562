/*
 * plot_scripts: see plot_scripts.h. The assembler takes the files in; the Makefile knows that this
 * object depends on them, and compiles it in the top folder.
 */
#include "plot_scripts.h"

#include <stddef.h>
#include <string.h>

#define SCRIPT(symbol, file)                                                                       \
    extern const char symbol[];                                                                    \
    __asm__(".pushsection .rodata\n" #symbol ":\n"                                                 \
            ".incbin \"plots/" file ".gp\"\n"                                                      \
            ".byte 0\n"                                                                            \
            ".popsection\n")

SCRIPT(script_style, "style");
SCRIPT(script_pass_time_by_cache, "pass-time-by-cache");
SCRIPT(script_pass_time_by_distance, "pass-time-by-distance");
SCRIPT(script_cache_by_distance, "cache-by-distance");
SCRIPT(script_time_by_cell, "time-by-cell");
SCRIPT(script_outcomes, "outcomes");
SCRIPT(script_timeline, "timeline");
SCRIPT(script_wait_by_layer, "wait-by-layer");
SCRIPT(script_wait_by_layer_and_pass, "wait-by-layer-and-pass");
SCRIPT(script_latency, "latency");
SCRIPT(script_roofline, "roofline");
SCRIPT(script_memory_by_speed, "memory-by-speed");
SCRIPT(script_prediction, "prediction");
SCRIPT(script_comparison, "comparison");
SCRIPT(script_drift, "drift");

static const struct {
    const char *name, *text;
} scripts[] = {
    {"style", script_style},
    {"pass-time-by-cache", script_pass_time_by_cache},
    {"pass-time-by-distance", script_pass_time_by_distance},
    {"cache-by-distance", script_cache_by_distance},
    {"time-by-cell", script_time_by_cell},
    {"outcomes", script_outcomes},
    {"timeline", script_timeline},
    {"wait-by-layer", script_wait_by_layer},
    {"wait-by-layer-and-pass", script_wait_by_layer_and_pass},
    {"latency", script_latency},
    {"roofline", script_roofline},
    {"memory-by-speed", script_memory_by_speed},
    {"prediction", script_prediction},
    {"comparison", script_comparison},
    {"drift", script_drift},
};

const char *plot_script(const char *name)
{
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (strcmp(scripts[i].name, name) == 0)
            return scripts[i].text;
    return NULL;
}
