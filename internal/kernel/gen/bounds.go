//go:build ignore

package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// addBytes adds to each 32 bits of sum four products of unsigned bytes of a and
// signed bytes of b: VPDPBUSD of AVX512_VNNI, which avo does not list.
func addBytes(b, a, sum reg.VecVirtual) {
	Instruction(&ir.Instruction{
		Opcode: "VPDPBUSD", Operands: []Op{b, a, sum}, Inputs: []Op{b, a, sum}, Outputs: []Op{sum}, ISA: []string{"AVX512_VNNI"},
	})
}

// bounds512 takes four blocks of 16 rows at a time, whose sums of products stay
// in registers while the query goes by, eight bytes at once. A block is a line
// of nibbles for every eight columns, one of scales and errors, and one of biases.
func bounds512() {
	function("bounds512", "func(masks *uint16, data *uint8, query *int8, groups, blocks uintptr, offset int32, terms *[3]float32)",
		"sets the bits of rows whose bound reaches the threshold. terms are the query's scale and norm, and the threshold; groups are of eight columns; blocks are of 16 rows, a multiple of 4.")
	a := arguments("masks", "data", "query", "groups", "blocks")
	masks, data, query, groups, blocks := a[0], a[1], a[2], a[3], a[4]
	start := broadcast("offset")
	terms := Load(Param("terms"), GP64())
	at := make([]reg.VecVirtual, 3)
	for k := range at {
		at[k] = ZMM()
		VBROADCASTSS(Mem{Base: terms, Disp: 4 * k}, at[k])
	}
	nibble, upper, bits := ZMM(), ZMM(), GP32()
	MOVL(U32(0x0f0f0f0f), bits)
	VPBROADCASTD(bits, nibble)
	MOVL(U32(0xffff0000), bits)
	VPBROADCASTD(bits, upper)
	size := GP64()
	MOVQ(groups, size)
	SHLQ(Imm(6), size)
	ADDQ(U32(2*line), size)
	Label("next")
	sums := make([]reg.VecVirtual, 4)
	for k := range sums {
		sums[k] = ZMM()
		VMOVDQU32(start, sums[k])
	}
	from, third, group := GP64(), GP64(), GP64()
	MOVQ(data, from)
	LEAQ(Mem{Base: data, Index: size, Scale: 2}, third)
	XORQ(group, group)
	block := []Mem{{Base: from}, {Base: from, Index: size, Scale: 1}, {Base: third}, {Base: third, Index: size, Scale: 1}}
	Label("groups")
	first, second := ZMM(), ZMM()
	VPBROADCASTD(Mem{Base: query, Index: group, Scale: 8}, first)
	VPBROADCASTD(Mem{Base: query, Index: group, Scale: 8, Disp: 4}, second)
	for k, m := range block {
		low, high := ZMM(), ZMM()
		VMOVDQU32(m, high)
		VPANDD(high, nibble, low)
		VPSRLD(Imm(4), high, high)
		VPANDD(high, nibble, high)
		addBytes(first, low, sums[k])
		addBytes(second, high, sums[k])
		m.Disp = boundsAhead
		PREFETCHT0(m)
	}
	ADDQ(Imm(line), from)
	ADDQ(Imm(line), third)
	INCQ(group)
	CMPQ(group, groups)
	JL(LabelRef("groups"))
	for k, sum := range sums {
		m := block[k]
		scale, errors := ZMM(), ZMM()
		VMOVDQU32(m, errors)
		VPSLLD(Imm(16), errors, scale)
		VPANDD(upper, errors, errors)
		VCVTDQ2PS(sum, sum)
		VMULPS(scale, sum, sum)
		m.Disp = line
		VFMADD213PS(m, at[0], sum)
		VFMADD231PS(errors, at[1], sum)
		reached, bits := K(), GP32()
		VCMPPS(Imm(13), at[2], sum, reached) // sum ≥ threshold
		KMOVW(reached, bits)
		MOVW(bits.As16(), Mem{Base: masks, Disp: 2 * k})
	}
	LEAQ(Mem{Base: data, Index: size, Scale: 4}, data)
	ADDQ(Imm(8), masks)
	SUBQ(Imm(4), blocks)
	JNZ(LabelRef("next"))
	end()
}

const boundsAhead = 32 * line

// bounds256 is bounds512 for two blocks at a time, each in two vectors. Products of
// a nibble and a byte are added in 16 bits, of which four are at most 15240, before
// they are in 32.
func bounds256() {
	function("bounds256", "func(masks *uint16, data *uint8, query *int8, groups, blocks uintptr, offset int32, terms *[3]float32)",
		"is bounds512 for AVX2. groups are even.")
	a := arguments("masks", "data", "query", "groups", "blocks")
	masks, data, query, groups, blocks := a[0], a[1], a[2], a[3], a[4]
	offset, err := Param("offset").Resolve()
	if err != nil {
		panic(err)
	}
	terms := Load(Param("terms"), GP64())
	nibble, ones := constant256(0x0f0f0f0f), constant256(0x00010001)
	size := GP64()
	MOVQ(groups, size)
	SHLQ(Imm(6), size)
	ADDQ(U32(2*line), size)
	Label("next256")
	sums := make([]reg.VecVirtual, 4)
	for k := range sums {
		sums[k] = YMM()
		VBROADCASTSS(offset.Addr, sums[k])
	}
	from, group := GP64(), GP64()
	MOVQ(data, from)
	XORQ(group, group)
	halves := []Mem{
		{Base: from},
		{Base: from, Disp: line / 2},
		{Base: from, Index: size, Scale: 1},
		{Base: from, Index: size, Scale: 1, Disp: line / 2},
	}
	Label("groups256")
	words := make([]reg.VecVirtual, len(sums))
	for g := range 2 {
		first, second := YMM(), YMM()
		VPBROADCASTD(Mem{Base: query, Index: group, Scale: 8, Disp: 8 * g}, first)
		VPBROADCASTD(Mem{Base: query, Index: group, Scale: 8, Disp: 8*g + 4}, second)
		for k, m := range halves {
			low, high := YMM(), YMM()
			m.Disp += g * line
			VMOVDQU(m, high)
			VPAND(high, nibble, low)
			VPSRLD(Imm(4), high, high)
			VPAND(high, nibble, high)
			VPMADDUBSW(first, low, low)
			VPMADDUBSW(second, high, high)
			VPADDW(low, high, high)
			if g == 0 {
				words[k] = high
			} else {
				VPADDW(high, words[k], words[k])
			}
			if k%2 == 0 {
				m.Disp += boundsAhead / 2
				PREFETCHT0(m)
			}
		}
	}
	for k, word := range words {
		VPMADDWD(ones, word, word)
		VPADDD(word, sums[k], sums[k])
	}
	ADDQ(Imm(2*line), from)
	ADDQ(Imm(2), group)
	CMPQ(group, groups)
	JL(LabelRef("groups256"))
	reached256(sums, halves, masks, terms)
	LEAQ(Mem{Base: data, Index: size, Scale: 2}, data)
	ADDQ(Imm(4), masks)
	SUBQ(Imm(2), blocks)
	JNZ(LabelRef("next256"))
	end()
}

// reached256 turns the sums of two blocks into masks; halves are behind the nibbles.
func reached256(sums []reg.VecVirtual, halves []Mem, masks, terms reg.Register) {
	upper := constant256(0xffff0000)
	var bits [2]reg.GPVirtual
	for k, sum := range sums {
		m := halves[k]
		scale, errors, term := YMM(), YMM(), YMM()
		VMOVDQU(m, errors)
		VPSLLD(Imm(16), errors, scale)
		VPAND(upper, errors, errors)
		VCVTDQ2PS(sum, sum)
		VMULPS(scale, sum, sum)
		m.Disp += line
		VBROADCASTSS(Mem{Base: terms}, term)
		VFMADD213PS(m, term, sum)
		VBROADCASTSS(Mem{Base: terms, Disp: 4}, term)
		VFMADD231PS(errors, term, sum)
		VBROADCASTSS(Mem{Base: terms, Disp: 8}, term)
		VCMPPS(Imm(13), term, sum, sum) // sum ≥ threshold
		bits[k%2] = GP32()
		VMOVMSKPS(sum, bits[k%2])
		if k%2 == 1 {
			SHLL(Imm(8), bits[1])
			ORL(bits[0], bits[1])
			MOVW(bits[1].As16(), Mem{Base: masks, Disp: k - 1})
		}
	}
}

// constant256 is 32 bits in all lanes.
func constant256(value uint32) reg.VecVirtual {
	bits, narrow, wide := GP32(), XMM(), YMM()
	MOVL(U32(value), bits)
	VMOVD(bits, narrow)
	VPBROADCASTD(narrow, wide)
	return wide
}
