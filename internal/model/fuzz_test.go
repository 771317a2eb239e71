package model

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// FuzzDecode gives any bytes as a model: what is read predicts numbers, ranks, and is
// written as what is read again.
func FuzzDecode(f *testing.F) {
	withHeads := small()
	withHeads.Preference = &als.Preference{Rank: 1, UserFactors: []float32{1, 2}, MovieFactors: []float32{1, 2, 3}, Alpha: 1, Lambda: 1}
	for _, factors := range []*als.Factors{small(), withHeads} {
		var file bytes.Buffer
		if _, err := mustNew(f, factors).WriteTo(&file); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes())
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\x7f{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("nobody knows this error: %v", err)
			}
			return
		}
		for _, user := range []int64{1, 7, 99} {
			if p := m.Predict(user, 10); math.IsNaN(float64(p.Value)) {
				t.Fatalf("user %d: %+v", user, p)
			}
		}
		var file bytes.Buffer
		if _, err := m.WriteTo(&file); err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(file.Bytes()); err != nil {
			t.Fatalf("it was read, and what it is written as is not: %v", err)
		}
	})
}
