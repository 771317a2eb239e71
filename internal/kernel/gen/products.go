//go:build ignore

package main

import (
	"strconv"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowsTimes adds the products of four rows, from row on, with x to sums, over the
// bytes of columns from column on, which it counts up.
func rowsTimes(s isa, sums []reg.VecVirtual, row, stride, stride3, x, column, columns reg.Register, name string) {
	Label(name)
	for w := range s.lines() {
		v := s.vector()
		VMOVUPS(Mem{Base: x, Index: column, Scale: 1, Disp: w * s.bytes}, v)
		at := GP64()
		LEAQ(Mem{Base: row, Index: column, Scale: 1, Disp: w * s.bytes}, at)
		VFMADD231PS(Mem{Base: at}, v, sums[0])
		VFMADD231PS(Mem{Base: at, Index: stride, Scale: 1}, v, sums[1])
		VFMADD231PS(Mem{Base: at, Index: stride, Scale: 2}, v, sums[2])
		VFMADD231PS(Mem{Base: at, Index: stride3, Scale: 1}, v, sums[3])
	}
	ADDQ(Imm(line), column)
	CMPQ(column, columns)
	JL(LabelRef(name))
}

// sumLanes16 returns the sums over the lanes of each of 16 vectors, in order.
func sumLanes16(v []reg.Register) reg.Register {
	add := func(a, b reg.Register, low, high func(a, b, to reg.Register)) reg.Register {
		x, y := ZMM(), ZMM()
		low(a, b, x)
		high(a, b, y)
		VADDPS(y, x, x)
		return x
	}
	pairs := func(v []reg.Register, low, high func(a, b, to reg.Register)) []reg.Register {
		out := make([]reg.Register, len(v)/2)
		for k := range out {
			out[k] = add(v[2*k], v[2*k+1], low, high)
		}
		return out
	}
	lanes := func(imm uint8) func(a, b, to reg.Register) {
		return func(a, b, to reg.Register) { VSHUFF32X4(Imm(uint64(imm)), b, a, to) }
	}
	v = pairs(v, func(a, b, to reg.Register) { VUNPCKLPS(b, a, to) }, func(a, b, to reg.Register) { VUNPCKHPS(b, a, to) })
	v = pairs(v, func(a, b, to reg.Register) { VUNPCKLPD(b, a, to) }, func(a, b, to reg.Register) { VUNPCKHPD(b, a, to) })
	v = pairs(v, lanes(0x44), lanes(0xee))
	return pairs(v, lanes(0x88), lanes(0xdd))[0]
}

func registers(v []reg.VecVirtual) []reg.Register {
	out := make([]reg.Register, len(v))
	for k := range v {
		out[k] = v[k]
	}
	return out
}

// sumLanes4 returns the sums over the lanes of each of four vectors, in order.
func sumLanes4(v []reg.VecVirtual) reg.VecVirtual {
	a, b := YMM(), YMM()
	VHADDPS(v[1], v[0], a)
	VHADDPS(v[3], v[2], b)
	VHADDPS(b, a, a)
	high := XMM()
	VEXTRACTF128(Imm(1), a, high)
	VADDPS(high, a.AsX(), high)
	return high
}

func loadProducts(s isa, doc string) (out, row, x, count, stride, stride3, columns reg.Register) {
	function("products"+s.suffix, "func(out, packed, x *float32, count, stride, columns uintptr)", doc)
	a := arguments("out", "packed", "x", "count", "stride", "columns")
	stride3 = times3(a[4])
	return a[0], a[1], a[2], a[3], a[4], stride3, a[5]
}

func times3(stride reg.Register) reg.Register {
	stride3 := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	return stride3
}

func products512() {
	out, row, x, count, stride, stride3, columns := loadProducts(avx512, "writes the products of count rows, a multiple of 16, with x of columns bytes.")
	Label("next")
	sums := zeros(avx512, 16)
	for g := range 4 {
		column := GP64()
		XORQ(column, column)
		rowsTimes(avx512, sums[4*g:][:4], row, stride, stride3, x, column, columns, "rows"+strconv.Itoa(4*g))
		LEAQ(Mem{Base: row, Index: stride, Scale: 4}, row)
	}
	VMOVUPS(sumLanes16(registers(sums)), Mem{Base: out})
	ADDQ(Imm(line), out)
	SUBQ(Imm(16), count)
	JNZ(LabelRef("next"))
	end()
}

func products256() {
	out, row, x, count, stride, stride3, columns := loadProducts(avx2, "writes the products of count rows, a multiple of 4, with x of columns bytes.")
	Label("next")
	sums := zeros(avx2, 4)
	column := GP64()
	XORQ(column, column)
	rowsTimes(avx2, sums, row, stride, stride3, x, column, columns, "rows")
	LEAQ(Mem{Base: row, Index: stride, Scale: 4}, row)
	VMOVUPS(sumLanes4(sums), Mem{Base: out})
	ADDQ(Imm(16), out)
	SUBQ(Imm(4), count)
	JNZ(LabelRef("next"))
	end()
}

// dot512 has two sums, which do not wait for each other, and masks what is left.
func dot512() {
	function("dot512", "func(x, y *float32, count uintptr) float32", "returns the inner product of count > 0 numbers.")
	a := arguments("x", "y", "count")
	x, y, count := a[0], a[1], a[2]
	sums := zeros(avx512, 2)
	Label("two")
	CMPQ(count, Imm(32))
	JL(LabelRef("one"))
	for k, sum := range sums {
		v := ZMM()
		VMOVUPS(Mem{Base: x, Disp: line * k}, v)
		VFMADD231PS(Mem{Base: y, Disp: line * k}, v, sum)
	}
	ADDQ(U32(2*line), x)
	ADDQ(U32(2*line), y)
	SUBQ(Imm(32), count)
	JMP(LabelRef("two"))
	Label("one")
	CMPQ(count, Imm(16))
	JL(LabelRef("rest"))
	v := ZMM()
	VMOVUPS(Mem{Base: x}, v)
	VFMADD231PS(Mem{Base: y}, v, sums[0])
	ADDQ(Imm(line), x)
	ADDQ(Imm(line), y)
	SUBQ(Imm(16), count)
	Label("rest")
	ones, lanes := GP32(), K()
	MOVL(U32(0xffff), ones)
	BZHIL(count.(reg.GPVirtual).As32(), ones, ones)
	KMOVW(ones, lanes)
	left, right := ZMM(), ZMM()
	VMOVUPS_Z(Mem{Base: x}, lanes, left)
	VMOVUPS_Z(Mem{Base: y}, lanes, right)
	VFMADD231PS(left, right, sums[1])
	VADDPS(sums[1], sums[0], sums[0])
	half, quarter := YMM(), XMM()
	VEXTRACTF64X4(Imm(1), sums[0], half)
	low := sums[0].AsY()
	VADDPS(half, low, low)
	VEXTRACTF128(Imm(1), low, quarter)
	sum := sums[0].AsX()
	VADDPS(quarter, sum, sum)
	VHADDPS(sum, sum, sum)
	VHADDPS(sum, sum, sum)
	Store(sum, ReturnIndex(0))
	end()
}
