//go:build ignore

package main

import (
	"strconv"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

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
	VSUBPS(sumLanes16(registers(sums)), right, right)
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
