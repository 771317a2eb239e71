package eval

import (
	"math"
	"testing"
)

func TestQualityByHand(t *testing.T) {
	discount := func(places ...float64) (sum float64) {
		for _, place := range places {
			sum += 1 / math.Log2(place+1)
		}
		return sum
	}
	ascending := func(from, to int32) (rows []int32) {
		for row := from; row < to; row++ {
			rows = append(rows, row)
		}
		return rows
	}
	first := func(n float64) (places []float64) {
		for place := 1.0; place <= n; place++ {
			places = append(places, place)
		}
		return places
	}
	cases := []struct {
		name           string
		list, relevant []int32
		count          int
		want           listQuality
	}{
		{"nothing is listed", nil, []int32{3}, 1, listQuality{}},
		{"one hit in place 1", []int32{3}, []int32{3}, 1, listQuality{ndcg10: 1, ndcg100: 1, precision10: 0.1, recall20: 1, averagePrecision: 1}},
		{
			"hits in places 1 and 3 of three relevant",
			[]int32{7, 1, 5, 2},
			[]int32{5, 7},
			3,
			listQuality{
				ndcg10: discount(1, 3) / discount(1, 2, 3), ndcg100: discount(1, 3) / discount(1, 2, 3),
				precision10: 0.2, recall20: 2.0 / 3, averagePrecision: (1 + 2.0/3) / 3,
			},
		},
		{"a hit in place 10 counts in all", ascending(0, 30), []int32{9}, 1, listQuality{ndcg10: discount(10), ndcg100: discount(10), precision10: 0.1, recall20: 1, averagePrecision: 0.1}},
		{"a hit in place 11 is behind the first 10", ascending(0, 30), []int32{10}, 1, listQuality{ndcg100: discount(11), recall20: 1, averagePrecision: 1.0 / 11}},
		{"a hit in place 21 is behind the first 20", ascending(0, 30), []int32{20}, 1, listQuality{ndcg100: discount(21), averagePrecision: 1.0 / 21}},
		{"a hit in place 100 is the last that counts", ascending(0, 100), []int32{99}, 1, listQuality{ndcg100: discount(100), averagePrecision: 0.01}},
		{
			"no list can hold more than its length", ascending(0, 100), ascending(0, 150), 150,
			listQuality{ndcg10: 1, ndcg100: 1, precision10: 1, recall20: 20.0 / 150, averagePrecision: 1},
		},
		{
			"the best list of 15 relevant has all in front", ascending(0, 10), ascending(5, 20), 15,
			listQuality{
				ndcg10: discount(6, 7, 8, 9, 10) / discount(first(10)...), ndcg100: discount(6, 7, 8, 9, 10) / discount(first(15)...),
				precision10: 0.5, recall20: 5.0 / 15, averagePrecision: (1.0/6 + 2.0/7 + 3.0/8 + 4.0/9 + 5.0/10) / 15,
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := quality(c.list, c.relevant, c.count)
			for name, pair := range map[string][2]float64{
				"NDCG@10": {got.ndcg10, c.want.ndcg10}, "NDCG@100": {got.ndcg100, c.want.ndcg100},
				"precision@10": {got.precision10, c.want.precision10}, "recall@20": {got.recall20, c.want.recall20},
				"average precision": {got.averagePrecision, c.want.averagePrecision},
			} {
				if math.Abs(pair[0]-pair[1]) > 1e-12 { // rounding of sums of at most 100 doubles
					t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
				}
			}
		})
	}
}
