package plots

import (
	"bytes"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
)

func result(withIntervals bool) eval.Result {
	r := eval.Result{Algorithm: "als_vb", TestRatings: 100}
	r.Parameters.Rank = 15
	for _, name := range []string{"users of 0 to 9 ratings", "users of 10 to 99 ratings"} {
		r.ByActivity = append(r.ByActivity, eval.GroupError{Group: name, Pairs: 50, RMSE: 0.8, BiasRMSE: 0.9})
	}
	for stars := 1.0; stars <= 5; stars += 0.5 {
		r.Calibration = append(r.Calibration, eval.Calibration{Predicted: stars, Pairs: 10, Error: 0.1})
	}
	if withIntervals {
		r.Intervals = &eval.Intervals{
			Coverage: []eval.Coverage{{Group: "all", Pairs: 100, Of50: 0.51, Of80: 0.8, Of90: 0.9}, {Group: "some", Pairs: 10, Of50: 0.4, Of80: 0.7, Of90: 0.8}},
			PIT:      make([]float64, 20),
		}
		for k := range r.Intervals.PIT {
			r.Intervals.PIT[k] = 0.05
		}
	}
	return r
}

func TestPicturesAreDrawn(t *testing.T) {
	for _, withIntervals := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "evaluation.png")
		if err := Evaluation(path, result(withIntervals)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if wide := picture.Bounds().Dx() > 2*picture.Bounds().Dy(); wide == withIntervals {
			t.Errorf("with intervals %v: the picture is %v", withIntervals, picture.Bounds())
		}
		if path = filepath.Join(t.TempDir(), "evaluation.SVG"); Evaluation(path, result(withIntervals)) != nil {
			t.Fatal("no SVG")
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"als_vb of rank 15", "biases alone", "10 to 99"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the SVG does not say %q", want)
			}
		}
		if strings.Contains(string(text), "Probability integral transform") != withIntervals {
			t.Errorf("with intervals %v: the transform's panel is wrong", withIntervals)
		}
	}
}

func TestOtherFormatsAreRefused(t *testing.T) {
	for _, path := range []string{"evaluation.pdf", "evaluation"} {
		if err := Check(path); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want %v", path, err, ErrFormat)
		}
	}
}
