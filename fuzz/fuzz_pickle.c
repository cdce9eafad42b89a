/* The pickle machine alone (fuzz_torch_zip has check sums in the way), and its values as JSON. */
#include "fuzz_weights.h"
#include "weights/torch_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sm_weights *w = w_new("fuzz");
    p_vm vm = { .arena = sm_arena_new(), .persistent = torch_storage };
    const p_value *v = NULL;
    size_t used, budget = 10000;
    sm_buffer text = { 0 };
    sm_json j;
    if (w && vm.arena) {
        w_set_data(w, data, size);
        sm_json_init(&j, &text, false);
        if (p_run(&vm, data, size, &v, &used) == 0) {
            p_json(v, &j, &budget);
            torch_add_tree(w, v, vm.n_steps);
        }
    }
    sm_buffer_free(&text);
    p_free(&vm);
    sm_arena_free(vm.arena);
    sm_weights_close(w);
    return 0;
}
