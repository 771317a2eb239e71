package cassandra

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/redpanda-data/benthos/v4/public/bloblang"
	inf "gopkg.in/inf.v0"
)

// encodeValue encodes what a mapping gave for a column; null is nil. Numbers may
// be texts, as in events of the original system, where they are whole.
func encodeValue(info gocql.TypeInfo, value any) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	converted, err := convertValue(info, value)
	if err != nil {
		return nil, err
	}
	return gocql.Marshal(info, converted)
}

// convertValue gives a value of a Go type that the driver takes for the column.
func convertValue(info gocql.TypeInfo, value any) (any, error) {
	switch info.Type() {
	case gocql.TypeBigInt, gocql.TypeCounter, gocql.TypeInt, gocql.TypeSmallInt, gocql.TypeTinyInt, gocql.TypeVarint:
		return wholeNumber(value)
	case gocql.TypeDouble:
		return number(value)
	case gocql.TypeFloat:
		n, err := number(value)
		if err == nil && math.Abs(n) > math.MaxFloat32 && !math.IsInf(n, 0) {
			err = fmt.Errorf("%v is too large for a float", n)
		}
		return float32(n), err
	case gocql.TypeDecimal:
		return decimal(value)
	case gocql.TypeBoolean:
		return bloblang.ValueAsBool(value)
	case gocql.TypeTimestamp:
		return timestamp(value)
	case gocql.TypeVarchar, gocql.TypeText, gocql.TypeAscii:
		return text(value)
	case gocql.TypeBlob:
		return bloblang.ValueAsBytes(value)
	case gocql.TypeList, gocql.TypeSet:
		return elements(value)
	case gocql.TypeMap:
		return entries(value)
	case gocql.TypeUDT:
		return fields(value)
	}
	if n, ok := value.(json.Number); ok {
		return n.Int64()
	}
	return value, nil
}

// valueCell converts an element of a collection when the driver asks for it.
type valueCell struct{ value any }

func (c valueCell) MarshalCQL(info gocql.TypeInfo) ([]byte, error) { return encodeValue(info, c.value) }

func elements(value any) (any, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is no array", typeName(value))
	}
	cells := make([]valueCell, len(list))
	for i, v := range list {
		cells[i] = valueCell{v}
	}
	return cells, nil
}

// entries has keys that are cells too: a JSON key is a text whatever it is for.
func entries(value any) (any, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is no object", typeName(value))
	}
	cells := make(map[valueCell]valueCell, len(object))
	for k, v := range object {
		cells[valueCell{k}] = valueCell{v}
	}
	return cells, nil
}

func fields(value any) (any, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is no object", typeName(value))
	}
	cells := make(map[string]any, len(object))
	for k, v := range object {
		cells[k] = valueCell{v}
	}
	return cells, nil
}

func wholeNumber(value any) (int64, error) {
	switch v := value.(type) {
	case int64:
		return v, nil
	case string:
		return strconv.ParseInt(v, 10, 64)
	case json.Number:
		return strconv.ParseInt(v.String(), 10, 64)
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return 0, fmt.Errorf("%v is no whole number, or too large to be exact", v)
		}
	case time.Time:
		return 0, errors.New("a timestamp is no number; use its ts_unix methods")
	}
	return bloblang.ValueAsInt64(value)
}

func number(value any) (float64, error) {
	switch v := value.(type) {
	case float64:
		return v, nil
	case string:
		return strconv.ParseFloat(v, 64)
	}
	return bloblang.ValueAsFloat64(value)
}

func decimal(value any) (any, error) {
	plain, err := text(value)
	if err != nil {
		return nil, err
	}
	d, ok := new(inf.Dec).SetString(plain)
	if !ok {
		return nil, fmt.Errorf("%q is no decimal number", plain)
	}
	return *d, nil
}

// timestamp takes what Bloblang takes for one: a timestamp, RFC 3339 text, or
// Unix seconds.
func timestamp(value any) (time.Time, error) {
	if v, ok := value.(string); ok {
		if seconds, err := strconv.ParseFloat(v, 64); err == nil {
			value = seconds
		}
	}
	return bloblang.ValueAsTimestamp(value)
}

func text(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	case json.Number:
		return v.String(), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case bool:
		return strconv.FormatBool(v), nil
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	}
	encoded, err := json.Marshal(value)
	return string(encoded), err
}

// writeTime gives a time of writing in microseconds: a number is that already.
func writeTime(value any) (int64, error) {
	switch v := value.(type) {
	case nil:
		return 0, errors.New("it gave null instead of a time")
	case time.Time:
		return v.UnixMicro(), nil
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n, nil
		}
		at, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return 0, fmt.Errorf("%q is neither microseconds nor an RFC 3339 time", v)
		}
		return at.UnixMicro(), nil
	}
	return wholeNumber(value)
}

func typeName(value any) string {
	if value == nil {
		return "null"
	}
	return fmt.Sprintf("a value of type %T", value)
}
