package api

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// shape is how a reply is written.
type shape int

const (
	full   shape = iota // the message as it is
	list                // all messages in an array
	ids                 // ["78499", …], as Gorse
	scores              // [{"Id":"78499","Score":5.13}, …], as Gorse
)

// Answer returns the answer to a call; replies are those to its messages, in
// their order. It may be one of them, and must not be changed.
func (c *Call) Answer(replies [][]byte) ([]byte, error) {
	if c.Route.Kind == Feedback {
		return fmt.Appendf(nil, `{"RowAffected":%d}`, len(c.Messages)), nil
	}
	switch c.shape {
	case full:
		return replies[0], nil
	case list:
		dst := make([]byte, 0, (len(replies[0])+64)*len(replies))
		dst = append(dst, '[')
		for i, reply := range replies {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, reply...)
		}
		return append(dst, ']'), nil
	}
	return c.short(replies[0])
}

// short is a reply's items as Gorse has them.
func (c *Call) short(reply []byte) ([]byte, error) {
	items := gjson.GetBytes(reply, "items")
	if !items.IsArray() {
		return nil, fmt.Errorf("the reply to %s has no items", c.Route.Kind)
	}
	dst := append(make([]byte, 0, 512), '[')
	begin := len(dst)
	items.ForEach(func(_, item gjson.Result) bool {
		if len(dst) > begin {
			dst = append(dst, ',')
		}
		if c.shape == ids {
			dst = appendItemID(dst, item)
			return true
		}
		dst = append(dst, `{"Id":`...)
		dst = appendItemID(dst, item)
		dst = append(dst, `,"Score":`...)
		if score := item.Get("score").Raw; score != "" {
			dst = append(dst, score...)
		} else {
			dst = append(dst, '0')
		}
		dst = append(dst, '}')
		return true
	})
	return append(dst, ']'), nil
}

// appendItemID appends the id of a movie or user as a string. It is the first field,
// unless a processor of a user's own has changed that.
func appendItemID(dst []byte, item gjson.Result) []byte {
	const movie = `{"movie_id":`
	if digits, ok := strings.CutPrefix(item.Raw, movie); ok {
		if end := strings.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' }); end > 0 {
			dst = append(dst, '"')
			dst = append(dst, digits[:end]...)
			return append(dst, '"')
		}
	}
	id := item.Get("movie_id")
	if !id.Exists() {
		id = item.Get("user_id")
	}
	return message.AppendString(dst, id.String())
}

// Tag returns the ETag of an answer, or "" where the same request may have
// another answer by the same model: what is for a user changes with what they
// do. It is a weak one, as the times in a full reply differ.
func (c *Call) Tag(replies [][]byte) string {
	if !c.Route.tagged || len(replies) != 1 {
		return ""
	}
	version := gjson.GetBytes(replies[0], "model_version")
	if !version.Exists() {
		return ""
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(version.Raw))
	return fmt.Sprintf(`W/"%x-%d"`, sum.Sum64(), c.shape)
}
