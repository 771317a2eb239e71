package kernel

import "golang.org/x/sys/cpu"

//go:generate go run -modfile=../../.ci/tools/go.mod gen/main.go gen/memory.go gen/gram.go gen/cholesky.go gen/products.go gen/bounds.go -out vectors_amd64.s -stubs vectors_amd64.go -pkg kernel

func native() []implementation {
	var all []implementation
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL {
		best := vectors("avx512", gather512, gatherScaled512, gramPanel512, combination512, sums512, products512, 16, lessPanel512, diagonal512, across512, backward512)
		if cpu.X86.HasAVX512VNNI {
			best.bounds = bounds
		}
		all = append(all, best)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		all = append(all, vectors("avx2", gather256, gatherScaled256, gramPanel256, combination256, sums256, products256, 4, lessPanel256, diagonal256, across256, backward256))
	}
	return all
}

type panelFunc func(to, from *float32, width, stride, count, columns uintptr)

// vectors makes an implementation of functions in assembly, which take strides
// and columns in bytes. products takes rows in multiples of productRows.
func vectors(
	name string,
	gather func(packed, factors *float32, rows *int32, count, stride uintptr),
	gatherScaled func(packed, factors *float32, rows *int32, count, stride uintptr, scale *float32),
	gramPanel panelFunc,
	combination func(v, packed, c *float32, count, stride uintptr),
	sums func(v, packed, c *float32, count, stride uintptr, sum *float32),
	products func(out, packed, x *float32, count, stride, columns uintptr),
	productRows int,
	lessPanel panelFunc,
	diagonal func(block *float32, width uintptr, least float32),
	across func(block *float32, width, columns uintptr),
	backward func(block, b *float32, width, columns uintptr),
) implementation {
	return implementation{
		name: name,
		gather: func(packed, factors []float32, stride int, rows []int32) {
			gather(&packed[0], &factors[0], &rows[0], uintptr(len(rows)), bytes(stride))
		},
		gatherScaled: func(packed, factors []float32, stride int, rows []int32, scale []float32) {
			gatherScaled(&packed[0], &factors[0], &rows[0], uintptr(len(rows)), bytes(stride), &scale[0])
		},
		addGram: func(gram []float32, width int, packed []float32, stride, columns, n int) {
			for j := 0; j < columns; j += Width {
				gramPanel(&gram[j*width+j], &packed[j], bytes(width), bytes(stride), uintptr(n), bytes(columns-j))
			}
		},
		addCombination: func(v, packed []float32, stride int, c []float32) {
			combination(&v[0], &packed[0], &c[0], uintptr(len(c)), bytes(stride))
		},
		addSums: func(sum, v, packed []float32, stride int, c []float32) {
			sums(&v[0], &packed[0], &c[0], uintptr(len(c)), bytes(stride), &sum[0])
		},
		products: func(out, packed []float32, stride int, x []float32) {
			if whole := len(out) / productRows * productRows; whole > 0 {
				products(&out[0], &packed[0], &x[0], uintptr(whole), bytes(stride), bytes(len(x)))
				out, packed = out[whole:], packed[min(whole*stride, len(packed)):]
			}
			for k := range out {
				out[k] = dot(x, packed[k*stride:][:len(x)])
			}
		},
		dot: dot,
		cholesky: func(a []float32, width, n int, least float32) {
			for j := 0; j < n; j += Width {
				block := &a[j*width+j]
				if j > 0 { // left-looking: rows above are finished
					lessPanel(block, &a[j], bytes(width), bytes(width), uintptr(j), bytes(width-j))
				}
				diagonal(block, bytes(width), least)
				if j+Width < width {
					across(block, bytes(width), bytes(width-j))
				}
			}
		},
		solveUpper: func(a []float32, width, n int, b []float32) {
			for j := n - Width; j >= 0; j -= Width {
				backward(&a[j*width+j], &b[j], bytes(width), bytes(n-j))
			}
		},
	}
}

// bytes is the size of n floats.
func bytes(n int) uintptr { return uintptr(4 * n) }

func bounds(masks []uint16, q *Quantized, from int, query *Query) {
	bounds512(&masks[0], &q.data[from*q.stride], &q.offset[from], &q.scale[from], &q.bias[from], &q.errors[from], &q.norms[from],
		&query.bytes[0], uintptr(q.stride/4), uintptr(len(masks)), &query.terms)
}
