package recommendhttp

import (
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
)

// TestWhoHasGoneIsNotComputed, while who is in a batch already still is.
func TestWhoHasGoneIsNotComputed(t *testing.T) {
	in := &input{conf: &config{batch: 10}}
	queue, released := make(chan *call, 3), 0
	var calls []*call
	for range 4 {
		c := newCall(&api.Call{Messages: [][]byte{nil}}, func() { released++ })
		calls = append(calls, c)
	}
	for _, c := range calls[1:] {
		queue <- c
	}
	calls[2].giveUp()
	got := in.collect(calls[0], queue)
	calls[3].giveUp() // too late
	if len(got) != 3 || got[0] != calls[0] || got[1] != calls[1] || got[2] != calls[3] || released != 1 {
		t.Errorf("%d calls were taken, %d places are free again", len(got), released)
	}
}
