package browser

import (
	"fmt"
	"testing"
	"time"
)

func TestThePageSaysThatTheConnectionIsLostAndRecoversByItself(t *testing.T) {
	needsChromium(t)
	data, state, address := hostileData(t), t.TempDir(), freeAddress(t)
	args := up(address, state, data, "--rate", "50", "--retrain", "100", "--history", "0.5")
	b := newTab(t)
	p := start(t, address, args...)
	b.open(t, p)
	eventually(t, slow*fills, p, func() error { return filled(read(t, b)) })
	b.silent(t, p.origin)
	before := read(t, b)

	p.Kill()
	eventually(t, 10*time.Second, nil, func() error {
		if now := read(t, b); now.ConnectionIs != "lost" || now.Connection != "Connection lost, retrying…" {
			return fmt.Errorf("without a server the page says %q", now.Connection)
		}
		return nil
	})
	if lost := read(t, b); number(t, lost, "predictions") < number(t, before, "predictions") || len(lost.Latest) < len(before.Latest) {
		t.Errorf("without a server the page forgets what it knew: %v", lost.Figures)
	}
	b.screenshot(t, "lost-1400")

	p = start(t, address, args...)
	eventually(t, patience, p, func() error {
		now := read(t, b)
		if now.ConnectionIs != "live" || number(t, now, "predictions") <= number(t, before, "predictions") {
			return fmt.Errorf("the page says %q and %s predictions, it had %s", now.Connection, now.Figures["predictions"], before.Figures["predictions"])
		}
		return filled(now)
	})
	if read(t, b).Reloaded {
		t.Error("the page was loaded again")
	}
	b.silent(t, p.origin, "network") // the refused connections
}
