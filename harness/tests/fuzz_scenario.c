/* fuzz: scenario files, to the order of their samples. */
#include "study/matrix.h"
#include "study/scenario_file.h"
#include "tests/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scenario scenario;
    struct matrix matrix = {.count = 0};
    struct matrix_slot *order = NULL;
    struct lb_error err = LB_ERROR_INIT;
    size_t n = 0;
    enum lb_status status = scenario_read(fuzz_file(data, size, "", 0), &scenario, &err);
    fuzz_check_error(status, &err);
    if (status != LB_OK)
        return 0;
    status = matrix_build(&scenario, 12, &matrix, &err);
    if (status == LB_OK)
        status = matrix_add_references(&matrix, &err);
    if (status == LB_OK)
        status = matrix_order(&matrix, scenario.repetitions, scenario.warmup, scenario.seed, &order,
                              &n, &err);
    if (status == LB_OK)
        status = matrix_cut(&matrix, 0, 2, order, &n, &err);
    fuzz_check_error(status, &err);
    free(order);
    matrix_free(&matrix);
    scenario_free(&scenario);
    return 0;
}
