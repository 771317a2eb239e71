package message

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestARecordOfAUserIsReadAsItWasWritten(t *testing.T) {
	for _, u := range []UserFactors{
		{User: 0},
		{User: 514, Topic: "events", Partition: 3, Offset: 1 << 50, Cut: 7, History: []UserRating{{-4, 0.5, -1000}, {318, 4.5, 1533873124000}}},
		{User: 1 << 62, Unrated: []UserUnrated{{10, 5}, {11, -5}}, Erased: true, ErasedUntil: -7},
		{User: 1, Erased: true, ModelVersion: `a "version"`, Bias: -1.5e-7, Factors: []float32{0.1, -3e20, 0}},
	} {
		data := u.AppendJSON(nil)
		got, err := DecodeUserFactors("test", data)
		if err != nil || !reflect.DeepEqual(got, u) {
			t.Errorf("%s: got %+v, want %+v, %v", data, got, u, err)
		}
	}
	got, err := DecodeUserFactors("test", []byte(`{"user_id":"7","history":[[1,2,3],[2,2,3]],"later":{"a":[]},"history":[[5,1,1]]}`))
	if want := (UserFactors{User: 7, History: []UserRating{{5, 1, 1}}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("unknown fields, and one twice: %+v, %v", got, err)
	}
}

func TestARecordThatCannotBeReadIsRejected(t *testing.T) {
	for data, want := range map[string]string{
		``:                                     `empty message; expected a JSON object`,
		`[]`:                                   `expected a JSON object, got []`,
		`{"user_id":1`:                         `malformed JSON: {"user_id":1`,
		`{}`:                                   `field "user_id": is missing`,
		`{"user_id":1.5}`:                      `field "user_id": 1.5 is not a whole number in the range of int64; give an id such as 514 or "514"`,
		`{"user_id":1,"history":3}`:            `field "history": 3 is not an array`,
		`{"user_id":1,"history":[3]}`:          `field "history[0]": 3 is not [movie, rating, milliseconds]`,
		`{"user_id":1,"history":[[1,2]]}`:      `field "history[0]": [1,2] is not [movie, rating, milliseconds]`,
		`{"user_id":1,"history":[[1,2,3,4]]}`:  `field "history[0]": [1,2,3,4] is not [movie, rating, milliseconds]`,
		`{"user_id":1,"history":[[1,"2",3]]}`:  `field "history[0]": [1,"2",3] is not [movie, rating, milliseconds]`,
		`{"user_id":1,"history":[[1,1e99,3]]}`: `field "history[0]": [1,1e99,3] is not [movie, rating, milliseconds]`,
		`{"user_id":1,"history":[[1.5,2,3]]}`:  `field "history[0]": [1.5,2,3] is not [movie, rating, milliseconds]`,
		`{"user_id":1,"history":[[5,2,3],[5,2,3]]}`: `field "history[1]": movie 5 comes after 5; they ascend`,
		`{"user_id":1,"unrated":[[1,"x"]]}`:         `field "unrated[0]": [1,"x"] is not [movie, milliseconds]`,
		`{"user_id":1,"unrated":[1]}`:               `field "unrated[0]": 1 is not [movie, milliseconds]`,
		`{"user_id":1,"erased_until":"today"}`:      `field "erased_until": "today" is not a time in whole milliseconds`,
		`{"user_id":1,"partition":-1}`:              `field "partition": -1 is not a whole number from 0 to 2147483647`,
		`{"user_id":1,"offset":1e3}`:                `field "offset": 1e3 is not a whole number from 0 to 9223372036854775807`,
		`{"user_id":1,"factors":[1,null]}`:          `field "factors[1]": null is not a number`,
		`{"user_id":1,"bias":"1"}`:                  `field "bias": "1" is not a number`,
	} {
		_, err := DecodeUserFactors("test", []byte(data))
		var rejection *Rejection
		if !errors.As(err, &rejection) || rejection.Error() != "test: reading a user's record: "+want {
			t.Errorf("%s: %v, want %s", data, err, want)
		}
	}
}

// TestNoBytesMakeTheReaderPanic: a record with a few bytes changed is read or
// rejected.
func TestNoBytesMakeTheReaderPanic(t *testing.T) {
	u := UserFactors{User: 514, Topic: "events", Offset: 9, History: []UserRating{{1, 2.5, 3}, {318, 4.5, 1533873124000}}, Unrated: []UserUnrated{{10, 5}}, Erased: true, ModelVersion: "v", Factors: []float32{1, 2}}
	good := u.AppendJSON(nil)
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		data := append([]byte(nil), good...)
		for range 1 + r.IntN(3) {
			switch at := r.IntN(len(data)); r.IntN(3) {
			case 0:
				data[at] = byte(r.IntN(256))
			case 1:
				data = append(data[:at], data[min(at+1+r.IntN(8), len(data)):]...)
			default:
				data[at] = `[]{},:"-0e.`[r.IntN(11)]
			}
			if len(data) == 0 {
				break
			}
		}
		if _, err := DecodeUserFactors("test", data); err != nil {
			var rejection *Rejection
			if !errors.As(err, &rejection) {
				t.Fatalf("%q: %v is no rejection", data, err)
			}
		}
	}
}
