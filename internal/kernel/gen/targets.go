//go:build ignore

package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gatherFloats loads the lanes of mask, which it clears; avo lists only the
// narrower VGATHERDPS of AVX2.
func gatherFloats(mask reg.OpmaskVirtual, m Mem, to reg.VecVirtual) {
	Instruction(&ir.Instruction{
		Opcode: "VGATHERDPS", Operands: []Op{m, mask, to}, Inputs: []Op{m, mask, to}, Outputs: []Op{mask, to}, ISA: []string{"AVX512F"},
	})
}

// targets512 takes 16 values at a time; lanes past the last become 0. Sums are in
// float64, of the lower and the upper half.
func targets512() {
	function("targets512", "func(targets, values *float32, rows *int32, bias *float32, count uintptr, mean float32, sums *[2]float64)",
		"writes values less mean and the biases of rows, in whole vectors, and the sums of these and of their squares.")
	a := arguments("targets", "values", "rows", "bias", "count")
	targets, values, rows, bias, count := a[0], a[1], a[2], a[3], a[4]
	sums := Load(Param("sums"), GP64())
	mean := broadcast("mean")
	totals := zeros(avx512, 4)
	ones, bits := GP32(), GP32()
	MOVL(U32(0xffff), ones)
	Label("next")
	MOVL(ones, bits)
	CMPQ(count, Imm(16))
	JGE(LabelRef("whole"))
	BZHIL(count.(reg.GPVirtual).As32(), ones, bits)
	Label("whole")
	lanes, left := K(), K()
	KMOVW(bits, lanes)
	KMOVW(bits, left)
	index, other, target := ZMM(), zero(avx512), ZMM()
	VMOVDQU32_Z(Mem{Base: rows}, lanes, index)
	gatherFloats(left, Mem{Base: bias, Index: index, Scale: 4}, other)
	VMOVUPS_Z(Mem{Base: values}, lanes, target)
	VSUBPS(mean, target, target)
	VSUBPS_Z(other, target, lanes, target)
	VMOVUPS(target, Mem{Base: targets})
	high := YMM()
	VEXTRACTF64X4(Imm(1), target, high)
	for k, half := range []reg.VecVirtual{target.AsY().(reg.VecVirtual), high} {
		wide := ZMM()
		VCVTPS2PD(half, wide)
		VADDPD(wide, totals[2*k], totals[2*k])
		VFMADD231PD(wide, wide, totals[2*k+1])
	}
	for _, p := range []reg.Register{targets, values, rows} {
		ADDQ(Imm(line), p)
	}
	SUBQ(Imm(16), count)
	JG(LabelRef("next"))
	for k := range 2 {
		VADDPD(totals[2+k], totals[k], totals[k])
		high := YMM()
		VEXTRACTF64X4(Imm(1), totals[k], high)
		low := totals[k].AsY()
		VADDPD(high, low, low)
		quarter := XMM()
		VEXTRACTF128(Imm(1), low, quarter)
		VADDPD(quarter, totals[k].AsX(), quarter)
		VHADDPD(quarter, quarter, quarter)
		VMOVSD(quarter, Mem{Base: sums, Disp: 8 * k})
	}
	end()
}

// split512 takes 32 numbers at a time. Their upper halves are what truncation to
// bfloat16 leaves; what is missing from these is exact in float32.
func split512() {
	function("split512", "func(high, low *uint32, c *float32, lines uintptr)",
		"makes each number the sum of two bfloat16, in two lines at a time.")
	a := arguments("high", "low", "c", "lines")
	high, low, c, lines := a[0], a[1], a[2], a[3]
	odd := GLOBL("oddWords", RODATA|NOPTR)
	for k := range 16 {
		DATA(4*k, U32(uint32(4*k+1)|uint32(4*k+3)<<16))
	}
	order, mask := ZMM(), ZMM()
	VMOVDQU16(odd, order)
	upper := GP32()
	MOVL(U32(0xffff0000), upper)
	VPBROADCASTD(upper, mask)
	Label("next")
	numbers, rests := make([]reg.VecVirtual, 2), make([]reg.VecVirtual, 2)
	for k := range numbers {
		numbers[k], rests[k] = ZMM(), ZMM()
		VMOVUPS(Mem{Base: c, Disp: line * k}, numbers[k])
		VPANDD(mask, numbers[k], rests[k])
		VSUBPS(rests[k], numbers[k], rests[k])
	}
	for _, part := range []struct {
		of []reg.VecVirtual
		to reg.Register
	}{{numbers, high}, {rests, low}} {
		VPERMT2W(part.of[1], order, part.of[0])
		VMOVUPS(part.of[0], Mem{Base: part.to})
		ADDQ(Imm(line), part.to)
	}
	ADDQ(U32(2*line), c)
	SUBQ(Imm(2), lines)
	JG(LabelRef("next"))
	end()
}

// weights512 takes 16 values at a time.
func weights512() {
	function("weights512", "func(scale, coefficient, weights *float32, lines uintptr, least float32)",
		"writes the roots of weights w, which count as least if they are less, and (1+w) divided by the root.")
	a := arguments("scale", "coefficient", "weights", "lines")
	scale, coefficient, weights, lines := a[0], a[1], a[2], a[3]
	least := broadcast("least")
	one, bits := ZMM(), GP32()
	MOVL(U32(0x3f800000), bits)
	VPBROADCASTD(bits, one)
	Label("next")
	weight, root := ZMM(), ZMM()
	VMAXPS(Mem{Base: weights}, least, weight)
	VSQRTPS(weight, root)
	VMOVUPS(root, Mem{Base: scale})
	VADDPS(one, weight, weight)
	VDIVPS(root, weight, weight)
	VMOVUPS(weight, Mem{Base: coefficient})
	for _, p := range []reg.Register{scale, coefficient, weights} {
		ADDQ(Imm(line), p)
	}
	DECQ(lines)
	JNZ(LabelRef("next"))
	end()
}

// broadcast loads a float32 argument into all lanes.
func broadcast(name string) reg.VecVirtual {
	argument, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	v := ZMM()
	VBROADCASTSS(argument.Addr, v)
	return v
}
