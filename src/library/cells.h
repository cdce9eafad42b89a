/* Cells: rows of a file of vectors by the nearest of some centres, so that a search looks at a few cells only. For libraries in which
 * reading all rows takes too long; answers are then approximate.
 *
 * The rows of a cell lie side by side in the file of vectors (which is written in that order); the centres are a second file. Rows that
 * came since lie behind, and are always looked at. */
#ifndef SM_LIBRARY_CELLS_H
#define SM_LIBRARY_CELLS_H

#include "library/vectors.h"

typedef struct sm_cells sm_cells;

enum { SM_CELLS_LEAST_ROWS = 300000 }; /* below, reading everything takes a few milliseconds: docs/similar.md */

/* Writes the vectors of `from` in the order of cells to `path` and the cells to `cells_path`. As many cells are looked at later as it
 * takes to find `recall` of the ten nearest rows, measured with rows of the file. Deterministic. */
int sm_cells_build(const sm_vectors *from, sm_pool *pool, double recall, const char *path, const char *cells_path);
/* SM_ENOTFOUND; SM_EFORMAT: damaged, or not of these vectors. */
int sm_cells_open(const char *path, const sm_vectors *v, sm_cells **out);
void sm_cells_close(sm_cells *c); /* accepts NULL */
size_t sm_cells_count(const sm_cells *c);
size_t sm_cells_probes(const sm_cells *c);
double sm_cells_recall(const sm_cells *c); /* as measured when they were made */
/* As sm_vectors_search, in the `probes` cells whose centres are nearest (0: as many as were found to do). With extra the cells are
 * chosen by the vector alone. */
int sm_cells_search(const sm_cells *c, const sm_vectors *v, sm_pool *pool, const sm_vectors_query *q, size_t probes,
                    sm_hit *hits, size_t *n);

#endif
