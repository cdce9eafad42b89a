/* Functions of vectors, in terms of simd_*.h; included once by each instruction set's files that need them. Errors are a few
 * units in the last place (tests/nn/test_vmath.c has each bound). Polynomials are minimax fits (weighted least squares, reweighted
 * until the error is level); ranges and errors stand beside them. NaN comes out where NaN went in. */
#ifndef SM_NN_ONEDNN_VMATH_BODY_H
#define SM_NN_ONEDNN_VMATH_BODY_H

#include <math.h>

#define V_INLINE static inline __attribute__((always_inline))

/* (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2; with it e^r has a relative error of 5e-11 */
V_INLINE vec v_exp_tail(vec r)
{
    vec p = v_set1(0.000199185248f);
    p = v_fma(p, r, v_set1(0.0013946176f));
    p = v_fma(p, r, v_set1(0.00833326392f));
    p = v_fma(p, r, v_set1(0.0416662693f));
    p = v_fma(p, r, v_set1(0.166666672f));
    return v_fma(p, r, v_set1(0.5f));
}

/* x = n ln 2 + r */
V_INLINE vec v_exp_reduce(vec x, vec *r)
{
    const vec n = v_round(x * v_set1(1.44269504f));
    *r = v_fnma(n, v_set1(-2.12194440e-4f), v_fnma(n, v_set1(0.693359375f), x));
    return n;
}

V_INLINE vec v_exp(vec x)
{
    vec r;
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x));
    const vec n = v_exp_reduce(x, &r);
    return v_scale2(v_fma(v_exp_tail(r), r * r, r) + v_set1(1), n);
}

/* 2^x, |x| < 2^22; below -150 it is 0. Relative error of the polynomial 2e-9. */
V_INLINE vec v_exp2(vec x)
{
    x = v_min(v_set1(129.0f), v_max(v_set1(-151.0f), x));
    const vec n = v_round(x), f = x - n;
    vec p = v_set1(0.00015353362f);
    p = v_fma(p, f, v_set1(0.00133988739f));
    p = v_fma(p, f, v_set1(0.00961843692f));
    p = v_fma(p, f, v_set1(0.0555033237f));
    p = v_fma(p, f, v_set1(0.240226477f));
    p = v_fma(p, f, v_set1(0.693147182f));
    return v_scale2(v_fma(p, f, v_set1(1)), n);
}

/* e^x - 1 without loss near 0 */
V_INLINE vec v_expm1(vec x)
{
    vec r;
    x = v_min(v_set1(89.0f), v_max(v_set1(-25.0f), x));
    const vec n = v_exp_reduce(x, &r), most = v_min(v_set1(126.0f), n), rest = v_scale2(v_set1(1), n - most);
    const vec p = v_fma(v_exp_tail(r), r * r, r), one = v_scale2(v_set1(1), most);
    return v_fma(p, one, one - v_scale2(v_set1(1), v_zero() - (n - most))) * rest;
}

V_INLINE vec v_sigmoid(vec x)
{
    return v_set1(1) / (v_set1(1) + v_exp(v_zero() - x));
}

V_INLINE vec v_tanh(vec x)
{
    const vec e = v_expm1(v_min(v_set1(20.0f), v_abs(x) + v_abs(x)));
    return v_sign_of(e / (e + v_set1(2)), x);
}

V_INLINE vec v_swish(vec x)
{
    return x / (v_set1(1) + v_exp(v_zero() - x));
}

/* The chance that a normal variable exceeds a >= 0. Its logarithm is a smooth function: -log2 Q by one polynomial, whose relative error
 * in Q is 1.5e-7 up to 3, 1.5e-5 at 6 (where Q is 1e-9), and which goes on growing behind. */
V_INLINE vec v_normal_tail(vec a)
{
    a = v_min(v_set1(12.0f), a);
    vec p = v_set1(2.40643718e-08f);
    p = v_fma(p, a, v_set1(-7.32212129e-07f));
    p = v_fma(p, a, v_set1(9.56023268e-06f));
    p = v_fma(p, a, v_set1(-6.79691366e-05f));
    p = v_fma(p, a, v_set1(0.000249502918f));
    p = v_fma(p, a, v_set1(6.41617589e-05f));
    p = v_fma(p, a, v_set1(-0.00702649588f));
    p = v_fma(p, a, v_set1(0.0524949618f));
    p = v_fma(p, a, v_set1(0.459203809f));
    p = v_fma(p, a, v_set1(1.151106f));
    return v_exp2(v_fnma(p, a, v_set1(-1)));
}

/* x Phi(x) = max(x, 0) - |x| Q(|x|): no cancellation on either side */
V_INLINE vec v_gelu(vec x)
{
    const vec a = v_abs(x);
    return v_fnma(a, v_normal_tail(a), v_max(v_zero(), x));
}

V_INLINE vec v_gelu_tanh(vec x)
{
    const vec u = x * v_fma(x * x, v_set1(1.5957691216f * 0.044715f), v_set1(1.5957691216f));
    return x / (v_set1(1) + v_exp(v_zero() - u));
}

/* Near 0 the series, which keeps the relative error; beyond, the normal tail. */
V_INLINE vec v_erf(vec x)
{
    const vec a = v_abs(x), z = x * x;
    vec p = v_set1(1.20553329e-4f);
    p = v_fma(p, z, v_set1(-8.54832702e-4f));
    p = v_fma(p, z, v_set1(5.22397762e-3f));
    p = v_fma(p, z, v_set1(-2.68661706e-2f));
    p = v_fma(p, z, v_set1(1.12837917e-1f));
    p = v_fma(p, z, v_set1(-3.76126389e-1f));
    p = v_fma(p, z, v_set1(1.12837917f));
    const vec tail = v_fnma(v_set1(2), v_normal_tail(a * v_set1(1.41421356f)), v_set1(1));
    return v_choose(v_less(a, v_set1(0.5f)), p * x, v_sign_of(tail, x));
}

/* sin(x) and cos(x) for |x| <= V_SINE_LIMIT: n quarter turns taken off in four exact parts, then the series of the right one. */
#define V_SINE_LIMIT 100000.0f
V_INLINE vec v_sine(vec x, int quarters)
{
    const vec n = v_round(x * v_set1(0.636619772f));
    vmask odd, upper;
    vec r = v_fnma(n, v_set1(1.5703125f), x);
    r = v_fnma(n, v_set1(4.825592041015625e-4f), r);
    r = v_fnma(n, v_set1(1.2665987014770508e-6f), r);
    r = v_fnma(n, v_set1(9.9209357968054043e-10f), r);
    const vec z = r * r;
    vec s = v_fma(v_set1(-1.9515295891e-4f), z, v_set1(8.3321608736e-3f)),
        c = v_fma(v_set1(2.44331571e-5f), z, v_set1(-1.38873162e-3f));
    s = v_fma(s, z, v_set1(-1.6666654611e-1f));
    s = v_fma(s, z * r, r);
    c = v_fma(c, z, v_set1(4.16666456e-2f));
    c = v_fma(c, z * z, v_fnma(z, v_set1(0.5f), v_set1(1)));
    v_quadrant(n + v_set1((float)quarters), &odd, &upper);
    const vec y = v_choose(odd, c, s);
    return v_choose(upper, v_zero() - y, y);
}

#endif
