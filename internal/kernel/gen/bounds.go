//go:build ignore

package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// addBytes adds to each 32 bits of sum four products of unsigned bytes of a and
// signed bytes of m: VPDPBUSD of AVX512_VNNI, which avo does not list.
func addBytes(m Mem, a, sum reg.VecVirtual) {
	Instruction(&ir.Instruction{
		Opcode: "VPDPBUSD", Operands: []Op{m, a, sum}, Inputs: []Op{m, a, sum}, Outputs: []Op{sum}, ISA: []string{"AVX512_VNNI"},
	})
}

// bounds512 takes four blocks of 16 rows at a time, whose sums of products of
// bytes stay in registers while the query goes by, four bytes at once.
func bounds512() {
	function("bounds512", "func(masks *uint16, data *int8, offset *int32, scale, bias, errors, norms *float32, query *uint8, groups, blocks uintptr, terms *[4]float32)",
		"sets the bits of rows whose bound reaches the threshold. terms are the query's scale, norm and error, and the threshold; groups are of four columns; blocks are of 16 rows, a multiple of 4.")
	a := arguments("masks", "data", "offset", "scale", "bias", "errors", "norms", "query", "groups", "blocks", "terms")
	masks, data, offset, scale, bias, errors, norms, query, groups, blocks, terms := a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10]
	at := make([]reg.VecVirtual, 4)
	for k := range at {
		at[k] = ZMM()
		VBROADCASTSS(Mem{Base: terms, Disp: 4 * k}, at[k])
	}
	// A block takes a line for every group.
	size := GP64()
	MOVQ(groups, size)
	SHLQ(Imm(6), size)
	Label("next")
	sums := make([]reg.VecVirtual, 4)
	for k := range sums {
		sums[k] = ZMM()
		VMOVDQU32(Mem{Base: offset, Disp: line * k}, sums[k])
	}
	from, third, group := GP64(), GP64(), GP64()
	MOVQ(data, from)
	LEAQ(Mem{Base: data, Index: size, Scale: 2}, third)
	XORQ(group, group)
	Label("groups")
	four := ZMM()
	VPBROADCASTD(Mem{Base: query, Index: group, Scale: 4}, four)
	addBytes(Mem{Base: from}, four, sums[0])
	addBytes(Mem{Base: from, Index: size, Scale: 1}, four, sums[1])
	addBytes(Mem{Base: third}, four, sums[2])
	addBytes(Mem{Base: third, Index: size, Scale: 1}, four, sums[3])
	PREFETCHT0(Mem{Base: from, Disp: 16 * line})
	PREFETCHT0(Mem{Base: from, Index: size, Scale: 1, Disp: 16 * line})
	PREFETCHT0(Mem{Base: third, Disp: 16 * line})
	PREFETCHT0(Mem{Base: third, Index: size, Scale: 1, Disp: 16 * line})
	ADDQ(Imm(line), from)
	ADDQ(Imm(line), third)
	INCQ(group)
	CMPQ(group, groups)
	JL(LabelRef("groups"))
	for k, sum := range sums {
		VCVTDQ2PS(sum, sum)
		VMULPS(Mem{Base: scale, Disp: line * k}, sum, sum)
		VFMADD213PS(Mem{Base: bias, Disp: line * k}, at[0], sum)
		VFMADD231PS(Mem{Base: errors, Disp: line * k}, at[1], sum)
		VFMADD231PS(Mem{Base: norms, Disp: line * k}, at[2], sum)
		reached, bits := K(), GP32()
		VCMPPS(Imm(13), at[3], sum, reached) // sum ≥ threshold
		KMOVW(reached, bits)
		MOVW(bits.As16(), Mem{Base: masks, Disp: 2 * k})
	}
	for _, p := range []reg.Register{offset, scale, bias, errors, norms} {
		ADDQ(U32(4*line), p)
	}
	LEAQ(Mem{Base: data, Index: size, Scale: 4}, data)
	ADDQ(Imm(8), masks)
	SUBQ(Imm(4), blocks)
	JNZ(LabelRef("next"))
	end()
}
