/* gate: `layerbench gate`: has this binary, or any command, become slower? */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "gate/judge.h"
#include "machine/affinity.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdio.h>

static bool add_metric(void *target, const char *text)
{
    struct gate_options *o = target;
    if (o->n_metric == GATE_MOST_METRICS)
        return false;
    o->metric[o->n_metric++] = text;
    return true;
}

static void no_metric(const void *target, char *text, size_t size)
{
    (void)target;
    snprintf(text, size, "wall");
}

static const char *const choices_noise[] = {"failure", "warning", NULL};

#define FIELD(name) offsetof(struct gate_options, name)
static const struct option own[] = {
    {"base", "PROGRAM", "the layerbench to compare times with; without it, counts only",
     OPTION_TEXT, FIELD(base), .letter = 'b'},
    {"head", "PROGRAM", "the layerbench to judge, instead of this one", OPTION_TEXT, FIELD(head),
     .flags = 0},
    {"base_cmd", "COMMAND", "any command of the shell instead, beside --head-cmd", OPTION_TEXT,
     FIELD(base_cmd), .flags = 0},
    {"head_cmd", "COMMAND", "the command to judge", OPTION_TEXT, FIELD(head_cmd), .flags = 0},
    {"metric", "NAME=PLACE",
     "of commands, may be repeated: a number that they print, at a JSON pointer (/1/avg_ts) or in "
     "a "
     "regular expression; :higher after it: more is better. wall is their time",
     OPTION_CUSTOM, .set = add_metric, .format = no_metric,
     .expected = "at most 24 of wall, NAME=PLACE, NAME=PLACE:higher"},
    {"noise_is", "WHAT", "warning: what is too noisy to say does not fail (exit code 0)",
     OPTION_CHOICE, FIELD(noise_is), .choices = choices_noise},
    {"baseline", "FILE", "exact counts, instead of results/baselines/NAME.json", OPTION_TEXT,
     FIELD(baseline), .flags = 0},
    {"update_baseline", NULL, "write the counts of this binary as the new baseline", OPTION_FLAG,
     FIELD(update_baseline), .flags = 0},
    {"times_only", NULL, "do not compare counts", OPTION_FLAG, FIELD(times_only), .flags = 0},
    {"metrics", "LIST", "times that gate, of pass (alone: the steadiest), prefill, ttft, wait",
     OPTION_TEXT, FIELD(metrics), .flags = 0},
    {"model", "FILE", "another model than the scenario's", OPTION_TEXT, FIELD(model),
     .letter = 'm'},
    {"affinity", "CPUS",
     "measure on these processors, such as 1 or 2-3: less noise, if few suffice", OPTION_TEXT,
     FIELD(affinity), .flags = 0},
    {"seed", "N", "of the order of samples", OPTION_COUNT64, FIELD(seed), .max = 0x1p62},
    {"timeout", "SECONDS", "for one sample", OPTION_COUNT, FIELD(timeout_s), .min = 1,
     .max = 100000},
    {"markdown", "FILE", "write a summary as Markdown", OPTION_TEXT, FIELD(markdown), .flags = 0},
    {"junit", "FILE", "write JUnit XML", OPTION_TEXT, FIELD(junit), .flags = 0},
    {"json", "FILE", "write everything as JSON, each sample included", OPTION_TEXT, FIELD(json),
     .flags = 0},
    {"github", NULL, "print GitHub annotations (default where GITHUB_ACTIONS is set)", OPTION_FLAG,
     FIELD(github), .flags = 0},
    {"pause_s", "SECONDS", "before what is too noisy is measured anew", OPTION_COUNT,
     FIELD(pause_s), .max = 3600, .flags = OPTION_HIDDEN},
    {"allow_slow", NULL, "accept a scenario that slows itself on purpose", OPTION_FLAG,
     FIELD(allow_slow), .flags = OPTION_HIDDEN},
    {"slow_head", "KIND:PERCENT", "slow the head on purpose: io, compute or wait", OPTION_TEXT,
     FIELD(slow_head), .flags = OPTION_HIDDEN},
};

int command_gate(int argc, char **argv)
{
    struct gate_options o = {
        .noise_is = "failure", .seed = 1, .timeout_s = 300, .pause_s = 5, .colour = cli_colour()};
    struct cli cli = {
        "gate", "[SCENARIO] [options]",
        "Has this binary become slower than another (--base), or does it do other work than the\n"
        "committed baseline says? SCENARIO is scenarios/gate.json unless given. Or has any "
        "command\n"
        "(--base-cmd A --head-cmd B) become slower than another? Exit codes: 0 no\n"
        "regression, 1 regression, 3 too noisy to say, 4 not comparable, 5 failed or other work.",
        CLI_OWN(own, &o)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc > 2)
        return cli_fail("gate", "expected one scenario, got %d", argc - 1);
    bool commands = o.base_cmd || o.head_cmd;
    if (commands && !(o.base_cmd && o.head_cmd))
        return cli_fail("gate", "expected both --base-cmd and --head-cmd");
    if (commands && (argc == 2 || o.base || o.head || o.model || o.metrics || o.baseline ||
                     o.update_baseline || o.slow_head))
        return cli_fail("gate", "--base-cmd: expected no scenario, and no --base, --head, --model, "
                                "--metrics, --baseline beside it");
    if (o.n_metric > 0 && !commands)
        return cli_fail("gate", "--metric: expected --base-cmd and --head-cmd (of a scenario: "
                                "--metrics)");
    o.times_only |= commands;
    if (o.times_only && !commands && (!o.base || o.update_baseline))
        return cli_fail("gate", "--times-only: expected --base with it, and no --update-baseline");
    if (o.affinity && !affinity_apply(o.affinity)) /* what it starts inherits it */
        return cli_fail("gate",
                        "--affinity: '%s': expected processors of this machine, such as 0-3,6",
                        o.affinity);
    struct lb_error err = LB_ERROR_INIT;
    if (gate_judge(&o,
                   commands    ? NULL
                   : argc == 2 ? argv[1]
                               : "scenarios/gate.json",
                   &code, &err) != LB_OK)
        code = model_options_error("gate", &err);
    return code;
}
