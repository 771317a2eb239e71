//go:build ignore

// Generates vectors_amd64.s and vectors_amd64.go, see native_amd64.go.
package main

import (
	"strconv"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
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
	backward512()
	backward256()
	bounds512()
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
			// Few columns: four rows at a time, or each sum would wait for its last.
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
			for row := range 3 {
				for w := range vectors {
					VADDPS(others[row*vectors+w], totals[w], totals[w])
				}
			}
			CMPQ(k, count)
			JGE(LabelRef(name + "_done"))
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

func loadPanel(name, doc string, fma, broadcast fused) panel {
	function(name, "func(to, from *float32, width, stride, count, columns uintptr)", doc)
	a := arguments("to", "from", "width", "stride", "count", "columns")
	return panel{a[0], a[1], a[2], a[3], a[4], a[5], GP64(), fma, broadcast}
}

// panel512 goes over the panel in tiles of 8 rows × 32 columns, whose 16 sums
// stay in registers while all packed rows go by. The tile on the diagonal is
// 16 × 16, as is the last of an odd number.
func panel512(name string, fma, broadcast fused, doc string) {
	p := loadPanel(name, doc, fma, broadcast)
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
	p := loadPanel(name, doc, fma, nil)
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

// reciprocalRoot replaces the float at m by 1/√max(m, least), and returns it.
func reciprocalRoot(m Mem, least, one reg.Register) reg.VecVirtual {
	pivot := XMM()
	VMOVSS(m, pivot)
	VMAXSS(least, pivot, pivot)
	VSQRTSS(pivot, pivot, pivot)
	VDIVSS(pivot, one, pivot)
	return pivot
}

func loadOne() reg.VecVirtual {
	one, bits := XMM(), GP32()
	MOVL(U32(0x3f800000), bits)
	VMOVD(bits, one)
	return one
}

const diagonalDoc = "factors a symmetric 16×16 block, A = LLᵀ, of which it reads the upper triangle, and replaces it by L⁻¹."

// diagonal512 keeps in registers the rows of A that are not done, as they become
// those of U, and the rows of L⁻¹ that are. Rows of U go to the stack, whence all
// that has time takes its entries; the next pivot and the next row's entry, on
// which everything waits, never leave the registers.
func diagonal512() {
	function("diagonal512", "func(block *float32, width uintptr, least float32)", diagonalDoc)
	a := arguments("block", "width")
	block, width := a[0], a[1]
	least := ZMM()
	m, err := Param("least").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(m.Addr, least)
	upper := AllocLocal(16 * line)
	at := GP64()
	MOVQ(block, at)
	rows := make([]reg.VecVirtual, 16)
	for i := range rows {
		rows[i] = ZMM()
		VMOVUPS(Mem{Base: at}, rows[i])
		if i < 15 {
			ADDQ(width, at)
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
	lane := GLOBL("lane", RODATA|NOPTR)
	for k := range 16 {
		DATA(4*k, U32(k))
	}
	constants := GLOBL("constants", RODATA|NOPTR)
	DATA(0, U32(0x3f000000)) // 0.5
	DATA(4, U32(0x3fc00000)) // 1.5
	half, three := ZMM(), ZMM()
	VBROADCASTSS(constants.Offset(0), half)
	VBROADCASTSS(constants.Offset(4), three)
	lanes := make([]reg.VecVirtual, 16)
	spread := func(row reg.VecVirtual, k int) reg.VecVirtual {
		all := ZMM()
		if lanes[k] == nil {
			lanes[k] = ZMM()
			VPBROADCASTD(lane.Offset(4*k), lanes[k])
		}
		VPERMPS(row, lanes[k], all)
		return all
	}
	inverse := make([]reg.VecVirtual, 16)
	for k, row := range rows {
		// 1/√pivot by an estimate of 14 bits and one step of Newton's.
		pivot, scale, step := spread(row, k), ZMM(), ZMM()
		VMAXPS(least, pivot, pivot)
		VRSQRT14PS(pivot, scale)
		VMULPS(half, pivot, pivot)
		VMULPS(scale, scale, step)
		VFNMADD213PS(three, pivot, step)
		VMULPS(step, scale, scale)
		VMULPS(scale, row, row)
		VMOVUPS(row, upper.Offset(line*k))
		if k < 15 {
			VFNMADD231PS(spread(row, k+1), row, rows[k+1])
		}
		for i := k + 2; i < 16; i++ {
			VFNMADD231PS_BCST(upper.Offset(line*k+4*i), row, rows[i])
		}
		inverse[k] = ZMM()
		VMOVUPS(identity.Offset(line*k), inverse[k])
		for j := range k {
			VFNMADD231PS_BCST(upper.Offset(line*j+4*k), inverse[j], inverse[k])
		}
		VMULPS(scale, inverse[k], inverse[k])
	}
	MOVQ(block, at)
	for k, row := range inverse {
		VMOVUPS(row, Mem{Base: at})
		if k < 15 {
			ADDQ(width, at)
		}
	}
	end()
}

// diagonal256 keeps rows in memory, L⁻¹ on the stack until U is used up.
func diagonal256() {
	function("diagonal256", "func(block *float32, width uintptr, least float32)", diagonalDoc)
	a := arguments("block", "width")
	block, width := a[0], a[1]
	least := Load(Param("least"), XMM())
	inverse := AllocLocal(16 * line)
	one := loadOne()
	at, other := GP64(), GP64()
	none := zero(avx2)
	for k := range 16 {
		for h := range 2 {
			VMOVUPS(none, inverse.Offset(line*k+32*h))
		}
		VMOVSS(one, inverse.Offset(line*k+4*k))
	}
	MOVQ(block, at)
	for k := range 16 {
		// Row k of U, and of L⁻¹: both times 1/√pivot. Below and left of the
		// diagonal there is nothing.
		pivot, by := reciprocalRoot(Mem{Base: at, Disp: 4 * k}, least, one), YMM()
		VBROADCASTSS(pivot, by)
		var row, lower [2]reg.VecVirtual
		for h := range 2 {
			if h >= k/8 {
				row[h] = YMM()
				VMULPS(Mem{Base: at, Disp: 32 * h}, by, row[h])
			}
			if h <= k/8 {
				lower[h] = YMM()
				VMULPS(inverse.Offset(line*k+32*h), by, lower[h])
			}
		}
		for h := range 2 {
			if row[h] != nil {
				VMOVUPS(row[h], Mem{Base: at, Disp: 32 * h})
			}
			if lower[h] != nil {
				VMOVUPS(lower[h], inverse.Offset(line*k+32*h))
			}
		}
		MOVQ(at, other)
		for i := k + 1; i < 16; i++ {
			ADDQ(width, other)
			entry := YMM()
			VBROADCASTSS(Mem{Base: at, Disp: 4 * i}, entry)
			less := func(row reg.VecVirtual, m Mem) {
				sum := YMM()
				VMOVUPS(m, sum)
				VFNMADD231PS(row, entry, sum)
				VMOVUPS(sum, m)
			}
			for h := range 2 {
				if row[h] != nil && h >= i/8 {
					less(row[h], Mem{Base: other, Disp: 32 * h})
				}
				if lower[h] != nil {
					less(lower[h], inverse.Offset(line*i+32*h))
				}
			}
		}
		if k < 15 {
			ADDQ(width, at)
		}
	}
	MOVQ(block, at)
	for k := range 16 {
		for h := range 2 {
			v := YMM()
			VMOVUPS(inverse.Offset(line*k+32*h), v)
			VMOVUPS(v, Mem{Base: at, Disp: 32 * h})
		}
		if k < 15 {
			ADDQ(width, at)
		}
	}
	end()
}

// across multiplies the 16 rows to the right of a block that holds L⁻¹ by it,
// one line of columns at a time, from the last row up, so that it can be done in
// place.
func across(s isa) {
	function("across"+s.suffix, "func(block *float32, width, columns uintptr)",
		"multiplies what stands to the right of a block by the L⁻¹ in it; columns are bytes from the block's first column to the last of the row.")
	a := arguments("block", "width", "columns")
	block, width, columns := a[0], a[1], a[2]
	column, at, last := GP64(), GP64(), GP64()
	MOVQ(width, last)
	SHLQ(Imm(4), last)
	SUBQ(width, last)
	ADDQ(block, last)
	MOVQ(U32(line), column)
	Label("columns")
	LEAQ(Mem{Base: block, Index: column, Scale: 1}, at)
	if s.bytes == line {
		across512(at, last, width)
	} else {
		across256(at, last, width)
	}
	ADDQ(Imm(line), column)
	CMPQ(column, columns)
	JL(LabelRef("columns"))
	end()
}

func across512(at, last, width reg.Register) {
	rows := make([]reg.VecVirtual, 16)
	for i := range rows {
		rows[i] = ZMM()
		VMOVUPS(Mem{Base: at}, rows[i])
		if i < 15 {
			ADDQ(width, at)
		}
	}
	inverse := GP64()
	MOVQ(last, inverse)
	for i := 15; i >= 0; i-- {
		sum, other, scale := ZMM(), ZMM(), ZMM()
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
			SUBQ(width, at)
			SUBQ(width, inverse)
		}
	}
}

func across256(first, last, width reg.Register) {
	inverse, row, to := GP64(), GP64(), GP64()
	MOVQ(last, inverse)
	// The last row of the columns is as far from their first as the block's.
	MOVQ(width, to)
	SHLQ(Imm(4), to)
	SUBQ(width, to)
	ADDQ(first, to)
	for i := 15; i >= 0; i-- {
		var sums [2][2]reg.VecVirtual // [half][even and odd]
		MOVQ(first, row)
		for k := range i + 1 {
			entry := YMM()
			VBROADCASTSS(Mem{Base: inverse, Disp: 4 * k}, entry)
			for h := range 2 {
				m := Mem{Base: row, Disp: 32 * h}
				if sum := &sums[h][k%2]; *sum == nil {
					*sum = YMM()
					VMULPS(m, entry, *sum)
				} else {
					VFMADD231PS(m, entry, *sum)
				}
			}
			if k < i {
				ADDQ(width, row)
			}
		}
		for h := range 2 {
			if sums[h][1] != nil {
				VADDPS(sums[h][1], sums[h][0], sums[h][0])
			}
			VMOVUPS(sums[h][0], Mem{Base: to, Disp: 32 * h})
		}
		if i > 0 {
			SUBQ(width, to)
			SUBQ(width, inverse)
		}
	}
}

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
func sumLanes16(v []reg.VecVirtual) reg.VecVirtual {
	add := func(a, b reg.VecVirtual, low, high func(a, b, to reg.VecVirtual)) reg.VecVirtual {
		x, y := ZMM(), ZMM()
		low(a, b, x)
		high(a, b, y)
		VADDPS(y, x, x)
		return x
	}
	pairs := func(v []reg.VecVirtual, low, high func(a, b, to reg.VecVirtual)) []reg.VecVirtual {
		out := make([]reg.VecVirtual, len(v)/2)
		for k := range out {
			out[k] = add(v[2*k], v[2*k+1], low, high)
		}
		return out
	}
	lanes := func(imm uint8) func(a, b, to reg.VecVirtual) {
		return func(a, b, to reg.VecVirtual) { VSHUFF32X4(Imm(uint64(imm)), b, a, to) }
	}
	v = pairs(v, func(a, b, to reg.VecVirtual) { VUNPCKLPS(b, a, to) }, func(a, b, to reg.VecVirtual) { VUNPCKHPS(b, a, to) })
	v = pairs(v, func(a, b, to reg.VecVirtual) { VUNPCKLPD(b, a, to) }, func(a, b, to reg.VecVirtual) { VUNPCKHPD(b, a, to) })
	v = pairs(v, lanes(0x44), lanes(0xee))
	return pairs(v, lanes(0x88), lanes(0xdd))[0]
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

func zeros(s isa, n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for k := range v {
		v[k] = zero(s)
	}
	return v
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
	VMOVUPS(sumLanes16(sums), Mem{Base: out})
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

const backwardDoc = "solves for 16 unknowns of U·x = b, those of the rows of a block that holds L⁻¹, with all unknowns to their right solved; columns are bytes from the block's first column to the last unknown's."

func loadBackward(s isa) (block, b, width, width3, columns reg.Register) {
	function("backward"+s.suffix, "func(block, b *float32, width, columns uintptr)", backwardDoc)
	a := arguments("block", "b", "width", "columns")
	return a[0], a[1], a[2], times3(a[2]), a[3]
}

func backward512() {
	block, b, width, width3, columns := loadBackward(avx512)
	CMPQ(columns, Imm(line))
	JLE(LabelRef("solve"))
	sums := zeros(avx512, 16)
	row := GP64()
	MOVQ(block, row)
	for g := range 4 {
		column := GP64()
		MOVQ(U32(line), column)
		rowsTimes(avx512, sums[4*g:][:4], row, width, width3, b, column, columns, "rows"+strconv.Itoa(4*g))
		LEAQ(Mem{Base: row, Index: width, Scale: 4}, row)
	}
	right := ZMM()
	VMOVUPS(Mem{Base: b}, right)
	VSUBPS(sumLanes16(sums), right, right)
	VMOVUPS(right, Mem{Base: b})
	Label("solve")
	timesBlock(avx512, block, b, width)
	end()
}

func backward256() {
	block, b, width, width3, columns := loadBackward(avx2)
	CMPQ(columns, Imm(line))
	JLE(LabelRef("solve"))
	row := GP64()
	MOVQ(block, row)
	for g := range 4 {
		sums := zeros(avx2, 4)
		column := GP64()
		MOVQ(U32(line), column)
		rowsTimes(avx2, sums, row, width, width3, b, column, columns, "rows"+strconv.Itoa(4*g))
		LEAQ(Mem{Base: row, Index: width, Scale: 4}, row)
		right := XMM()
		VMOVUPS(Mem{Base: b, Disp: 16 * g}, right)
		VSUBPS(sumLanes4(sums), right, right)
		VMOVUPS(right, Mem{Base: b, Disp: 16 * g})
	}
	Label("solve")
	timesBlock(avx2, block, b, width)
	end()
}

// timesBlock replaces the 16 values at b by their combination of the block's
// rows.
func timesBlock(s isa, block, b, width reg.Register) {
	at := GP64()
	MOVQ(block, at)
	sums := make([][2]reg.VecVirtual, s.lines())
	for k := range 16 {
		by := s.vector()
		VBROADCASTSS(Mem{Base: b, Disp: 4 * k}, by)
		for w := range sums {
			m := Mem{Base: at, Disp: w * s.bytes}
			if sum := &sums[w][k%2]; *sum == nil {
				*sum = s.vector()
				VMULPS(m, by, *sum)
			} else {
				VFMADD231PS(m, by, *sum)
			}
		}
		if k < 15 {
			ADDQ(width, at)
		}
	}
	for w := range sums {
		VADDPS(sums[w][1], sums[w][0], sums[w][0])
		VMOVUPS(sums[w][0], Mem{Base: b, Disp: w * s.bytes})
	}
}

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
