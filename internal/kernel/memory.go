package kernel

import "unsafe"

// Width is how many float32 a row's length is a multiple of: one vector of
// AVX-512, and one cache line.
const Width = 16

// Stride is the padded length of rows with the given rank: the next multiple of
// Width.
func Stride(rank int) int { return (rank + Width - 1) &^ (Width - 1) }

// alignedBytes is Aligned of n bytes.
func alignedBytes(n int) []uint8 {
	floats := Aligned((n + 3) / 4)
	return unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(floats))), n)
}

// Aligned returns n zeros whose first is at the start of a cache line.
func Aligned(n int) []float32 {
	const line = 64
	memory := make([]float32, n+line/4)
	skip := 0
	if at := uintptr(unsafe.Pointer(unsafe.SliceData(memory))) % line; at != 0 {
		skip = int(line-at) / 4
	}
	return memory[skip : skip+n : skip+n]
}
