package cassandra

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// tokenRange is the tokens above from, up to and including to.
type tokenRange struct {
	from, to int64
	owner    string // id of a host that has them, or ""
}

// ringToken is a token at which a range of the ring ends, and who owns it.
type ringToken struct {
	token int64
	owner string
}

// splitRing cuts all tokens at the ring's own tokens, so that a range has one
// owner, and further into about splits ranges of equal width. Murmur3 gives no
// key the smallest token, so ranges that exclude their start miss nothing.
func splitRing(ring []ringToken, splits int) []tokenRange {
	ring = slices.Clone(ring)
	slices.SortFunc(ring, func(a, b ringToken) int {
		switch {
		case a.token < b.token:
			return -1
		case a.token > b.token:
			return 1
		}
		return 0
	})
	owner := ""
	if len(ring) > 0 {
		owner = ring[0].owner // of what lies behind the last token
	}
	ring = append(ring, ringToken{math.MaxInt64, owner})
	var ranges []tokenRange
	from := int64(math.MinInt64)
	for _, end := range ring {
		ranges = cut(ranges, tokenRange{from, end.token, end.owner}, splits)
		from = end.token
	}
	return ranges
}

// cut appends a range in as many pieces as its share of all tokens asks for.
func cut(ranges []tokenRange, r tokenRange, splits int) []tokenRange {
	width := uint64(r.to) - uint64(r.from)
	if width == 0 {
		return ranges
	}
	pieces := uint64(max(1, math.Ceil(float64(width)/math.MaxUint64*float64(splits))))
	step := width / pieces
	for i := uint64(0); i < pieces; i++ {
		piece := tokenRange{int64(uint64(r.from) + i*step), int64(uint64(r.from) + (i+1)*step), r.owner}
		if i == pieces-1 {
			piece.to = r.to
		}
		ranges = append(ranges, piece)
	}
	return ranges
}

// ringOf reads the tokens of the hosts that requests may be sent to directly.
func ringOf(session *gocql.Session, localDC string) []ringToken {
	var ring []ringToken
	for _, host := range session.GetHosts() {
		if localDC != "" && host.DataCenter() != localDC {
			continue
		}
		for _, text := range host.Tokens() {
			if token, err := strconv.ParseInt(text, 10, 64); err == nil {
				ring = append(ring, ringToken{token, host.HostID()})
			}
		}
	}
	return ring
}

// hasTokenRanges says that the cluster's tokens are those of Murmur3.
func hasTokenRanges(ctx context.Context, session *gocql.Session) (bool, error) {
	var partitioner string
	err := session.Query("SELECT partitioner FROM system.local WHERE key = 'local'").Consistency(gocql.One).ScanContext(ctx, &partitioner)
	if err != nil {
		return false, fmt.Errorf("reading the partitioner: %w", err)
	}
	return strings.HasSuffix(partitioner, "Murmur3Partitioner"), nil
}

// rangeStatement limits a statement that has no WHERE to a token range.
func rangeStatement(statement string, partitionKey []string) string {
	quoted := make([]string, len(partitionKey))
	for i, column := range partitionKey {
		quoted[i] = quoteName(column)
	}
	token := "token(" + strings.Join(quoted, ", ") + ")"
	return statement + " WHERE " + token + " > ? AND " + token + " <= ?"
}
