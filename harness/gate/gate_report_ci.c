/* gate_report_ci: JUnit XML and GitHub annotations. See gate_report.h. */
#include "gate/gate_report.h"

#include "common/exit_codes.h"

#include <math.h>
#include <string.h>

/* ---- JUnit ---- */

/* For text and attributes; characters that XML 1.0 does not know become '?'. */
static void xml(FILE *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '&')
            fputs("&amp;", out);
        else if (*p == '<')
            fputs("&lt;", out);
        else if (*p == '>')
            fputs("&gt;", out);
        else if (*p == '"')
            fputs("&quot;", out);
        else if (*p < 0x20)
            fputc(strchr("\t\n\r", *p) ? ' ' : '?', out);
        else
            fputc(*p, out);
    }
}

/* One test case; element: "failure", "error", or NULL when it passed. */
static void test_case(FILE *out, const char *class, const char *cell, const char *what,
                      const char *element, const char *type, const char *message)
{
    fprintf(out, "  <testcase classname=\"layerbench.gate.%s\" name=\"", class);
    xml(out, cell);
    fputc(' ', out);
    xml(out, what);
    fputs("\">", out);
    if (element && strcmp(element, "skipped") == 0) {
        fputs("<skipped message=\"", out);
        xml(out, message);
        fputs("\"/>", out);
    } else if (element) {
        fprintf(out, "<%s type=\"%s\" message=\"", element, type);
        xml(out, message);
        fputs("\"/>", out);
    } else {
        fputs("<system-out>", out);
        xml(out, message);
        fputs("</system-out>", out);
    }
    fputs("</testcase>\n", out);
}

/* A changed count and a regression are failures; what could not be told is an error, because a
 * skipped test counts as passed: that is what noise is where it is to be a warning. */
static const char *count_element(const struct gate_count *c)
{
    return c->kind == GATE_COUNT_EQUAL ? NULL : c->kind == GATE_COUNT_CHANGED ? "failure" : "error";
}

static const char *time_element(const struct gate_report *report, const struct gate_result *r)
{
    return r->verdict <= GATE_IMPROVEMENT                                ? NULL
           : r->verdict == GATE_REGRESSION                               ? "failure"
           : r->verdict == GATE_INCONCLUSIVE && report->noise_is_warning ? "skipped"
                                                                         : "error";
}

static size_t count_elements(const struct gate_report *r, const char *element)
{
    size_t n = 0;
    for (size_t i = 0; r->counts && i < r->counts->n; i++) {
        const char *e = count_element(&r->counts->list[i]);
        n += e && strcmp(e, element) == 0;
    }
    for (size_t i = 0; r->times && i < r->times->n_rows; i++) {
        const char *e = time_element(r, &r->times->rows[i].result);
        n += e && strcmp(e, element) == 0;
    }
    return n;
}

void gate_report_junit(const struct gate_report *r, FILE *out)
{
    size_t n = (r->counts ? r->counts->n : 0) + (r->times ? r->times->n_rows : 0);
    bool nothing = n == 0;
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuite name=\"layerbench gate\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" "
            "skipped=\"%zu\" time=\"%.1f\">\n",
            n + nothing, count_elements(r, "failure"), count_elements(r, "error") + nothing,
            count_elements(r, "skipped"), r->took_s);
    for (size_t i = 0; r->counts && i < r->counts->n; i++) {
        const struct gate_count *c = &r->counts->list[i];
        char message[256];
        snprintf(message, sizeof message, "is %s, expected %s", c->got, c->expected);
        test_case(out, "counts", c->cell, c->quantity, count_element(c), "changed", message);
    }
    for (size_t i = 0; r->times && i < r->times->n_rows; i++) {
        const struct gate_times_row *row = &r->times->rows[i];
        char message[400];
        snprintf(message, sizeof message, "%s (ratio %.3f, 99%% interval %.3f to %.3f)",
                 row->result.reason, row->result.ratio, row->result.interval.low,
                 row->result.interval.high);
        test_case(out, "times", row->cell->name, row->metric->name, time_element(r, &row->result),
                  gate_verdict_name(row->result.verdict), message);
    }
    if (nothing)
        test_case(out, "all", "gate", "measured", "error", "failed", "nothing was measured");
    fputs("</testsuite>\n", out);
}

/* ---- GitHub ---- */

/* The data of a workflow command; in properties ':' and ',' are escaped too. */
static void command_text(FILE *out, const char *text, bool property)
{
    for (const char *p = text; *p; p++) {
        if (*p == '%' || *p == '\r' || *p == '\n' || (property && (*p == ':' || *p == ',')))
            fprintf(out, "%%%02X", (unsigned)*p);
        else
            fputc(*p, out);
    }
}

static void annotate(FILE *out, const char *level, const char *title, const char *message)
{
    fprintf(out, "::%s title=", level);
    command_text(out, title, true);
    fputs("::", out);
    command_text(out, message, false);
    fputc('\n', out);
}

void gate_report_github(const struct gate_report *r, FILE *out)
{
    char message[512];
    for (size_t i = 0; r->counts && i < r->counts->n; i++) {
        const struct gate_count *c = &r->counts->list[i];
        snprintf(message, sizeof message, "%s: %s is %s, expected %s", c->cell, c->quantity, c->got,
                 c->expected);
        if (c->kind != GATE_COUNT_EQUAL)
            annotate(out, "error", "exact count changed", message);
    }
    for (size_t i = 0; r->times && i < r->times->n_rows; i++) {
        const struct gate_times_row *row = &r->times->rows[i];
        const struct gate_result *g = &row->result;
        const char *level = g->verdict == GATE_SAME           ? NULL
                            : g->verdict == GATE_IMPROVEMENT  ? "notice"
                            : g->verdict == GATE_INCONCLUSIVE ? "warning"
                                                              : "error";
        snprintf(message, sizeof message, "%s: %s", row->name, g->reason);
        if (level)
            annotate(out, level, gate_verdict_name(g->verdict), message);
    }
    snprintf(message, sizeof message, "exit code %d", r->exit_code);
    annotate(out,
             r->exit_code != EXIT_OK ? "error"
             : r->judged != EXIT_OK  ? "warning"
                                     : "notice",
             gate_report_outcome(r->judged), message);
}
