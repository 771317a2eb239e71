package live

import "math"

// delays counts times from request to prediction, in classes that are a factor of
// 2^¼ wide, from 1 ms to 18 hours.
type delays struct{ counts [delayClasses]uint32 }

const (
	delayClasses = 106
	perOctave    = 4
)

func (d *delays) add(milliseconds int64) {
	class := 0
	if milliseconds > 0 {
		class = 1 + int(perOctave*math.Log2(float64(milliseconds)))
	}
	d.counts[min(class, delayClasses-1)]++
}

func (d *delays) merge(other *delays) {
	for i, n := range other.counts {
		d.counts[i] += n
	}
}

// quantile is the upper end of the class that holds it, in milliseconds, at most a
// fifth too much; none without any data.
func (d *delays) quantile(q float64) Number {
	var total, below float64
	for _, n := range d.counts {
		total += float64(n)
	}
	if total == 0 {
		return none
	}
	for class, n := range d.counts {
		if below += float64(n); below >= q*total {
			return Number(math.Exp2(float64(class) / perOctave))
		}
	}
	return none
}
