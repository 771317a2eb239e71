//go:build ignore

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gather copies rows, and asks for the one that comes 8 later.
func gather(s isa, scaled bool) {
	const ahead = 8
	name, signature := "gather", "func(packed, factors *float32, rows *int32, count, stride uintptr)"
	if scaled {
		name, signature = "gatherScaled", "func(packed, factors *float32, rows *int32, count, stride uintptr, scale *float32)"
	}
	function(name+s.suffix, signature, "copies count rows of stride bytes.")
	a := arguments("packed", "factors", "rows", "count", "stride")
	packed, factors, rows, count, stride := a[0], a[1], a[2], a[3], a[4]
	var scale reg.Register
	if scaled {
		scale = Load(Param("scale"), GP64())
	}
	k, last := GP64(), GP64()
	XORQ(k, k)
	MOVQ(count, last)
	SUBQ(Imm(ahead), last)
	from, column, by := GP64(), GP64(), s.vector()
	row := func(disp int) {
		MOVLQSX(Mem{Base: rows, Index: k, Scale: 4, Disp: disp}, from)
		IMULQ(stride, from)
		ADDQ(factors, from)
		XORQ(column, column)
	}
	Label("next")
	CMPQ(k, last)
	JGE(LabelRef("copy"))
	row(4 * ahead)
	Label("prefetch")
	PREFETCHT0(Mem{Base: from, Index: column, Scale: 1})
	ADDQ(Imm(line), column)
	CMPQ(column, stride)
	JL(LabelRef("prefetch"))
	Label("copy")
	row(0)
	if scaled {
		VBROADCASTSS(Mem{Base: scale, Index: k, Scale: 4}, by)
	}
	Label("columns")
	for w := range s.lines() {
		v := s.vector()
		if scaled {
			VMULPS(Mem{Base: from, Index: column, Scale: 1, Disp: w * s.bytes}, by, v)
		} else {
			VMOVUPS(Mem{Base: from, Index: column, Scale: 1, Disp: w * s.bytes}, v)
		}
		VMOVUPS(v, Mem{Base: packed, Index: column, Scale: 1, Disp: w * s.bytes})
	}
	ADDQ(Imm(line), column)
	CMPQ(column, stride)
	JL(LabelRef("columns"))
	ADDQ(stride, packed)
	INCQ(k)
	CMPQ(k, count)
	JL(LabelRef("next"))
	end()
}

// combination goes over blocks of four vectors' columns, and what is left one
// line at a time; sums stay in registers while all rows go by.
func combination(s isa, sums bool) {
	name, signature := "combination", "func(v, packed, c *float32, count, stride uintptr)"
	if sums {
		name, signature = "sums", "func(v, packed, c *float32, count, stride uintptr, sum *float32)"
	}
	function(name+s.suffix, signature, "adds count rows of stride bytes, each times its c.")
	a := arguments("v", "packed", "c", "count", "stride")
	v, packed, c, count, stride := a[0], a[1], a[2], a[3], a[4]
	var sum reg.Register
	if sums {
		sum = Load(Param("sum"), GP64())
	}
	left := GP64()
	MOVQ(stride, left)
	block := func(vectors int, name string) {
		from, k := GP64(), GP64()
		totals, plain := make([]reg.VecVirtual, vectors), make([]reg.VecVirtual, vectors)
		for w := range vectors {
			totals[w] = s.vector()
			VMOVUPS(Mem{Base: v, Disp: w * s.bytes}, totals[w])
			if sums {
				plain[w] = s.vector()
				VMOVUPS(Mem{Base: sum, Disp: w * s.bytes}, plain[w])
			}
		}
		MOVQ(packed, from)
		XORQ(k, k)
		if vectors*s.bytes == line && !sums {
			fourRows(s, totals, from, k, c, count, stride, name)
		}
		Label(name)
		by := s.vector()
		VBROADCASTSS(Mem{Base: c, Index: k, Scale: 4}, by)
		for w := range vectors {
			at := Mem{Base: from, Disp: w * s.bytes}
			VFMADD231PS(at, by, totals[w])
			if sums {
				VADDPS(at, plain[w], plain[w])
			}
		}
		ADDQ(stride, from)
		INCQ(k)
		CMPQ(k, count)
		JL(LabelRef(name))
		if vectors*s.bytes == line && !sums {
			Label(name + "_done")
		}
		for w := range vectors {
			VMOVUPS(totals[w], Mem{Base: v, Disp: w * s.bytes})
			if sums {
				VMOVUPS(plain[w], Mem{Base: sum, Disp: w * s.bytes})
			}
		}
		step := vectors * s.bytes
		for _, p := range []reg.Register{v, packed, sum} {
			if p != nil {
				ADDQ(U32(step), p)
			}
		}
		SUBQ(U32(step), left)
	}
	Label("wide")
	CMPQ(left, U32(4*s.bytes))
	JL(LabelRef("narrow"))
	block(4, "wide_rows")
	JMP(LabelRef("wide"))
	Label("narrow")
	CMPQ(left, Imm(0))
	JLE(LabelRef("done"))
	block(s.lines(), "narrow_rows")
	JMP(LabelRef("narrow"))
	Label("done")
	end()
}

// fourRows takes four rows at a time, with sums of their own: of few columns each
// sum would wait for its last. It leaves k at the first row that it has not taken.
func fourRows(s isa, totals []reg.VecVirtual, from, k, c, count, stride reg.Register, name string) {
	vectors := len(totals)
	others := zeros(s, 3*vectors)
	last := GP64()
	MOVQ(count, last)
	SUBQ(Imm(3), last)
	Label(name + "_four")
	CMPQ(k, last)
	JGE(LabelRef(name + "_four_done"))
	for row := range 4 {
		by := s.vector()
		VBROADCASTSS(Mem{Base: c, Index: k, Scale: 4, Disp: 4 * row}, by)
		for w := range vectors {
			sum := totals[w]
			if row > 0 {
				sum = others[(row-1)*vectors+w]
			}
			VFMADD231PS(Mem{Base: from, Disp: w * s.bytes}, by, sum)
		}
		ADDQ(stride, from)
	}
	ADDQ(Imm(4), k)
	JMP(LabelRef(name + "_four"))
	Label(name + "_four_done")
	for k, other := range others {
		VADDPS(other, totals[k%vectors], totals[k%vectors])
	}
	CMPQ(k, count)
	JGE(LabelRef(name + "_done"))
}
