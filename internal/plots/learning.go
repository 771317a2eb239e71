package plots

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

// Learning draws the learning curve of a training into path: of the head that rates
// errors in training and on what is held out, of the head that ranks what it
// minimizes and NDCG@10 of what is held out. Its errors are those of Check, of writing,
// or ErrEmpty.
func Learning(path string, c training.Curve) error {
	var panels []panel
	if len(c.Rating) > 0 {
		panels = append(panels, func() (*plot.Plot, error) { return ratingCurve(c) })
	}
	if len(c.Preference) > 0 {
		panels = append(panels, func() (*plot.Plot, error) { return lossCurve(c) })
		if c.Listeners > 0 {
			panels = append(panels, func() (*plot.Plot, error) { return rankingCurve(c) })
		}
	}
	if len(panels) == 0 {
		return fmt.Errorf("%q: %w: nothing was trained", path, ErrEmpty)
	}
	return drawInto(path, 3, panels)
}

// learningPlot has iterations on its x axis.
func learningPlot(title, y string, iterations int) *plot.Plot {
	p := newPlot(title, "iteration", y)
	p.X.Tick.Marker = wholeTicks{}
	p.X.Min, p.X.Max = 0.5, float64(iterations)+0.5
	return p
}

func ratingCurve(c training.Curve) (*plot.Plot, error) {
	p := learningPlot("Head that rates, "+c.Algorithm, "RMSE, stars", len(c.Rating))
	var trained, held plotter.XYs
	for _, at := range c.Rating {
		trained = append(trained, plotter.XY{X: float64(at.Iteration), Y: at.Trained})
		held = append(held, plotter.XY{X: float64(at.Iteration), Y: at.Held})
	}
	lines := 1
	name := fmt.Sprintf("%d ratings it is trained on", c.Ratings)
	if c.Algorithm == als.VB {
		name += ", expected"
	}
	if err := first.line(p, name, trained); err != nil {
		return nil, err
	}
	if c.Held > 0 {
		lines = 3
		if err := second.line(p, fmt.Sprintf("%d ratings held out", c.Held), held); err != nil {
			return nil, err
		}
		if err := others.level(p, "held out, biases alone", c.BiasRMSE); err != nil {
			return nil, err
		}
	}
	room(p, lines)
	return p, nil
}

func lossCurve(c training.Curve) (*plot.Plot, error) {
	p := learningPlot("Head that ranks: what training minimizes", "loss, mean over choices", len(c.Preference))
	var loss plotter.XYs
	for _, at := range c.Preference {
		loss = append(loss, plotter.XY{X: float64(at.Iteration), Y: at.Loss})
	}
	err := first.line(p, "", loss)
	room(p, 0)
	return p, err
}

func rankingCurve(c training.Curve) (*plot.Plot, error) {
	p := learningPlot(fmt.Sprintf("Head that ranks, by itself, for %d users", c.Listeners), "NDCG@10 on what is held out", len(c.Preference))
	var ndcg plotter.XYs
	for _, at := range c.Preference {
		ndcg = append(ndcg, plotter.XY{X: float64(at.Iteration), Y: at.NDCG10})
	}
	err := second.line(p, "", ndcg)
	room(p, 0)
	return p, err
}
