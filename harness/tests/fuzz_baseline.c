/* fuzz: the gate's baseline of exact counts, compared with what two cells measured. */
#include "gate/gate_counts.h"
#include "tests/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gate_cell cells[] = {{.name = "a"}, {.name = "b"}};
    struct lb_error err = LB_ERROR_INIT;
    struct gate_counts counts = {.measured = json_pack("{s:{s:i,s:i,s:s},s:{s:s}}", "a", "accesses",
                                                       120, "reads", 3, "tokens_hash", "0123", "b",
                                                       "failed", "no memory")};
    enum lb_status status =
        gate_counts_compare(&counts, cells, 2, fuzz_file(data, size, "", 0), "00", &err);
    fuzz_check_error(status, &err);
    if (status == LB_OK)
        (void)gate_counts_exit_code(&counts);
    gate_counts_free(&counts);
    return 0;
}
