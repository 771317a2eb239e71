//go:build ignore

// Generates gram_amd64.s and gram_amd64.go:
//
//	go generate ./internal/kernel
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	panel512("gramPanel512", VFMADD231PS, VFMADD231PS_BCST, "adds the inner products of 16 columns of packed with themselves and those to their right to gram.")
	panel512("lessPanel512", VFNMADD231PS, VFNMADD231PS_BCST, "is gramPanel512 with subtraction.")
	panel256("gramPanel256", VFMADD231PS, "is gramPanel512 for AVX2.")
	panel256("lessPanel256", VFNMADD231PS, "is gramPanel256 with subtraction.")
	diagonal512()
	across512()
	Generate()
}

// fused is a fused multiplication and addition or subtraction.
type fused func(ops ...Op)

// panel holds the arguments of a Gram panel: 16 rows of the result from the
// diagonal on, columns from there to the end of the row.
type panel struct {
	gram, packed reg.Register // first row and column of the panel; its column in the first packed row
	stride       reg.Register // bytes from row to row of both
	count        reg.Register // packed rows
	columns      reg.Register // bytes from the diagonal to the end of a row
	index        reg.Register // counts packed rows down

	fma, broadcast fused
}

func loadPanel() panel {
	p := panel{
		gram: Load(Param("gram"), GP64()), packed: Load(Param("packed"), GP64()),
		stride: Load(Param("stride"), GP64()), count: Load(Param("count"), GP64()),
		columns: Load(Param("columns"), GP64()),
		index:   GP64(),
	}
	return p
}

// panel512 goes over the panel in tiles of 8 rows × 32 columns, whose 16
// sums stay in registers while all packed rows go by. The tile on the diagonal
// is 16 × 16.
func panel512(name string, fma, broadcast fused, doc string) {
	TEXT(name, NOSPLIT, "func(gram, packed *float32, stride, count, columns uintptr)")
	Doc(name + " " + doc)
	p := loadPanel()
	p.fma, p.broadcast = fma, broadcast
	column := GP64()
	Comment("The diagonal: 16 × 16.")
	tile512(p, p.packed, p.gram, p.packed, 16, 1, "diagonal")
	MOVQ(U32(64), column)
	Label("columns")
	left := GP64()
	MOVQ(p.columns, left)
	SUBQ(column, left)
	JLE(LabelRef("done"))
	to, from := GP64(), GP64()
	LEAQ(Mem{Base: p.gram, Index: column, Scale: 1}, to)
	LEAQ(Mem{Base: p.packed, Index: column, Scale: 1}, from)
	CMPQ(left, Imm(64))
	JLE(LabelRef("narrow"))
	tile512(p, p.packed, to, from, 8, 2, "upper")
	rows := GP64()
	LEAQ(Mem{Base: to, Index: p.stride, Scale: 8}, to)
	LEAQ(Mem{Base: p.packed, Disp: 32}, rows)
	tile512(p, rows, to, from, 8, 2, "lower")
	ADDQ(Imm(128), column)
	JMP(LabelRef("columns"))
	Label("narrow")
	tile512(p, p.packed, to, from, 16, 1, "narrow")
	Label("done")
	VZEROUPPER()
	RET()
}

// tile512 adds a tile of rows × 16·width sums: rows are columns of packed from
// a on, columns those from b on.
func tile512(p panel, a, to, b reg.Register, rows, width int, name string) {
	sums := loadTile(p, to, rows, width, 64, ZMM)
	pa, pb := GP64(), GP64()
	MOVQ(a, pa)
	MOVQ(b, pb)
	MOVQ(p.count, p.index)
	Label(name + "_next")
	right := make([]reg.VecVirtual, width)
	for w := range right {
		right[w] = ZMM()
		VMOVUPS(Mem{Base: pb, Disp: 64 * w}, right[w])
	}
	for r := range rows {
		if width == 1 {
			p.broadcast(Mem{Base: pa, Disp: 4 * r}, right[0], sums[r])
			continue
		}
		left := ZMM()
		VBROADCASTSS(Mem{Base: pa, Disp: 4 * r}, left)
		for w := range right {
			p.fma(right[w], left, sums[r*width+w])
		}
	}
	ADDQ(p.stride, pa)
	ADDQ(p.stride, pb)
	DECQ(p.index)
	JNZ(LabelRef(name + "_next"))
	storeTile(p, to, sums, rows, width, 64)
}

// panel256 goes over the panel in tiles of 4 rows × 16 columns.
func panel256(name string, fma fused, doc string) {
	TEXT(name, NOSPLIT, "func(gram, packed *float32, stride, count, columns uintptr)")
	Doc(name + " " + doc)
	p := loadPanel()
	p.fma = fma
	column := GP64()
	XORQ(column, column)
	Label("columns")
	CMPQ(column, p.columns)
	JGE(LabelRef("done"))
	row := GP64()
	XORQ(row, row)
	to := GP64()
	LEAQ(Mem{Base: p.gram, Index: column, Scale: 1}, to)
	Label("rows")
	tile256(p, row, column, to)
	LEAQ(Mem{Base: to, Index: p.stride, Scale: 4}, to)
	ADDQ(Imm(16), row)
	CMPQ(row, Imm(64))
	JLT(LabelRef("rows"))
	ADDQ(Imm(64), column)
	JMP(LabelRef("columns"))
	Label("done")
	VZEROUPPER()
	RET()
}

func tile256(p panel, row, column, to reg.Register) {
	const rows, width = 4, 2
	sums := loadTile(p, to, rows, width, 32, YMM)
	pa, pb := GP64(), GP64()
	LEAQ(Mem{Base: p.packed, Index: row, Scale: 1}, pa)
	LEAQ(Mem{Base: p.packed, Index: column, Scale: 1}, pb)
	MOVQ(p.count, p.index)
	Label("next")
	right := []reg.VecVirtual{YMM(), YMM()}
	for w := range right {
		VMOVUPS(Mem{Base: pb, Disp: 32 * w}, right[w])
	}
	for r := range rows {
		left := YMM()
		VBROADCASTSS(Mem{Base: pa, Disp: 4 * r}, left)
		for w := range right {
			p.fma(right[w], left, sums[r*width+w])
		}
	}
	ADDQ(p.stride, pa)
	ADDQ(p.stride, pb)
	DECQ(p.index)
	JNZ(LabelRef("next"))
	storeTile(p, to, sums, rows, width, 32)
}

// loadTile returns the present values of a tile of the result.
func loadTile(p panel, from reg.Register, rows, width, bytes int, vector func() reg.VecVirtual) []reg.VecVirtual {
	sums := make([]reg.VecVirtual, rows*width)
	at := GP64()
	MOVQ(from, at)
	for k := range sums {
		sums[k] = vector()
		VMOVUPS(Mem{Base: at, Disp: bytes * (k % width)}, sums[k])
		if k%width == width-1 {
			ADDQ(p.stride, at)
		}
	}
	return sums
}

func storeTile(p panel, to reg.Register, sums []reg.VecVirtual, rows, width, bytes int) {
	at := GP64()
	MOVQ(to, at)
	for k := range rows * width {
		VMOVUPS(sums[k], Mem{Base: at, Disp: bytes * (k % width)})
		if k%width == width-1 {
			ADDQ(p.stride, at)
		}
	}
}

// diagonal512 factors a 16×16 block on the diagonal, A = UᵀU, and inverts it:
// rows of the block get those of L⁻¹ = U⁻ᵀ up to the diagonal, and of U to the
// right of it.
func diagonal512() {
	TEXT("diagonal512", NOSPLIT, "func(block *float32, stride uintptr, least float32)")
	Doc("diagonal512 replaces a symmetric 16×16 block by U to the right of the diagonal and the inverse of its transpose up to it.")
	block, stride := Load(Param("block"), GP64()), Load(Param("stride"), GP64())
	least := Load(Param("least"), XMM())
	scales := AllocLocal(64)
	at := GP64()
	MOVQ(block, at)
	rows := make([]reg.VecVirtual, 16)
	for i := range rows {
		rows[i] = ZMM()
		VMOVUPS(Mem{Base: at}, rows[i])
		if i < 15 {
			ADDQ(stride, at)
		}
	}
	one := XMM()
	bits := GP32()
	MOVL(U32(0x3f800000), bits)
	VMOVD(bits, one)
	MOVQ(block, at)
	for k, row := range rows {
		VMOVUPS(row, Mem{Base: at})
		pivot, all := XMM(), ZMM()
		VMOVSS(Mem{Base: at, Disp: 4 * k}, pivot)
		VMAXSS(least, pivot, pivot)
		VSQRTSS(pivot, pivot, pivot)
		VDIVSS(pivot, one, pivot)
		VMOVSS(pivot, scales.Offset(4*k))
		VBROADCASTSS(pivot, all)
		VMULPS(all, row, row)
		VMOVUPS(row, Mem{Base: at})
		for i := k + 1; i < 16; i++ {
			VFNMADD231PS_BCST(Mem{Base: at, Disp: 4 * i}, row, rows[i])
		}
		if k < 15 {
			ADDQ(stride, at)
		}
	}
	identity := GLOBL("identity", RODATA|NOPTR)
	for i := range 16 {
		for j := range 16 {
			value := U32(0)
			if i == j {
				value = 0x3f800000
			}
			DATA(4*(16*i+j), value)
		}
	}
	inverse := make([]reg.VecVirtual, 16)
	for i := range inverse {
		inverse[i] = ZMM()
		VMOVUPS(identity.Offset(64*i), inverse[i])
	}
	MOVQ(block, at)
	mask := GP32()
	for k, row := range inverse {
		all := ZMM()
		VBROADCASTSS(scales.Offset(4*k), all)
		VMULPS(all, row, row)
		for i := k + 1; i < 16; i++ {
			VFNMADD231PS_BCST(Mem{Base: at, Disp: 4 * i}, row, inverse[i])
		}
		upTo := K()
		MOVL(U32(1<<(k+1)-1), mask)
		KMOVW(mask, upTo)
		VMOVUPS(row, upTo, Mem{Base: at})
		if k < 15 {
			ADDQ(stride, at)
		}
	}
	VZEROUPPER()
	RET()
}

// across512 multiplies the 16 rows to the right of a block that diagonal512 has
// left by L⁻¹, 16 columns at a time, from the last row up, so that it can be done
// in place.
func across512() {
	TEXT("across512", NOSPLIT, "func(block *float32, stride, columns uintptr)")
	Doc("across512 multiplies what stands to the right of a block by the inverse that diagonal512 has left in it.")
	block, stride, columns := Load(Param("block"), GP64()), Load(Param("stride"), GP64()), Load(Param("columns"), GP64())
	column, at, last := GP64(), GP64(), GP64()
	MOVQ(stride, last)
	SHLQ(Imm(4), last)
	SUBQ(stride, last)
	ADDQ(block, last)
	MOVQ(U32(64), column)
	Label("columns")
	CMPQ(column, columns)
	JGE(LabelRef("done"))
	LEAQ(Mem{Base: block, Index: column, Scale: 1}, at)
	rows := make([]reg.VecVirtual, 16)
	for i := range rows {
		rows[i] = ZMM()
		VMOVUPS(Mem{Base: at}, rows[i])
		if i < 15 {
			ADDQ(stride, at)
		}
	}
	inverse := GP64()
	MOVQ(last, inverse)
	for i := 15; i >= 0; i-- {
		sum, other := ZMM(), ZMM()
		scale := ZMM()
		VBROADCASTSS(Mem{Base: inverse, Disp: 4 * i}, scale)
		VMULPS(scale, rows[i], sum)
		for k := range i {
			switch {
			case k == 1:
				second := ZMM()
				VBROADCASTSS(Mem{Base: inverse, Disp: 4 * k}, second)
				VMULPS(second, rows[k], other)
			case k%2 == 1:
				VFMADD231PS_BCST(Mem{Base: inverse, Disp: 4 * k}, rows[k], other)
			default:
				VFMADD231PS_BCST(Mem{Base: inverse, Disp: 4 * k}, rows[k], sum)
			}
		}
		if i > 1 {
			VADDPS(other, sum, sum)
		}
		VMOVUPS(sum, Mem{Base: at})
		if i > 0 {
			SUBQ(stride, at)
			SUBQ(stride, inverse)
		}
	}
	ADDQ(Imm(64), column)
	JMP(LabelRef("columns"))
	Label("done")
	VZEROUPPER()
	RET()
}
