//go:build ignore

// Generates vectors_amd64.s and vectors_amd64.go, see native_amd64.go. All files
// have the tag ignore, so that avo is needed by no one who only builds the program.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Strides, widths and columns are in bytes in assembly, and multiples of 64: one
// cache line, the 16 floats of a panel.
const line = 64

// isa is a set of vector instructions.
type isa struct {
	suffix string
	vector func() reg.VecVirtual
	bytes  int // of a vector
}

var (
	avx512 = isa{"512", func() reg.VecVirtual { return ZMM() }, 64}
	avx2   = isa{"256", func() reg.VecVirtual { return YMM() }, 32}
)

// lines is how many vectors make a cache line.
func (s isa) lines() int { return line / s.bytes }

func main() {
	ConstraintExpr("amd64")
	for _, s := range []isa{avx512, avx2} {
		gather(s, false)
		gather(s, true)
		combination(s, false)
		combination(s, true)
	}
	panel512("gramPanel512", VFMADD231PS, VFMADD231PS_BCST, "adds to 16 rows of a Gram matrix, from the diagonal to the right.")
	panel512("lessPanel512", VFNMADD231PS, VFNMADD231PS_BCST, "is gramPanel512 with subtraction.")
	panel256("gramPanel256", VFMADD231PS, "is gramPanel512 for AVX2.")
	panel256("lessPanel256", VFNMADD231PS, "is gramPanel256 with subtraction.")
	diagonal512()
	diagonal256()
	across(avx512)
	across(avx2)
	products512()
	products256()
	dot512()
	backward512()
	backward256()
	bounds512()
	bounds256()
	halve512()
	pairs512()
	gramPairs512()
	sumsPairs512()
	pairsScaled512()
	productsHalves512()
	combinationHalves512()
	targets512()
	split512()
	weights512()
	Generate()
}

func function(name, signature, doc string) {
	TEXT(name, 0, signature)
	Pragma("noescape")
	Doc(name + " " + doc)
}

func arguments(names ...string) []reg.Register {
	registers := make([]reg.Register, len(names))
	for k, name := range names {
		registers[k] = Load(Param(name), GP64())
	}
	return registers
}

func end() {
	VZEROUPPER()
	RET()
}

// zeroLine is a cache line of zeros.
var zeroLine *Mem

func zero(s isa) reg.VecVirtual {
	if zeroLine == nil {
		m := GLOBL("zeros", RODATA|NOPTR)
		DATA(0, U64(0))
		for at := 8; at < line; at += 8 {
			DATA(at, U64(0))
		}
		zeroLine = &m
	}
	v := s.vector()
	VMOVUPS(*zeroLine, v)
	return v
}

func zeros(s isa, n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for k := range v {
		v[k] = zero(s)
	}
	return v
}
