package message

import (
	"fmt"
	"math"
	"strconv"

	"github.com/tidwall/gjson"
)

// UserFactors is all that is known of a user, independent of any model: a record of
// the compacted topic user_factors, with the user's id as key. The newest record of a
// user has what the ones before had.
//
//	{"user_id": 514, "topic": "events", "partition": 2, "offset": 1234, "history": [[318, 4.5, 1533873124000]],
//	 "unrated": [[10, 1533873000000]], "erased_until": 1500000000000, "cut": 0,
//	 "model_version": "…", "bias": 0.21, "factors": [0.1, …]}
//
// Bias and factors are those of one version, a cache for whoever has its movies.
// A user who was erased and did nothing since is a tombstone, without any value.
type UserFactors struct {
	User      int64
	Topic     string // of the newest event that it has; "" for none
	Partition int32
	Offset    int64

	History     []UserRating // the newest ones, by movie
	Unrated     []UserUnrated
	Erased      bool
	ErasedUntil int64 // what is not newer was erased, Unix milliseconds
	Cut         int   // older ratings and unrates that are known and not here

	ModelVersion string // "" without factors
	Bias         float32
	Factors      []float32
}

// UserRating is a rating in a UserFactors.
type UserRating struct {
	Movie int64
	Value float32 // stars
	Time  int64   // event time, Unix milliseconds
}

// UserUnrated says that a rating was taken back, in a UserFactors.
type UserUnrated struct {
	Movie int64
	Time  int64 // event time, Unix milliseconds
}

// AppendJSON appends the record.
func (u *UserFactors) AppendJSON(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"user_id":`...), u.User, 10)
	if u.Topic != "" {
		dst = AppendString(append(dst, `,"topic":`...), u.Topic)
		dst = strconv.AppendInt(append(dst, `,"partition":`...), int64(u.Partition), 10)
		dst = strconv.AppendInt(append(dst, `,"offset":`...), u.Offset, 10)
	}
	dst = append(dst, `,"history":[`...)
	for k, r := range u.History {
		if k > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, '['), r.Movie, 10)
		dst = strconv.AppendFloat(append(dst, ','), float64(r.Value), 'f', -1, 32)
		dst = append(strconv.AppendInt(append(dst, ','), r.Time, 10), ']')
	}
	dst = append(dst, ']')
	if len(u.Unrated) > 0 {
		dst = append(dst, `,"unrated":[`...)
		for k, r := range u.Unrated {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(append(dst, '['), r.Movie, 10)
			dst = append(strconv.AppendInt(append(dst, ','), r.Time, 10), ']')
		}
		dst = append(dst, ']')
	}
	if u.Erased {
		dst = strconv.AppendInt(append(dst, `,"erased_until":`...), u.ErasedUntil, 10)
	}
	dst = strconv.AppendInt(append(dst, `,"cut":`...), int64(u.Cut), 10)
	if u.ModelVersion != "" {
		dst = AppendString(append(dst, `,"model_version":`...), u.ModelVersion)
		dst = strconv.AppendFloat(append(dst, `,"bias":`...), float64(u.Bias), 'g', -1, 32)
		dst = append(dst, `,"factors":[`...)
		for k, x := range u.Factors {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendFloat(dst, float64(x), 'g', -1, 32)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// DecodeUserFactors reads and checks one record; fields that are not known are left
// out. Every error is a *Rejection in the name of component.
func DecodeUserFactors(component string, data []byte) (UserFactors, error) {
	var u UserFactors
	user := false
	err := forEachField(data, func(key string, value jsonValue) error {
		user = user || key == "user_id"
		return u.field(key, value)
	})
	if err == nil && !user {
		err = fieldErrorf("user_id", "is missing")
	}
	if err != nil {
		return UserFactors{}, Rejectf(component, "reading a user's record: %v", err)
	}
	return u, nil
}

func (u *UserFactors) field(key string, value jsonValue) (err error) {
	switch key {
	case "user_id":
		u.User, err = parseID(key, value)
	case "topic":
		u.Topic, err = parseText(key, value, maxIDBytes)
	case "partition":
		var n int64
		n, err = parseWhole(key, value, math.MaxInt32)
		u.Partition = int32(n)
	case "offset":
		u.Offset, err = parseWhole(key, value, math.MaxInt64)
	case "cut":
		var n int64
		n, err = parseWhole(key, value, math.MaxInt32)
		u.Cut = int(n)
	case "erased_until":
		if u.ErasedUntil, u.Erased = whole(gjson.Parse(value.Raw)); !u.Erased {
			err = fieldErrorf(key, "%s is not a time in whole milliseconds", excerpt(value.Raw))
		}
	case "model_version":
		u.ModelVersion, err = parseText(key, value, maxIDBytes)
	case "bias":
		u.Bias, err = parseFloat(key, gjson.Parse(value.Raw))
	case "history":
		err = u.history(key, value)
	case "unrated":
		err = u.unrated(key, value)
	case "factors":
		u.Factors = nil
		err = forEachElement(key, value, func(at int, element gjson.Result) error {
			x, err := parseFloat(fmt.Sprintf("%s[%d]", key, at), element)
			u.Factors = append(u.Factors, x)
			return err
		})
	}
	return err
}

func (u *UserFactors) history(key string, value jsonValue) error {
	u.History = nil // of a field that is there twice the last one counts
	return forEachElement(key, value, func(at int, element gjson.Result) error {
		var cells [3]gjson.Result
		if !takeCells(element, cells[:]) {
			return fieldErrorf(fmt.Sprintf("%s[%d]", key, at), "%s is not [movie, rating, milliseconds]", excerpt(element.Raw))
		}
		movie, okMovie := whole(cells[0])
		time, okTime := whole(cells[2])
		stars, err := parseFloat("", cells[1])
		if !okMovie || !okTime || err != nil {
			return fieldErrorf(fmt.Sprintf("%s[%d]", key, at), "%s is not [movie, rating, milliseconds]", excerpt(element.Raw))
		}
		if at > 0 && u.History[at-1].Movie >= movie {
			return fieldErrorf(fmt.Sprintf("%s[%d]", key, at), "movie %d comes after %d; they ascend", movie, u.History[at-1].Movie)
		}
		u.History = append(u.History, UserRating{Movie: movie, Value: stars, Time: time})
		return nil
	})
}

func (u *UserFactors) unrated(key string, value jsonValue) error {
	u.Unrated = nil
	return forEachElement(key, value, func(at int, element gjson.Result) error {
		var cells [2]gjson.Result
		if !takeCells(element, cells[:]) {
			return fieldErrorf(fmt.Sprintf("%s[%d]", key, at), "%s is not [movie, milliseconds]", excerpt(element.Raw))
		}
		movie, okMovie := whole(cells[0])
		time, okTime := whole(cells[1])
		if !okMovie || !okTime {
			return fieldErrorf(fmt.Sprintf("%s[%d]", key, at), "%s is not [movie, milliseconds]", excerpt(element.Raw))
		}
		u.Unrated = append(u.Unrated, UserUnrated{Movie: movie, Time: time})
		return nil
	})
}

// forEachElement calls fn for every element of a JSON array.
func forEachElement(key string, value jsonValue, fn func(at int, element gjson.Result) error) error {
	array := gjson.Parse(value.Raw)
	if !array.IsArray() {
		return fieldErrorf(key, "%s is not an array", excerpt(value.Raw))
	}
	at := 0
	var err error
	array.ForEach(func(_, element gjson.Result) bool {
		err = fn(at, element)
		at++
		return err == nil
	})
	return err
}

// takeCells takes the elements of an array of just that length.
func takeCells(array gjson.Result, cells []gjson.Result) bool {
	if !array.IsArray() {
		return false
	}
	n := 0
	array.ForEach(func(_, cell gjson.Result) bool {
		if n < len(cells) {
			cells[n] = cell
		}
		n++
		return n <= len(cells)
	})
	return n == len(cells)
}

func whole(cell gjson.Result) (int64, bool) {
	if cell.Type != gjson.Number {
		return 0, false
	}
	n, err := strconv.ParseInt(cell.Raw, 10, 64)
	return n, err == nil
}

func parseWhole(key string, value jsonValue, largest int64) (int64, error) {
	n, ok := whole(gjson.Parse(value.Raw))
	if !ok || n < 0 || n > largest {
		return 0, fieldErrorf(key, "%s is not a whole number from 0 to %d", excerpt(value.Raw), largest)
	}
	return n, nil
}

func parseFloat(key string, value gjson.Result) (float32, error) {
	x, err := strconv.ParseFloat(value.Raw, 32)
	if value.Type != gjson.Number || err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, fieldErrorf(key, "%s is not a number", excerpt(value.Raw))
	}
	return float32(x), nil
}
