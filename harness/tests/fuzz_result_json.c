/* fuzz: result.json, to everything that is drawn, told, compared and predicted from it. */
#include "fuzz_result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_put("result.json", data, size);
    fuzz_read_result();
    return 0;
}
