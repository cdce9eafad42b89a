/* From what a PyTorch pickle built to named tensors and metadata. */
#ifndef SM_WEIGHTS_TORCH_TREE_H
#define SM_WEIGHTS_TORCH_TREE_H

#include "weights/pickle.h"

/* Adds every tensor under `root` by its dotted path, and what is no tensor as metadata. Storages must have their data. */
int torch_add_tree(sm_weights *w, const p_value *root, size_t n_steps);
/* A storage from the persistent id ("storage", class, key, location, numel[, view]); data stays NULL. */
int torch_storage(p_vm *vm, const p_value *id, p_value **out);

#endif
