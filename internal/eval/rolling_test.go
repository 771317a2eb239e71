package eval

import (
	"math"
	"testing"
)

func TestTheRollingRMSEIsThatOfTheNewestErrors(t *testing.T) {
	r := Rolling{Window: 100}
	if got := r.Add(0, 0); !math.IsNaN(got) {
		t.Errorf("of no error it is %v", got)
	}
	if got := r.Add(4, 16); got != 2 {
		t.Errorf("of four errors of 2 stars it is %v", got)
	}
	if got := r.Add(0, 0); got != 2 {
		t.Errorf("nothing new made it %v", got)
	}
	// By the definition: √(Σ e²·fade / Σ fade), with 4 errors that fade by e^(−1/100).
	fade := math.Exp(-.01)
	if got, want := r.Add(1, 9), math.Sqrt((16*fade+9)/(4*fade+1)); math.Abs(got-want) > 1e-15 {
		t.Errorf("got %v, want %v", got, want)
	}
	for range 2000 { // e^(−20) of what was before is left
		r.Add(1, .25)
	}
	if got := r.Add(1, .25); math.Abs(got-.5) > 1e-6 {
		t.Errorf("after errors of half a star it is %v", got)
	}
}
