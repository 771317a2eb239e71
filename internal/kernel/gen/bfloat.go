//go:build ignore

package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Neither avo nor Go's assembler knows AVX512_BF16: its instructions are written
// as bytes, on registers chosen by hand. All vectors of a function that has them
// are chosen so.

var (
	zmm = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
	ymm = []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
		reg.Y16, reg.Y17, reg.Y18, reg.Y19, reg.Y20, reg.Y21, reg.Y22, reg.Y23, reg.Y24, reg.Y25, reg.Y26, reg.Y27, reg.Y28, reg.Y29, reg.Y30, reg.Y31,
	}
)

// Lengths of vectors, as EVEX has them.
const (
	length256 = 1
	length512 = 2
)

// Prefixes, as EVEX has them.
const (
	prefixF3 = 2
	prefixF2 = 3
)

// evex writes an instruction of the map 0F38 with three registers (Intel's
// Software Developer's Manual, volume 2, section 2.7).
func evex(prefix, opcode byte, length, to, second, third int) {
	not := func(bit, at int) byte { return byte(1-bit&1) << at }
	p0 := not(to>>3, 7) | not(third>>4, 6) | not(third>>3, 5) | not(to>>4, 4) | 0b010
	p1 := byte(^second&0xf)<<3 | 0b100 | prefix
	p2 := byte(length)<<5 | not(second>>4, 3)
	modrm := byte(0b11<<6 | to&7<<3 | third&7)
	raw := func(directive string, value Op) {
		Instruction(&ir.Instruction{Opcode: directive, Operands: []Op{value}})
	}
	raw("LONG", U32(0x62|uint32(p0)<<8|uint32(p1)<<16|uint32(p2)<<24))
	raw("WORD", U16(uint16(opcode)|uint16(modrm)<<8))
}

// dpbf16 is VDPBF16PS: to each lane of to the products of a's and b's two
// halves.
func dpbf16(length, a, b, to int) { evex(prefixF3, 0x52, length, to, b, a) }

// halve512 rounds to bfloat16 (VCVTNEPS2BF16).
func halve512() {
	function("halve512", "func(to *uint16, from *float32, columns uintptr)", "rounds floats, columns bytes of them, to bfloat16.")
	a := arguments("to", "from", "columns")
	to, from, columns := a[0], a[1], a[2]
	Label("next")
	VMOVUPS(Mem{Base: from}, zmm[0])
	evex(prefixF3, 0x72, length512, 1, 0, 0)
	VMOVUPS(ymm[1], Mem{Base: to})
	ADDQ(Imm(line), from)
	ADDQ(Imm(line/2), to)
	SUBQ(Imm(line), columns)
	JNZ(LabelRef("next"))
	end()
}

// interleave is the order of words in which those of two halves of a vector take
// turns.
var interleave *Mem

func interleaved() Mem {
	if interleave == nil {
		m := GLOBL("interleave", RODATA|NOPTR)
		for k := range 16 {
			DATA(4*k, U32(uint32(k)|uint32(16+k)<<16))
		}
		interleave = &m
	}
	return *interleave
}

// pairs512 copies pairs of rows, each column's two halves side by side, and asks
// for those that come four pairs later.
func pairs512() {
	const ahead = 16
	function("pairs512", "func(packed *uint32, factors *uint16, rows *int32, count, stride uintptr)",
		"copies count pairs of rows, of stride bytes each, so that each column's two are side by side.")
	a := arguments("packed", "factors", "rows", "count", "stride")
	packed, factors, rows, count, stride := a[0], a[1], a[2], a[3], a[4]
	order := ZMM()
	VMOVDQU16(interleaved(), order)
	last := GP64()
	LEAQ(Mem{Base: rows, Index: count, Scale: 8, Disp: -4 * ahead}, last)
	first, second, column := GP64(), GP64(), GP64()
	load := func(disp int) {
		MOVLQSX(Mem{Base: rows, Disp: disp}, first)
		MOVLQSX(Mem{Base: rows, Disp: disp + 4}, second)
		IMULQ(stride, first)
		IMULQ(stride, second)
		ADDQ(factors, first)
		ADDQ(factors, second)
		XORQ(column, column)
	}
	Label("next")
	CMPQ(rows, last)
	JGE(LabelRef("copy"))
	load(4 * ahead)
	Label("prefetch")
	PREFETCHT0(Mem{Base: first, Index: column, Scale: 1})
	PREFETCHT0(Mem{Base: second, Index: column, Scale: 1})
	ADDQ(Imm(line), column)
	CMPQ(column, stride)
	JL(LabelRef("prefetch"))
	Label("copy")
	load(0)
	Label("columns")
	both := ZMM()
	VMOVDQU(Mem{Base: first, Index: column, Scale: 1}, both.AsY())
	VINSERTI64X4(Imm(1), Mem{Base: second, Index: column, Scale: 1}, both, both)
	VPERMW(both, order, both)
	VMOVUPS(both, Mem{Base: packed})
	ADDQ(Imm(line), packed)
	ADDQ(Imm(line/2), column)
	CMPQ(column, stride)
	JL(LabelRef("columns"))
	ADDQ(Imm(8), rows)
	DECQ(count)
	JNZ(LabelRef("next"))
	end()
}

// pairsScaled512 is pairs512 of rows in float32, each times its scale.
func pairsScaled512() {
	const ahead = 8
	function("pairsScaled512", "func(packed *uint32, factors *float32, rows *int32, count, stride uintptr, scale *float32)",
		"is pairs512 of rows in float32, each times its scale.")
	a := arguments("packed", "factors", "rows", "count", "stride")
	packed, factors, rows, count, stride := a[0], a[1], a[2], a[3], a[4]
	scale := Load(Param("scale"), GP64())
	const order, first, second, both = 31, 0, 1, 2
	VMOVDQU16(interleaved(), zmm[order])
	last := GP64()
	LEAQ(Mem{Base: rows, Index: count, Scale: 8, Disp: -4 * ahead}, last)
	from := []reg.GPVirtual{GP64(), GP64()}
	column := GP64()
	load := func(disp int) {
		for k, row := range from {
			MOVLQSX(Mem{Base: rows, Disp: disp + 4*k}, row)
			IMULQ(stride, row)
			ADDQ(factors, row)
		}
		XORQ(column, column)
	}
	Label("next")
	CMPQ(rows, last)
	JGE(LabelRef("copy"))
	load(4 * ahead)
	Label("prefetch")
	PREFETCHT0(Mem{Base: from[0], Index: column, Scale: 1})
	PREFETCHT0(Mem{Base: from[1], Index: column, Scale: 1})
	ADDQ(Imm(line), column)
	CMPQ(column, stride)
	JL(LabelRef("prefetch"))
	Label("copy")
	load(0)
	by := []reg.VecVirtual{ZMM(), ZMM()}
	for k := range by {
		VBROADCASTSS(Mem{Base: scale, Disp: 4 * k}, by[k])
	}
	Label("columns")
	VMULPS(Mem{Base: from[0], Index: column, Scale: 1}, by[0], zmm[first])
	VMULPS(Mem{Base: from[1], Index: column, Scale: 1}, by[1], zmm[second])
	evex(prefixF2, 0x72, length512, both, second, first) // VCVTNE2PS2BF16: the first row's halves are the lower ones
	VPERMW(zmm[both], zmm[order], zmm[both])
	VMOVUPS(zmm[both], Mem{Base: packed})
	ADDQ(Imm(line), packed)
	ADDQ(Imm(line), column)
	CMPQ(column, stride)
	JL(LabelRef("columns"))
	ADDQ(Imm(8), rows)
	ADDQ(Imm(8), scale)
	DECQ(count)
	JNZ(LabelRef("next"))
	end()
}

// productsHalves512 takes 16 rows at a time.
func productsHalves512() {
	function("productsHalves512", "func(out *float32, rows, x *uint16, count, stride uintptr, weights *float32)",
		"writes the products of count rows in bfloat16, a multiple of 16, with x, each times its weight; stride is a multiple of 64 bytes.")
	a := arguments("out", "rows", "x", "count", "stride")
	out, rows, x, count, stride := a[0], a[1], a[2], a[3], a[4]
	weights := Load(Param("weights"), GP64())
	stride3 := times3(stride)
	const column0, row0 = 16, 17
	sums := make([]reg.Register, 16)
	for k := range sums {
		sums[k] = zmm[k]
	}
	Label("next")
	for _, sum := range sums {
		VPXORQ(sum, sum, sum)
	}
	column, at := GP64(), GP64()
	XORQ(column, column)
	Label("columns")
	VMOVUPS(Mem{Base: x, Index: column, Scale: 1}, zmm[column0])
	LEAQ(Mem{Base: rows, Index: column, Scale: 1}, at)
	for g := range 4 {
		for k, m := range []Mem{{Base: at}, {Base: at, Index: stride, Scale: 1}, {Base: at, Index: stride, Scale: 2}, {Base: at, Index: stride3, Scale: 1}} {
			VMOVUPS(m, zmm[row0+k])
			dpbf16(length512, row0+k, column0, 4*g+k)
		}
		if g < 3 {
			LEAQ(Mem{Base: at, Index: stride, Scale: 4}, at)
		}
	}
	ADDQ(Imm(line), column)
	CMPQ(column, stride)
	JL(LabelRef("columns"))
	LEAQ(Mem{Base: rows, Index: stride, Scale: 8}, rows)
	LEAQ(Mem{Base: rows, Index: stride, Scale: 8}, rows)
	products := sumLanes16(sums)
	VMULPS(Mem{Base: weights}, products, products)
	VMOVUPS(products, Mem{Base: out})
	ADDQ(Imm(line), out)
	ADDQ(Imm(line), weights)
	SUBQ(Imm(16), count)
	JNZ(LabelRef("next"))
	end()
}

// combinationHalves512 has sums of the even and of the odd columns, which it puts
// in order at the end.
func combinationHalves512() {
	function("combinationHalves512", "func(v *float32, rows *uint16, c *float32, count, stride uintptr)",
		"adds count rows in bfloat16, each times its c, to v; stride is a multiple of 64 bytes.")
	a := arguments("v", "rows", "c", "count", "stride")
	v, rows, c, count, stride := a[0], a[1], a[2], a[3], a[4]
	upper := GP32()
	MOVL(U32(0xffff0000), upper)
	mask := ZMM()
	VPBROADCASTD(upper, mask)
	index := GLOBL("evenAndOdd", RODATA|NOPTR)
	for k := range 16 {
		DATA(8*k, U32(uint32(k)))
		DATA(8*k+4, U32(uint32(16+k)))
	}
	left := GP64()
	MOVQ(stride, left)
	block := func(vectors int, name string) {
		const rowsAtOnce = 2 // with sums of their own, which do not wait for each other
		sums := make([][]reg.VecVirtual, rowsAtOnce)
		for r := range sums {
			sums[r] = make([]reg.VecVirtual, 2*vectors)
			for w := range sums[r] {
				sums[r][w] = ZMM()
				VPXORQ(sums[r][w], sums[r][w], sums[r][w])
			}
		}
		from, k, last := GP64(), GP64(), GP64()
		MOVQ(rows, from)
		XORQ(k, k)
		add := func(r int) {
			by := ZMM()
			VBROADCASTSS(Mem{Base: c, Index: k, Scale: 4, Disp: 4 * r}, by)
			for w := range vectors {
				both, even := ZMM(), ZMM()
				VMOVUPS(Mem{Base: from, Disp: line * w}, both)
				VPSLLD(Imm(16), both, even)
				VPANDD(mask, both, both)
				VFMADD231PS(even, by, sums[r][2*w])
				VFMADD231PS(both, by, sums[r][2*w+1])
			}
			ADDQ(stride, from)
		}
		LEAQ(Mem{Base: count, Disp: -1}, last)
		Label(name)
		CMPQ(k, last)
		JGE(LabelRef(name + "_last"))
		add(0)
		add(1)
		ADDQ(Imm(2), k)
		JMP(LabelRef(name))
		Label(name + "_last")
		JG(LabelRef(name + "_done"))
		add(0)
		Label(name + "_done")
		for w := range vectors {
			even, odd := sums[0][2*w], sums[0][2*w+1]
			VADDPS(sums[1][2*w], even, even)
			VADDPS(sums[1][2*w+1], odd, odd)
			for half := range 2 {
				order := ZMM()
				VMOVDQU32(index.Offset(line*half), order)
				VPERMI2PS(odd, even, order)
				m := Mem{Base: v, Disp: 2*line*w + line*half}
				VADDPS(m, order, order)
				VMOVUPS(order, m)
			}
		}
		ADDQ(U32(uint32(2*line*vectors)), v)
		ADDQ(U32(uint32(line*vectors)), rows)
		SUBQ(U32(uint32(line*vectors)), left)
	}
	Label("wide")
	CMPQ(left, U32(4*line))
	JL(LabelRef("middle"))
	block(4, "wide_rows")
	JMP(LabelRef("wide"))
	Label("middle")
	CMPQ(left, U32(2*line))
	JL(LabelRef("narrow"))
	block(2, "middle_rows")
	JMP(LabelRef("middle"))
	Label("narrow")
	CMPQ(left, Imm(0))
	JLE(LabelRef("done"))
	block(1, "narrow_rows")
	JMP(LabelRef("narrow"))
	Label("done")
	end()
}

// gramPairs512 is panel512 for pairs of rows.
func gramPairs512() {
	p := loadPanel("gramPairs512", "func(to *float32, from *uint32, width, stride, count, columns uintptr, keep uint32)",
		"is gramPanel512 for pairs of rows in bfloat16. keep is 0xffff to add to what is there, and 0 to overwrite it.", nil, nil)
	keep := Load(Param("keep"), GP32())
	KMOVW(keep, reg.K1)
	column := GP64()
	diagonalPairs(p)
	MOVQ(U32(line), column)
	Label("columns")
	left := GP64()
	MOVQ(p.columns, left)
	SUBQ(column, left)
	JLE(LabelRef("done"))
	to, from := GP64(), GP64()
	LEAQ(Mem{Base: p.to, Index: column, Scale: 1}, to)
	LEAQ(Mem{Base: p.from, Index: column, Scale: 1}, from)
	CMPQ(left, Imm(line))
	JLE(LabelRef("narrow"))
	tilePairs(p, p.from, to, from, 8, 2, "upper_rows")
	rows := GP64()
	LEAQ(Mem{Base: to, Index: p.width, Scale: 8}, to)
	LEAQ(Mem{Base: p.from, Disp: 32}, rows)
	tilePairs(p, rows, to, from, 8, 2, "lower_rows")
	ADDQ(Imm(2*line), column)
	JMP(LabelRef("columns"))
	Label("narrow")
	tilePairs(p, p.from, to, from, 16, 1, "narrow_rows")
	Label("done")
	end()
}

// diagonalPairs is diagonalTile512 for pairs.
func diagonalPairs(p panel) {
	at := GP64()
	each := func(do func(m Mem, sum reg.Register)) {
		MOVQ(p.to, at)
		for r := range 16 {
			if r < 8 {
				do(Mem{Base: at}, zmm[r])
			} else {
				do(Mem{Base: at, Disp: 32}, ymm[r])
			}
			if r < 15 {
				ADDQ(p.width, at)
			}
		}
	}
	each(func(m Mem, sum reg.Register) { VMOVUPS_Z(m, reg.K1, sum) })
	from := GP64()
	MOVQ(p.from, from)
	MOVQ(p.count, p.index)
	Label("diagonal_rows")
	const whole, right, left = 16, 17, 18
	VMOVUPS(Mem{Base: from}, zmm[whole])
	VMOVUPS(Mem{Base: from, Disp: 32}, ymm[right])
	for r := range 16 {
		if r < 8 {
			VPBROADCASTD(Mem{Base: from, Disp: 4 * r}, zmm[left+r%8])
			dpbf16(length512, whole, left+r%8, r)
		} else {
			VPBROADCASTD(Mem{Base: from, Disp: 4 * r}, ymm[left+r%8])
			dpbf16(length256, right, left+r%8, r)
		}
	}
	ADDQ(p.stride, from)
	DECQ(p.index)
	JNZ(LabelRef("diagonal_rows"))
	each(func(m Mem, sum reg.Register) { VMOVUPS(sum, m) })
}

// tilePairs is tile512 for pairs.
func tilePairs(p panel, a, to, b reg.Register, rows, vectors int, name string) {
	at := GP64()
	each := func(do func(m Mem, sum reg.Register)) {
		MOVQ(to, at)
		for k := range rows * vectors {
			do(Mem{Base: at, Disp: line * (k % vectors)}, zmm[k])
			if k%vectors == vectors-1 && k < rows*vectors-1 {
				ADDQ(p.width, at)
			}
		}
	}
	each(func(m Mem, sum reg.Register) { VMOVUPS_Z(m, reg.K1, sum) })
	pa, pb := GP64(), GP64()
	MOVQ(a, pa)
	MOVQ(b, pb)
	MOVQ(p.count, p.index)
	const right, left = 16, 18
	Label(name)
	for w := range vectors {
		VMOVUPS(Mem{Base: pb, Disp: line * w}, zmm[right+w])
	}
	for r := range rows {
		VPBROADCASTD(Mem{Base: pa, Disp: 4 * r}, zmm[left+r%8])
		for w := range vectors {
			dpbf16(length512, right+w, left+r%8, r*vectors+w)
		}
	}
	ADDQ(p.stride, pa)
	ADDQ(p.stride, pb)
	DECQ(p.index)
	JNZ(LabelRef(name))
	each(func(m Mem, sum reg.Register) { VMOVUPS(sum, m) })
}

// sumsPairs512 is sums512 for pairs of rows; high and low are the two halves of
// each c.
func sumsPairs512() {
	function("sumsPairs512", "func(v *float32, packed, high, low *uint32, count, stride uintptr, sum *float32)",
		"adds count pairs of rows, of stride bytes a pair, each times its c, which is the sum of two bfloat16, to v, and all rows to sum.")
	a := arguments("v", "packed", "high", "low", "count", "stride", "sum")
	v, packed, high, low, count, stride, sum := a[0], a[1], a[2], a[3], a[4], a[5], a[6]
	const ones, high0, low0, row = 31, 30, 29, 28
	one := GP32()
	MOVL(U32(0x3f803f80), one)
	VPBROADCASTD(one, zmm[ones])
	left := GP64()
	MOVQ(stride, left)
	block := func(vectors int, name string) {
		from, k := GP64(), GP64()
		for w := range vectors {
			VMOVUPS(Mem{Base: v, Disp: line * w}, zmm[w])
			VMOVUPS(Mem{Base: sum, Disp: line * w}, zmm[4+w])
			VPXORQ(zmm[8+w], zmm[8+w], zmm[8+w])
		}
		MOVQ(packed, from)
		XORQ(k, k)
		Label(name)
		VPBROADCASTD(Mem{Base: high, Index: k, Scale: 4}, zmm[high0])
		VPBROADCASTD(Mem{Base: low, Index: k, Scale: 4}, zmm[low0])
		for w := range vectors {
			VMOVUPS(Mem{Base: from, Disp: line * w}, zmm[row])
			dpbf16(length512, row, high0, w)
			dpbf16(length512, row, ones, 4+w)
			dpbf16(length512, row, low0, 8+w)
		}
		ADDQ(stride, from)
		INCQ(k)
		CMPQ(k, count)
		JL(LabelRef(name))
		for w := range vectors {
			VADDPS(zmm[8+w], zmm[w], zmm[w])
			VMOVUPS(zmm[w], Mem{Base: v, Disp: line * w})
			VMOVUPS(zmm[4+w], Mem{Base: sum, Disp: line * w})
		}
		for _, p := range []reg.Register{v, packed, sum} {
			ADDQ(U32(uint32(line*vectors)), p)
		}
		SUBQ(U32(uint32(line*vectors)), left)
	}
	Label("wide")
	CMPQ(left, U32(4*line))
	JL(LabelRef("narrow"))
	block(4, "wide_rows")
	JMP(LabelRef("wide"))
	Label("narrow")
	CMPQ(left, Imm(0))
	JLE(LabelRef("done"))
	block(1, "narrow_rows")
	JMP(LabelRef("narrow"))
	Label("done")
	end()
}
