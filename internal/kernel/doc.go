// Package kernel holds the numeric kernels that training and scoring spend
// their time in, in float32: Gram matrices of gathered factor rows, Cholesky
// factors and triangular solves, and inner products.
//
// Each has several implementations: "avx512bf16", which is "avx512" with kernels
// for rows in bfloat16 beside it, "avx2" and plain Go, "go". The fastest that the
// processor has is chosen when the program starts; the environment variable
// RECSYS_KERNEL forces one. Kernels agree with each other
// to rounding, not bit by bit; one kernel gives the same bits for the same
// input, always.
//
// Matrices are row-major. Rows of factors are padded with zeros to a Stride, a
// multiple of Width, and memory from Aligned starts at a cache line; kernels
// take any memory, and are fastest on such.
//
// Slices shorter than their shape asks for are a mistake of the caller and
// panic. Kernels keep no state: all are safe for concurrent use on memory that
// no one else writes.
package kernel
