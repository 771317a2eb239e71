package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
)

// ErrFormat says that a file is not a model in the safetensors format, or is
// damaged.
var ErrFormat = errors.New("not a readable model file")

// formatName stands in the file's metadata; a change that old readers cannot
// read gets a new one.
const formatName = "recsys-benthos/1"

// maxHeaderBytes bounds the JSON header, as the safetensors library does.
const maxHeaderBytes = 100_000_000

type tensorInfo struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

type tensor struct {
	name  string
	dtype string
	shape []int
	data  any // []float32, []int64 or []int32
}

// WriteTo writes the model in the safetensors format: float32 tensors
// user_factors [users, rank], movie_factors [movies, rank], user_bias [users],
// movie_bias [movies] and mean [1], int64 user_ids and movie_ids, int32
// user_counts and movie_counts; little-endian. A head that ranks adds float32
// preference_user_factors [users, its rank] and preference_movie_factors. A
// posterior adds float32 user_weight [users], user_covariance [users, T],
// movie_covariance [movies, T], user_precision [T] and movie_precision [T], with T
// = (rank+1)·(rank+2)/2 as als.Posterior has them. λ, ν, the rating scale and the
// parameters of head and posterior stand in __metadata__. Equal models give equal
// bytes.
func (m *Model) WriteTo(w io.Writer) (int64, error) {
	f := m.factors
	tensors := []tensor{ // 8-byte elements first, so that all are aligned
		{"user_ids", "I64", []int{len(f.Users)}, f.Users},
		{"movie_ids", "I64", []int{len(f.Movies)}, f.Movies},
		{"user_factors", "F32", []int{len(f.Users), f.Rank}, f.UserFactors},
		{"movie_factors", "F32", []int{len(f.Movies), f.Rank}, f.MovieFactors},
		{"user_bias", "F32", []int{len(f.Users)}, f.UserBias},
		{"movie_bias", "F32", []int{len(f.Movies)}, f.MovieBias},
		{"mean", "F32", []int{1}, []float32{f.Mean}},
		{"user_counts", "I32", []int{len(f.Users)}, f.UserCounts},
		{"movie_counts", "I32", []int{len(f.Movies)}, f.MovieCounts},
	}
	metadata := map[string]string{
		"format":     formatName,
		"lambda":     formatFloat(f.Lambda),
		"nu":         formatFloat(f.Nu),
		"rating_min": formatFloat(float64(m.scale.Min)),
		"rating_max": formatFloat(float64(m.scale.Max)),
	}
	if f.Unbiased {
		metadata["unbiased"] = "true"
	}
	if p := f.Preference; p != nil {
		tensors = append(tensors,
			tensor{"preference_user_factors", "F32", []int{len(f.Users), p.Rank}, p.UserFactors},
			tensor{"preference_movie_factors", "F32", []int{len(f.Movies), p.Rank}, p.MovieFactors})
		metadata["preference_alpha"] = formatFloat(p.Alpha)
		metadata["preference_lambda"] = formatFloat(p.Lambda)
		metadata["preference_beta"] = formatFloat(p.Beta)
	}
	if p := f.Posterior; p != nil {
		size := als.Triangle(f.Rank + 1)
		tensors = append(tensors,
			tensor{"user_weight", "F32", []int{len(f.Users)}, p.UserWeight},
			tensor{"user_covariance", "F32", []int{len(f.Users), size}, p.UserCovariance},
			tensor{"movie_covariance", "F32", []int{len(f.Movies), size}, p.MovieCovariance},
			tensor{"user_precision", "F32", []int{size}, p.UserPrecision},
			tensor{"movie_precision", "F32", []int{size}, p.MoviePrecision})
		metadata["posterior_alpha"] = formatFloat(p.Alpha)
		metadata["posterior_freedom"] = formatFloat(p.Freedom)
	}
	header := map[string]any{"__metadata__": metadata}
	var end int64
	for _, t := range tensors {
		size := int64(binary.Size(t.data))
		header[t.name] = tensorInfo{t.dtype, t.shape, [2]int64{end, end + size}}
		end += size
	}
	text, err := json.Marshal(header)
	if err != nil {
		return 0, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	out := make([]byte, 0, 8+len(text)+int(end))
	out = binary.LittleEndian.AppendUint64(out, uint64(len(text)))
	out = append(out, text...)
	for _, t := range tensors {
		if out, err = binary.Append(out, binary.LittleEndian, t.data); err != nil {
			return 0, err
		}
	}
	n, err := w.Write(out)
	return int64(n), err
}

func formatFloat(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// Decode reads a model that WriteTo wrote. The model keeps data, which must not
// change any more: its tensors are parts of it, as a second copy of each would
// count when a model is loaded beside the one that serves. Every error about the
// content wraps ErrFormat and names the tensor.
func Decode(data []byte) (*Model, error) {
	m, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return m, nil
}

func decode(data []byte) (*Model, error) {
	file, err := parseHeader(data)
	if err != nil {
		return nil, err
	}
	f := &als.Factors{
		Users:        readTensor(file, "user_ids", "I64", getInt64),
		Movies:       readTensor(file, "movie_ids", "I64", getInt64),
		UserBias:     readTensor(file, "user_bias", "F32", getFloat32),
		MovieBias:    readTensor(file, "movie_bias", "F32", getFloat32),
		UserFactors:  readTensor(file, "user_factors", "F32", getFloat32),
		MovieFactors: readTensor(file, "movie_factors", "F32", getFloat32),
		UserCounts:   readTensor(file, "user_counts", "I32", getInt32),
		MovieCounts:  readTensor(file, "movie_counts", "I32", getInt32),
		Lambda:       file.number("lambda"),
		Nu:           file.number("nu"),
		Unbiased:     file.metadata["unbiased"] == "true",
	}
	mean := readTensor(file, "mean", "F32", getFloat32)
	scale := Scale{Min: float32(file.number("rating_min")), Max: float32(file.number("rating_max"))}
	if file.err != nil {
		return nil, file.err
	}
	if len(mean) != 1 {
		return nil, fmt.Errorf("tensor mean has %d values; expected 1", len(mean))
	}
	f.Mean = mean[0]
	shape := file.tensors["movie_factors"].Shape
	if len(shape) != 2 {
		return nil, fmt.Errorf("tensor movie_factors has shape %v; expected [movies, rank]", shape)
	}
	f.Rank = shape[1]
	if f.Preference, err = file.preference(); err != nil {
		return nil, err
	}
	if f.Posterior, err = file.posterior(); err != nil {
		return nil, err
	}
	return New(f, scale)
}

// posterior reads what a Bayesian solver left, nil if none did.
func (f *tensorFile) posterior() (*als.Posterior, error) {
	if _, ok := f.tensors["user_weight"]; !ok {
		return nil, nil
	}
	p := &als.Posterior{
		Alpha:           f.number("posterior_alpha"),
		Freedom:         f.number("posterior_freedom"),
		UserWeight:      readTensor(f, "user_weight", "F32", getFloat32),
		UserCovariance:  readTensor(f, "user_covariance", "F32", getFloat32),
		MovieCovariance: readTensor(f, "movie_covariance", "F32", getFloat32),
		UserPrecision:   readTensor(f, "user_precision", "F32", getFloat32),
		MoviePrecision:  readTensor(f, "movie_precision", "F32", getFloat32),
	}
	return p, f.err
}

// preference reads the head that ranks, nil if there is none.
func (f *tensorFile) preference() (*als.Preference, error) {
	movies, ok := f.tensors["preference_movie_factors"]
	if !ok {
		return nil, nil
	}
	if len(movies.Shape) != 2 {
		return nil, fmt.Errorf("tensor preference_movie_factors has shape %v; expected [movies, rank]", movies.Shape)
	}
	p := &als.Preference{
		Rank:         movies.Shape[1],
		UserFactors:  readTensor(f, "preference_user_factors", "F32", getFloat32),
		MovieFactors: readTensor(f, "preference_movie_factors", "F32", getFloat32),
		Alpha:        f.number("preference_alpha"),
		Lambda:       f.number("preference_lambda"),
		Beta:         f.number("preference_beta"),
	}
	return p, f.err
}

// tensorFile is a parsed header with the bytes that follow; err is the first
// error of any read.
type tensorFile struct {
	tensors  map[string]tensorInfo
	metadata map[string]string
	body     []byte
	err      error
}

func parseHeader(data []byte) (*tensorFile, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a header", len(data))
	}
	size := binary.LittleEndian.Uint64(data)
	if size > maxHeaderBytes || size > uint64(len(data)-8) {
		return nil, fmt.Errorf("header of %d bytes does not fit a file of %d bytes: the file is cut or not in the safetensors format", size, len(data))
	}
	file := &tensorFile{tensors: map[string]tensorInfo{}, body: data[8+size:]}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimRight(data[8:8+size], " "), &raw); err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	for name, value := range raw {
		if name == "__metadata__" {
			if err := json.Unmarshal(value, &file.metadata); err != nil {
				return nil, fmt.Errorf("reading __metadata__: %w", err)
			}
			continue
		}
		var info tensorInfo
		if err := json.Unmarshal(value, &info); err != nil {
			return nil, fmt.Errorf("reading the header of tensor %s: %w", name, err)
		}
		file.tensors[name] = info
	}
	if format := file.metadata["format"]; format != formatName {
		return nil, fmt.Errorf("format is %q; this version reads %q", format, formatName)
	}
	return file, nil
}

func (f *tensorFile) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

func (f *tensorFile) number(name string) float64 {
	x, err := strconv.ParseFloat(f.metadata[name], 64)
	if err != nil || math.IsInf(x, 0) {
		f.fail("metadata %s is %q, not a finite number", name, f.metadata[name])
	}
	return x
}

func getInt64(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }
func getInt32(b []byte) int32 { return int32(binary.LittleEndian.Uint32(b)) }
func getFloat32(b []byte) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(b))
}

// readTensor reads the tensor called name, whose type must be dtype; its
// failures are kept in f.err.
func readTensor[T int64 | int32 | float32](f *tensorFile, name, dtype string, get func([]byte) T) []T {
	info, ok := f.tensors[name]
	if !ok {
		f.fail("tensor %s is missing", name)
		return nil
	}
	if info.DType != dtype {
		f.fail("tensor %s has type %s; expected %s", name, info.DType, dtype)
		return nil
	}
	from, to := info.Offsets[0], info.Offsets[1]
	if from < 0 || to < from || to > int64(len(f.body)) {
		f.fail("tensor %s lies at bytes %d to %d of %d: the file is cut", name, from, to, len(f.body))
		return nil
	}
	width := int64(4)
	if dtype == "I64" {
		width = 8
	}
	if !shapeFits(info.Shape, (to-from)/width) || (to-from)%width != 0 {
		f.fail("tensor %s has shape %v but %d bytes", name, info.Shape, to-from)
		return nil
	}
	data := f.body[from:to]
	if values, ok := alias[T](data); ok {
		return values
	}
	values := make([]T, 0, (to-from)/width)
	for chunk := range slices.Chunk(data, int(width)) {
		values = append(values, get(chunk))
	}
	return values
}

// alias returns little-endian data as the numbers that it holds, without copying.
// It cannot where numbers are stored otherwise, or data is not aligned as they
// have to be, as in a file that others wrote.
func alias[T int64 | int32 | float32](data []byte) ([]T, bool) {
	var zero T
	start := unsafe.Pointer(unsafe.SliceData(data))
	if len(data) == 0 || binary.NativeEndian.Uint16([]byte{1, 0}) != 1 || uintptr(start)%unsafe.Alignof(zero) != 0 {
		return nil, false
	}
	n := len(data) / int(unsafe.Sizeof(zero))
	return unsafe.Slice((*T)(start), n), true
}

// shapeFits reports whether a tensor of this shape has count elements.
func shapeFits(shape []int, count int64) bool {
	product := int64(1)
	for _, n := range shape {
		if n < 0 || n > math.MaxInt32 || product > math.MaxInt64/math.MaxInt32 {
			return false
		}
		product *= int64(n)
	}
	return product == count
}
