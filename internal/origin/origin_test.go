package origin_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/origin"
)

// newGuest returns a guest that counts on listening whether it listens.
func newGuest(listening *int) *origin.Guest {
	return &origin.Guest{
		Handler: http.NotFoundHandler(),
		Listen:  func() error { *listening++; return nil },
		Leave:   func() { *listening-- },
	}
}

func TestAGuestListensWhileThereIsNoHost(t *testing.T) {
	o := origin.New().At("127.0.0.1:4195")
	listening := 0
	g := newGuest(&listening)
	if err := o.Join(g); err != nil || listening != 1 {
		t.Fatalf("alone: listening %d, %v", listening, err)
	}
	release := o.Host()
	if listening != 0 || o.Page() == nil {
		t.Errorf("with a host: listening %d, page %v", listening, o.Page())
	}
	if err := release(); err != nil || listening != 1 {
		t.Errorf("alone again: listening %d, %v", listening, err)
	}
	o.Part(g)
	if o.Page() != nil {
		t.Error("the page is there after its guest")
	}
	o.Host()
	if listening != 1 {
		t.Error("a guest that has parted is told to leave")
	}
}

func TestAGuestThatComesAfterTheHostDoesNotListen(t *testing.T) {
	o := origin.New().At("127.0.0.1:4195")
	first, second := o.Host(), o.Host()
	listening := 0
	g := newGuest(&listening)
	if err := o.Join(g); err != nil || listening != 0 || o.Page() == nil {
		t.Fatalf("listening %d, page %v, %v", listening, o.Page(), err)
	}
	if err := errors.Join(first(), second()); err != nil || listening != 1 {
		t.Errorf("after the last host: listening %d, %v", listening, err)
	}
}

func TestAGuestThatCannotListenIsNoGuest(t *testing.T) {
	o := origin.New().At("127.0.0.1:4195")
	taken := errors.New("taken")
	if err := o.Join(&origin.Guest{Listen: func() error { return taken }}); !errors.Is(err, taken) || o.Page() != nil {
		t.Errorf("got %v", err)
	}
}

func TestAddressesAreApart(t *testing.T) {
	all := origin.New()
	for _, c := range []struct {
		first, second string
		same          bool
	}{
		{"127.0.0.1:1", "127.0.0.1:1", true},
		{"127.0.0.1:1", "127.0.0.1:2", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
	} {
		if same := all.At(c.first) == all.At(c.second); same != c.same {
			t.Errorf("%s and %s: the same is %v", c.first, c.second, same)
		}
	}
}
