package message

import "fmt"

// Rejection is the error of a message that can never succeed: bad input, not
// an outage. Such a message becomes a dead letter (or an error reply), and
// trying it again is pointless.
type Rejection struct {
	Component string // the plugin that rejected it: "rating_event"
	Reason    string // what is wrong, where, and what would mend it
}

// Error gives component and reason, in the form "component: reason".
func (r *Rejection) Error() string { return r.Component + ": " + r.Reason }

// Rejectf returns a Rejection by component with a formatted reason.
func Rejectf(component, format string, args ...any) *Rejection {
	return &Rejection{Component: component, Reason: fmt.Sprintf(format, args...)}
}
