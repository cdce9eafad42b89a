/* Eigenvalues of symmetric matrices. */
#ifndef SM_LIBRARY_EIGEN_H
#define SM_LIBRARY_EIGEN_H

#include "base/base.h"

/* a [n][n], symmetric, becomes its eigenvectors, one a row, of length 1; values [n], largest first. The sign of a vector is such that
 * its largest element is positive, so that the same matrix gives the same vectors. SM_ENOMEM; SM_EINTERNAL: did not converge (a
 * value that is not finite). */
int sm_eigen_symmetric(double *a, double *values, size_t n);

#endif
