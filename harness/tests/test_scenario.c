/*
 * test_scenario: scenarios that are right, and every folder of tests/invalid: its scenario.json
 * must be refused with the line in its expected.txt (after the file's name); a '*' at its end
 * stands for lists that grow with the engine.
 */
#include "base/random.h"
#include "common/file_io.h"
#include "settings/options.h"
#include "study/scenario_file.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <dirent.h>
#include <unistd.h>

static void test_invalid(const char *folder, const char *name)
{
    char path[512], expected_path[512], expected[1024];
    snprintf(path, sizeof path, "%s/%s/scenario.json", folder, name);
    snprintf(expected_path, sizeof expected_path, "%s/%s/expected.txt", folder, name);
    struct scenario scenario;
    struct lb_error err = LB_ERROR_INIT, none = LB_ERROR_INIT;
    char *text = NULL;
    size_t length;
    if (file_read(expected_path, &text, &length, &none) != LB_OK) {
        CHECK(false, "%s", none.text);
        return;
    }
    text[strcspn(text, "\n")] = '\0';
    snprintf(expected, sizeof expected, "%s: %s", path, text);
    free(text);
    enum lb_status status = scenario_read(path, &scenario, &err);
    CHECK(status == LB_ERR_INPUT, "%s was taken", name);
    size_t fixed = strcspn(expected, "*");
    if (expected[fixed] == '*')
        err.text[fixed < sizeof err.text ? fixed : 0] = expected[fixed] = '\0';
    CHECK_TEXT(err.text, expected);
    if (status == LB_OK)
        scenario_free(&scenario);
}

static void test_all_invalid(void)
{
    static const char folder[] = "harness/tests/invalid";
    DIR *dir = opendir(folder);
    size_t count = 0;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            test_invalid(folder, entry->d_name);
            count++;
        }
    }
    if (dir)
        closedir(dir);
    CHECK(count >= 30, "%zu folders in %s (run from the top of the tree)", count, folder);
}

/* Writes text to a file of its own and reads it as a scenario. */
static enum lb_status read_text(const char *text, struct scenario *s, struct lb_error *err)
{
    char path[TEMPORARY_PATH];
    int fd = temporary_file(path);
    ssize_t n = write(fd, text, strlen(text));
    CHECK(n == (ssize_t)strlen(text), "cannot write %s", path);
    close(fd);
    enum lb_status status = scenario_read(path, s, err);
    unlink(path);
    return status;
}

static void test_whole(void)
{
    struct scenario s;
    struct lb_error err = LB_ERROR_INIT;
    enum lb_status status = read_text(
        "{\"name\": \"cache-size\", \"about\": \"Which?\", \"expected_minutes\": 2.5,"
        " \"model\": {\"synth\": {\"shape\": \"tiny\", \"quant\": \"Q8_0\", \"seed\": 7}},"
        " \"fixed\": {\"threads\": 2, \"device\": {\"bandwidth\": \"800MB/s\"}, \"protect\": "
        "false},"
        " \"matrix\": {\"prefetch\": [\"sync\", \"async\"], \"cache_layers\": [4, \"auto\"]},"
        " \"exclude\": [{\"prefetch\": \"sync\", \"cache_layers\": 4}],"
        " \"repetitions\": 5, \"warmup\": 2, \"seed\": 42}",
        &s, &err);
    CHECK(status == LB_OK, "%s", err.text);
    if (status != LB_OK)
        return;
    CHECK_TEXT(s.name, "cache-size");
    CHECK_TEXT(s.model_synth.quant, "Q8_0");
    CHECK(s.model_synth.seed == 7 && !s.model_path, "model");
    CHECK(s.n_fixed == 3 && s.n_axes == 2 && s.n_exclusions == 1, "parts");
    CHECK_TEXT(s.fixed[1].text, "bandwidth=800MB/s");
    CHECK_TEXT(s.fixed[2].text, "off");
    CHECK_TEXT(s.axes[0].option->name, "prefetch");
    CHECK_TEXT(s.axes[1].texts[1], "auto");
    CHECK(s.repetitions == 5 && s.warmup == 2 && s.seed == 42, "numbers");
    CHECK(strlen(s.sha256) == 64, "%s", s.sha256);
    scenario_free(&s);
}

static void test_defaults(void)
{
    struct scenario s;
    struct lb_error err = LB_ERROR_INIT;
    enum lb_status status =
        read_text("{\"name\": \"x\", \"about\": \"y\", \"model\": {\"path\": \"m.gguf\"},"
                  " \"matrix\": {\"prefetch\": [\"sync\"]}}",
                  &s, &err);
    CHECK(status == LB_OK, "%s", err.text);
    if (status != LB_OK)
        return;
    CHECK_TEXT(s.model_path, "m.gguf");
    CHECK(s.repetitions == 3 && s.warmup == 1 && s.seed == 1, "defaults");
    scenario_free(&s);
}

/* Damaged documents: bytes changed, cut, doubled. Each is read or refused with a line. */
static void test_damaged(void)
{
    static const char good[] =
        "{\"name\": \"x\", \"about\": \"y\", \"model\": {\"synth\": {\"shape\": \"tiny\", "
        "\"quant\": \"Q8_0\", \"seed\": 7}}, \"fixed\": {\"device\": {\"bandwidth\": "
        "\"800MB/s\"}, \"protect\": false, \"unit\": \"16MiB\"}, \"matrix\": {\"prefetch\": "
        "[\"sync\", \"async\"], \"cache_layers\": [4, \"auto\"]}, \"exclude\": [{\"prefetch\": "
        "\"sync\"}], \"repetitions\": 5, \"seed\": 42}";
    static const char marks[] = "\"{}[]:,0-9.eE\\\x80\xff\n truefalsn";
    enum { SEED = 20240917, TRIALS = 300 };
    struct lb_random random = {SEED};
    size_t refused = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        char text[sizeof good];
        struct scenario s;
        struct lb_error err = LB_ERROR_INIT;
        memcpy(text, good, sizeof good);
        for (uint32_t n = 1 + lb_random_below(&random, 3); n > 0; n--)
            text[lb_random_below(&random, sizeof good - 1)] =
                marks[lb_random_below(&random, sizeof marks - 1)];
        if (trial % 4 == 0)
            text[lb_random_below(&random, sizeof good - 1)] = '\0';
        enum lb_status status = read_text(text, &s, &err);
        if (status == LB_OK)
            scenario_free(&s);
        else
            refused++;
        CHECK(status == LB_OK ||
                  (status == LB_ERR_INPUT && strlen(err.text) > 20 && !strchr(err.text, '\n')),
              "seed %d, trial %d: status %d, '%s'", SEED, trial, status, err.text);
    }
    CHECK(refused > TRIALS / 2, "only %zu of %d were refused", refused, TRIALS);
}

/* Every scenario that is shipped is one that can be read. */
static void test_shipped(void)
{
    DIR *dir = opendir("scenarios");
    struct dirent *entry;
    size_t count = 0;
    while (dir && (entry = readdir(dir)) != NULL) {
        char path[512];
        struct scenario s;
        struct lb_error err = LB_ERROR_INIT;
        if (!strstr(entry->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, "scenarios/%s", entry->d_name);
        if (scenario_read(path, &s, &err) == LB_OK) {
            CHECK(json_object_get(s.document, "expected_reading") != NULL,
                  "%s does not say how to read the answer", path);
            scenario_free(&s);
        }
        CHECK(err.code == LB_OK, "%s", err.text);
        count++;
    }
    if (dir)
        closedir(dir);
    CHECK(count >= 2, "%zu scenarios", count);
}

int main(void)
{
    test_whole();
    test_defaults();
    test_all_invalid();
    test_damaged();
    test_shipped();
    return check_done();
}
