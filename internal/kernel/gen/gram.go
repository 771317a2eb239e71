//go:build ignore

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// fused is a fused multiplication and addition or subtraction.
type fused func(ops ...Op)

// panel holds the arguments of a Gram panel: 16 rows of the result from the
// diagonal on, columns from there to the end of the row.
type panel struct {
	to, from       reg.Register // first row and column of the panel; its column in the first packed row
	width, stride  reg.Register // from row to row of the result and of the packed rows
	count, columns reg.Register // packed rows; from the diagonal to the end of a row
	index          reg.Register // counts packed rows down

	fma, broadcast fused
}

const ofFloats = "func(to, from *float32, width, stride, count, columns uintptr)"

func loadPanel(name, signature, doc string, fma, broadcast fused) panel {
	function(name, signature, doc)
	a := arguments("to", "from", "width", "stride", "count", "columns")
	return panel{a[0], a[1], a[2], a[3], a[4], a[5], GP64(), fma, broadcast}
}

// panel512 goes over the panel in tiles of 8 rows × 32 columns, whose 16 sums
// stay in registers while all packed rows go by. The tile on the diagonal is
// 16 × 16, as is the last of an odd number.
func panel512(name string, fma, broadcast fused, doc string) {
	p := loadPanel(name, ofFloats, doc, fma, broadcast)
	column := GP64()
	diagonalTile512(p)
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
	tile512(p, p.from, to, from, 8, 2, "upper_rows")
	rows := GP64()
	LEAQ(Mem{Base: to, Index: p.width, Scale: 8}, to)
	LEAQ(Mem{Base: p.from, Disp: 32}, rows)
	tile512(p, rows, to, from, 8, 2, "lower_rows")
	ADDQ(Imm(2*line), column)
	JMP(LabelRef("columns"))
	Label("narrow")
	tile512(p, p.from, to, from, 16, 1, "narrow_rows")
	Label("done")
	end()
}

// diagonalTile512 adds the tile on the diagonal: of its lower eight rows only the
// right half lies on or above it.
func diagonalTile512(p panel) {
	sums, at := make([]reg.VecVirtual, 16), GP64()
	each := func(do func(m Mem, sum reg.VecVirtual)) {
		MOVQ(p.to, at)
		for r := range sums {
			m := Mem{Base: at}
			if r >= 8 {
				m.Disp = 32
			}
			do(m, sums[r])
			if r < 15 {
				ADDQ(p.width, at)
			}
		}
	}
	for r := range sums {
		if sums[r] = ZMM(); r >= 8 {
			sums[r] = YMM()
		}
	}
	each(func(m Mem, sum reg.VecVirtual) { VMOVUPS(m, sum) })
	from := GP64()
	MOVQ(p.from, from)
	MOVQ(p.count, p.index)
	Label("diagonal_rows")
	whole, right := ZMM(), YMM()
	VMOVUPS(Mem{Base: from}, whole)
	VMOVUPS(Mem{Base: from, Disp: 32}, right)
	for r, sum := range sums {
		column := whole
		if r >= 8 {
			column = right
		}
		p.broadcast(Mem{Base: from, Disp: 4 * r}, column, sum)
	}
	ADDQ(p.stride, from)
	DECQ(p.index)
	JNZ(LabelRef("diagonal_rows"))
	each(func(m Mem, sum reg.VecVirtual) { VMOVUPS(sum, m) })
}

// tile512 adds a tile of rows × 16·vectors sums: rows are packed columns from a
// on, columns those from b on.
func tile512(p panel, a, to, b reg.Register, rows, vectors int, name string) {
	sums := loadTile(avx512, p, to, rows, vectors)
	pa, pb := GP64(), GP64()
	MOVQ(a, pa)
	MOVQ(b, pb)
	MOVQ(p.count, p.index)
	Label(name)
	right := make([]reg.VecVirtual, vectors)
	for w := range right {
		right[w] = ZMM()
		VMOVUPS(Mem{Base: pb, Disp: line * w}, right[w])
	}
	for r := range rows {
		if vectors == 1 {
			p.broadcast(Mem{Base: pa, Disp: 4 * r}, right[0], sums[r])
			continue
		}
		left := ZMM()
		VBROADCASTSS(Mem{Base: pa, Disp: 4 * r}, left)
		for w := range right {
			p.fma(right[w], left, sums[r*vectors+w])
		}
	}
	ADDQ(p.stride, pa)
	ADDQ(p.stride, pb)
	DECQ(p.index)
	JNZ(LabelRef(name))
	storeTile(avx512, p, to, sums, vectors)
}

// panel256 goes over the panel in tiles of 4 rows × 16 columns.
func panel256(name string, fma fused, doc string) {
	p := loadPanel(name, ofFloats, doc, fma, nil)
	column := GP64()
	XORQ(column, column)
	Label("columns")
	row, to := GP64(), GP64()
	XORQ(row, row)
	LEAQ(Mem{Base: p.to, Index: column, Scale: 1}, to)
	Label("rows")
	const rows, vectors = 4, 2
	sums := loadTile(avx2, p, to, rows, vectors)
	pa, pb := GP64(), GP64()
	LEAQ(Mem{Base: p.from, Index: row, Scale: 1}, pa)
	LEAQ(Mem{Base: p.from, Index: column, Scale: 1}, pb)
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
			p.fma(right[w], left, sums[r*vectors+w])
		}
	}
	ADDQ(p.stride, pa)
	ADDQ(p.stride, pb)
	DECQ(p.index)
	JNZ(LabelRef("next"))
	storeTile(avx2, p, to, sums, vectors)
	LEAQ(Mem{Base: to, Index: p.width, Scale: rows}, to)
	ADDQ(Imm(4*rows), row)
	CMPQ(row, Imm(line))
	JLT(LabelRef("rows"))
	ADDQ(Imm(line), column)
	CMPQ(column, p.columns)
	JLT(LabelRef("columns"))
	end()
}

// loadTile returns the present values of a tile of the result.
func loadTile(s isa, p panel, from reg.Register, rows, vectors int) []reg.VecVirtual {
	sums := make([]reg.VecVirtual, rows*vectors)
	eachOfTile(s, p, from, sums, vectors, func(at Mem, sum *reg.VecVirtual) {
		*sum = s.vector()
		VMOVUPS(at, *sum)
	})
	return sums
}

func storeTile(s isa, p panel, to reg.Register, sums []reg.VecVirtual, vectors int) {
	eachOfTile(s, p, to, sums, vectors, func(at Mem, sum *reg.VecVirtual) { VMOVUPS(*sum, at) })
}

func eachOfTile(s isa, p panel, first reg.Register, sums []reg.VecVirtual, vectors int, do func(Mem, *reg.VecVirtual)) {
	at := GP64()
	MOVQ(first, at)
	for k := range sums {
		do(Mem{Base: at, Disp: s.bytes * (k % vectors)}, &sums[k])
		if k%vectors == vectors-1 && k < len(sums)-1 {
			ADDQ(p.width, at)
		}
	}
}
