package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go run -modfile=../../.ci/tools/go.mod gen/main.go gen/memory.go gen/gram.go gen/cholesky.go gen/products.go gen/bounds.go gen/bfloat.go gen/targets.go -out vectors_amd64.s -stubs vectors_amd64.go -pkg kernel

func native() []implementation {
	var all []implementation
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasBMI2 {
		wide := vectors("avx512", gather512, gatherScaled512, gramPanel512, combination512, sums512, products512, 16, lessPanel512, diagonal512, across512, backward512)
		wide.targets, wide.weights, wide.dot = wideTargets, wideWeights, wideDot
		wide.bounds = bounds(bounds256)
		if cpu.X86.HasAVX512VNNI {
			wide.bounds = bounds(bounds512)
		}
		if cpu.X86.HasAVX512BF16 {
			half := wide
			half.name, half.bfloats = "avx512bf16", &bfloats{
				halve, pairs, pairsScaled, gramPairs, sumsPairs, splitPairs, gatherHalves, productsHalves, combinationHalves,
			}
			all = append(all, half)
		}
		all = append(all, wide)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		narrow := vectors("avx2", gather256, gatherScaled256, gramPanel256, combination256, sums256, products256, 4, lessPanel256, diagonal256, across256, backward256)
		narrow.bounds = bounds(bounds256)
		all = append(all, narrow)
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
		targets: targets,
		weights: weights,
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

func bounds(
	reaching func(masks *uint16, data *uint8, query *int8, groups, blocks uintptr, offset int32, terms *[3]float32),
) func([]uint16, []uint8, int, *Query) {
	return func(masks []uint16, data []uint8, stride int, query *Query) {
		reaching(&masks[0], &data[0], &query.bytes[0], uintptr(stride/8), uintptr(len(masks)), query.offset, &query.terms)
	}
}

func halve(to []uint16, from []float32) { halve512(&to[0], &from[0], bytes(len(from))) }

func pairs(packed []uint32, factors []uint16, stride int, rows []int32) {
	pairs512(&packed[0], &factors[0], &rows[0], uintptr(len(rows)/2), uintptr(2*stride))
}

func pairsScaled(packed []uint32, factors []float32, stride int, rows []int32, scale []float32) {
	pairsScaled512(&packed[0], &factors[0], &rows[0], uintptr(len(rows)/2), bytes(stride), &scale[0])
}

// gatherHalves copies lines, whatever is in them.
func gatherHalves(packed, factors []uint16, stride int, rows []int32) {
	line := func(halves []uint16) *float32 { return (*float32)(unsafe.Pointer(&halves[0])) }
	gather512(line(packed), line(factors), &rows[0], uintptr(len(rows)), uintptr(2*stride))
}

func productsHalves(out []float32, packed []uint16, stride int, x []uint16, weights []float32) {
	productsHalves512(&out[0], &packed[0], &x[0], uintptr(len(out)), uintptr(2*stride), &weights[0])
}

func combinationHalves(v []float32, packed []uint16, stride int, c []float32) {
	combinationHalves512(&v[0], &packed[0], &c[0], uintptr(len(c)), uintptr(2*stride))
}

func gramPairs(gram []float32, width int, packed []uint32, stride, pairs int, overwrite bool) {
	keep := uint32(0xffff)
	if overwrite {
		keep = 0
	}
	for j := 0; j < stride; j += Width {
		gramPairs512(&gram[j*width+j], &packed[j], bytes(width), bytes(stride), uintptr(pairs), bytes(stride-j), keep)
	}
}

func sumsPairs(sum, v []float32, packed []uint32, stride int, high, low []uint32) {
	sumsPairs512(&v[0], &packed[0], &high[0], &low[0], uintptr(len(high)), bytes(stride), &sum[0])
}

func splitPairs(high, low []uint32, c []float32) {
	split512(&high[0], &low[0], &c[0], uintptr(len(c)/Width))
}

func wideTargets(targets, values []float32, rows []int32, bias []float32, mean float32) (sum, squares float64) {
	var sums [2]float64
	targets512(&targets[0], &values[0], &rows[0], &bias[0], uintptr(len(rows)), mean, &sums)
	return sums[0], sums[1]
}

func wideWeights(scale, coefficient, weights []float32) {
	weights512(&scale[0], &coefficient[0], &weights[0], uintptr(len(weights)/Width), leastWeight)
}

func wideDot(x, y []float32) float32 { return dot512(&x[0], &y[0], uintptr(len(x))) }
